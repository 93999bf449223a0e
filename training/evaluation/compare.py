"""One film against its truth.

Metric (Cina et al. 2021, as used for judging here): error in x over the vertebra's width, in y over
its height, in per cent, for corners of vertebrae at the right level; found means that the centre
lies within half a body height of the truth at the right level. S1: width of its plate for both.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from SpineLandmarksLib.core import column
from SpineLandmarksLib.core.anatomy import ENDPLATES, LEVELS, corners_of
from SpineLandmarksLib.core.detection import Corner, Detection
from SpineLandmarksLib.core.measurements import measure
from SpineLandmarksLib.core.measurements.geometry import turn_between
from SpineLandmarksLib.core.radiograph import Radiograph
from SpineLandmarksLib.model.detector import Detector, NoSpineFound

from ..labels import CONFIDENCE, LabelledFilm

#: Corners read with less confidence than this do not count as truth for errors and angles.
SURE = CONFIDENCE["medium"]

JUDGED = LEVELS[LEVELS.index("L1"):]
ANGLES = ("LL_L1_L5", "LL_L1_S1", "SS")

#: What every film is told apart by, besides the columns of its table.
GROUPS = ("faces", "slip")

#: Per cent of the plate below from which a vertebra has slipped (Meyerding's grade I begins above 0; less
#: than this is within what two readers differ by).
_SLIPPED = 8.0


@dataclass
class FilmErrors:
    """What was measured on one film; ``groups`` are what films can be told apart by."""

    film: str
    kind: str
    groups: dict[str, str]
    vertebrae: int = 0
    found: int = 0  # at the right level
    any_level: int = 0
    shift: int = 0  # levels by which most of the film is named wrong
    refused: bool = False
    facing_wrong: bool = False
    naming_confidence: float = float("nan")
    corners: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))  # level -> (x %, y %)
    slopes: list[float] = field(default_factory=list)  # degrees
    angles: dict[str, tuple[float, float]] = field(default_factory=dict)  # id -> (found, true)
    angles_missing: list[str] = field(default_factory=list)


def truth_of(film: LabelledFilm) -> Detection:
    """The sure corners of a film as a detection, so that one code measures both."""
    corners = {
        level: {k: Corner(p, np.zeros((2, 2))) for k, p in film.corners[level].items() if k in corners_of(level) and film.weights[level][k] >= SURE}
        for level in film.corners
    }
    return Detection({k: v for k, v in corners.items() if v}, _side(film))


def detect(detector: Detector, film: LabelledFilm) -> Detection | None:
    """What a detector finds on a labelled film, in the film's own pixels; None when it refuses."""
    radiograph = Radiograph(film.load())
    try:
        found = detector.detect(radiograph)
    except NoSpineFound:
        return None
    upright = radiograph.turned(found.turns)
    return replace(found, corners={
        level: {name: replace(c, position=upright.in_file(c.position)) for name, c in named.items()} for level, named in found.corners.items()
    })


def compare(film: LabelledFilm, found: Detection | None) -> FilmErrors:
    """Judge what was found on a film, None for a refusal."""
    true = {m.definition.id: m.value for m in measure(truth_of(film))}
    slips = [abs(value) for id, value in true.items() if id.startswith("SLIP_") and value is not None]
    slipped = "unknown" if not slips else "yes" if max(slips) > _SLIPPED else "no"
    groups = dict(zip(GROUPS, (_side(film), slipped))) | film.groups
    errors = FilmErrors(film.name, film.kind, groups, vertebrae=sum(level in JUDGED for level in film.levels))
    wanted = [name for name in ANGLES if true[name] is not None]
    if found is None:
        errors.refused, errors.angles_missing = True, wanted
        return errors
    errors.facing_wrong = found.facing != _side(film)
    errors.naming_confidence = found.naming_confidence
    _compare_vertebrae(film, found, errors)
    mine = {m.definition.id: m.value for m in measure(found)}
    errors.angles = {name: (mine[name], true[name]) for name in wanted if mine[name] is not None}
    errors.angles_missing = [name for name in wanted if mine[name] is None]
    return errors


def _side(film: LabelledFilm) -> str:
    return "right" if film.facing_right else "left"


def _compare_vertebrae(film: LabelledFilm, found: Detection, errors: FilmErrors) -> None:
    centres = {
        level: column.body_centre({k: c.position for k, c in found.corners[level].items()}, level)
        for level in found.levels if set(corners_of(level)) <= set(found.corners[level])
    }
    offsets = []
    for level in film.levels if centres else ():
        true = film.corners[level]
        width, height = _size(true, level)
        centre = column.body_centre(true, level)
        nearest = min(centres, key=lambda k: np.linalg.norm(centres[k] - centre))
        near = np.linalg.norm(centres[nearest] - centre) < 0.5 * height
        if near:
            offsets.append(LEVELS.index(nearest) - LEVELS.index(level))
        if level not in JUDGED:
            continue
        errors.any_level += bool(near)
        if level not in centres or np.linalg.norm(centres[level] - centre) >= 0.5 * height:
            continue
        errors.found += 1
        sure = [k for k in corners_of(level) if film.weights[level][k] >= SURE]
        errors.corners[level] += [np.abs(found.corners[level][k].position - true[k]) / (width, height) * 100 for k in sure]
        for a, b in ENDPLATES.values():
            if a in sure and b in sure:
                mine = found.corners[level][b].position - found.corners[level][a].position
                errors.slopes.append(turn_between(mine, true[b] - true[a]))
    errors.shift = int(np.median(offsets)) if offsets else 0


def _size(corners: dict[str, np.ndarray], level: str) -> tuple[float, float]:
    """(width, height) of a vertebra in pixels, as the metric has them."""
    width = column.pose_from_corners(corners, level).width
    if level == "S1":
        return width, width
    return width, float(np.mean([np.linalg.norm(corners["SA"] - corners["IA"]), np.linalg.norm(corners["SP"] - corners["IP"])]))
