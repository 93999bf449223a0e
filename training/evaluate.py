"""The paper's table for any weights and any labelled folder.

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
from SpineLandmarksLib.core.measurements.geometry import turn_between, wrapped
from SpineLandmarksLib.core.radiograph import Radiograph
from SpineLandmarksLib.model.detector import Detector, NoSpineFound

from .dataset import CONFIDENCE, LabelledFilm

#: Corners read with less confidence than this do not count as truth for errors and angles.
SURE = CONFIDENCE["medium"]

JUDGED = LEVELS[LEVELS.index("L1"):]
ANGLES = ("LL_L1_L5", "LL_L1_S1", "SS")


@dataclass
class Errors:
    """Everything that was measured on a set of films, of one kind: real or simulated, never both."""

    vertebrae: int = 0
    found: int = 0
    any_level: int = 0
    shifted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    facing_wrong: list[str] = field(default_factory=list)
    corners: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))  # level -> (x %, y %)
    slopes: list[float] = field(default_factory=list)
    angles: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))  # id -> (found, true)
    angles_missing: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lines: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Human-readable summary."""
        rows = list(self.lines)
        everything = [e for errors in self.corners.values() for e in errors]
        rows.append(f"{'level':6}{'n':>5}{'x med':>8}{'x p90':>8}{'y med':>8}{'y p90':>8}   (% of width, height)")
        for level in (*LEVELS, "all"):
            errors = everything if level == "all" else self.corners.get(level, [])
            if errors:
                (x, y), (xp, yp) = np.median(errors, axis=0), np.percentile(errors, 90, axis=0)
                rows.append(f"{level:6}{len(errors):5}{x:8.2f}{xp:8.2f}{y:8.2f}{yp:8.2f}")
        for name in ANGLES:
            pairs = np.array(self.angles.get(name, []))
            missing = self.angles_missing[name]
            if len(pairs) > 1:
                d = wrapped(pairs[:, 0] - pairs[:, 1])
                r = np.corrcoef(pairs.T)[0, 1]
                rows.append(
                    f"{name:9} n {len(pairs)} (+{missing} not measured)  median |error| {np.median(abs(d)):.2f}°, "
                    f"p90 {np.percentile(abs(d), 90):.2f}°, bias {d.mean():+.2f}°, limits of agreement ±{1.96 * d.std(ddof=1):.2f}°, r {r:.3f}"
                )
        if self.slopes:
            rows.append(f"endplate slope n {len(self.slopes)}: median {np.median(self.slopes):.2f}°, p90 {np.percentile(self.slopes, 90):.2f}°")
        rows.append(
            f"L1-S1 found at the right level {self.found}/{self.vertebrae} ({100 * self.found / max(self.vertebrae, 1):.1f} %), "
            f"at any level {self.any_level}/{self.vertebrae}; films shifted {len(self.shifted)} {self.shifted}, "
            f"refused {len(self.refused)} {self.refused}, facing wrong {self.facing_wrong}"
        )
        return "\n".join(rows)


def truth_of(film: LabelledFilm) -> Detection:
    """The sure corners of a film as a detection, so that one code measures both."""
    corners = {
        level: {k: Corner(p, np.zeros((2, 2))) for k, p in film.corners[level].items() if k in corners_of(level) and film.weights[level][k] >= SURE}
        for level in film.corners
    }
    return Detection({k: v for k, v in corners.items() if v}, "right" if film.facing_right else "left")


def compare(film: LabelledFilm, found: Detection | None, errors: Errors) -> None:
    """Add one film to ``errors``."""
    true_values = {m.definition.id: m.value for m in measure(truth_of(film))}
    if found is None:
        errors.refused.append(film.name)
        errors.vertebrae += sum(level in JUDGED for level in film.levels)
        for name in ANGLES:
            errors.angles_missing[name] += true_values[name] is not None
        return
    errors.facing_wrong += [film.name] * (found.facing != ("right" if film.facing_right else "left"))
    centres = {
        level: column.body_centre({k: c.position for k, c in found.corners[level].items()}, level)
        for level in found.levels if set(corners_of(level)) <= set(found.corners[level])
    }
    offsets, mine = [], []
    count = right = 0
    for level in film.levels:
        true = film.corners[level]
        width = column.pose_from_corners(true, level).width
        height = width if level == "S1" else float(np.mean([np.linalg.norm(true["SA"] - true["IA"]), np.linalg.norm(true["SP"] - true["IP"])]))
        centre = column.body_centre(true, level)
        nearest = min(centres, key=lambda k: np.linalg.norm(centres[k] - centre))
        near = np.linalg.norm(centres[nearest] - centre) < 0.5 * height
        if near:
            offsets.append(LEVELS.index(nearest) - LEVELS.index(level))
        if level not in JUDGED:
            continue
        count += 1
        errors.any_level += bool(near)
        if level not in centres or np.linalg.norm(centres[level] - centre) >= 0.5 * height:
            continue
        right += 1
        sure = {k for k in corners_of(level) if film.weights[level][k] >= SURE}
        for k in sure:
            e = np.abs(found.corners[level][k].position - true[k]) / (width, height) * 100
            errors.corners[level].append(e)
            mine.append(e)
        for a, b in ENDPLATES.values():
            if a in sure and b in sure:
                u = found.corners[level][b].position - found.corners[level][a].position
                v = true[b] - true[a]
                errors.slopes.append(turn_between(u, v))
    errors.vertebrae += count
    errors.found += right
    shift = int(np.median(offsets)) if offsets else 0
    errors.shifted += [film.name] * (shift != 0)
    values = {m.definition.id: m.value for m in measure(found)}
    told = []
    for name in ANGLES:
        if true_values[name] is None:
            continue
        if values[name] is None:
            errors.angles_missing[name] += 1
            continue
        errors.angles[name].append((values[name], true_values[name]))
        told.append(f"{name} {wrapped(values[name] - true_values[name]):+.1f}")
    medians = "x {:.1f} y {:.1f}".format(*tuple(np.median(mine, axis=0))) if mine else "-"
    errors.lines.append(f"{film.name:6} {right}/{count} shift {shift:+d} naming {found.naming_confidence:.2f}  {medians}  {', '.join(told)}")


def detect(detector: Detector, film: LabelledFilm) -> Detection | None:
    """What a detector finds on a labelled film, in the film's own pixels; None when it refuses."""
    radiograph = Radiograph(film.pixels)
    try:
        found = detector.detect(radiograph)
    except NoSpineFound:
        return None
    upright = radiograph.turned(found.turns)
    return replace(found, corners={
        level: {name: replace(c, position=upright.in_file(c.position)) for name, c in named.items()} for level, named in found.corners.items()
    })
