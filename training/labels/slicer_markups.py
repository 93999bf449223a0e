"""Corrected lists from 3D Slicer: ``FILM.mrk.json`` beside its film.

They come from the module's *Export report...* or from ``spine-landmarks detect`` and later corrections in
Slicer. Positions are millimetres of the film as Slicer loads it (see ``report.markups``).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from SpineLandmarksLib import films
from SpineLandmarksLib.core.anatomy import CORNERS, LEVELS
from SpineLandmarksLib.films.read import is_film_name, stem

from .facing import told_by_corners
from .film import CONFIDENCE, LabelledFilm, read_film

_SUFFIX = ".mrk.json"

#: What a reader's correction, or the lack of one, says of a corner.
_TRUST = {"edited": CONFIDENCE["high"], "ok": CONFIDENCE["medium"], "uncertain": CONFIDENCE["low"]}


def is_slicer_markups(folder: Path) -> bool:
    return any(folder.glob(f"*{_SUFFIX}"))


def read_slicer_markups(folder: Path) -> list[LabelledFilm]:
    """Every list of a folder; raises ValueError, naming the file, for a list that is none of ours or
    lies off its film, FileNotFoundError where its film is missing."""
    labelled = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        name = path.name.removesuffix(_SUFFIX)
        picture = next((p for p in sorted(folder.iterdir()) if _is_film(p, name)), None)
        if picture is None:
            raise FileNotFoundError(f"{path}: put its film beside it, under the name {name} (annotated pictures are no films)")
        film = read_film(picture)
        corners, weights = _corners(path, np.linalg.inv(film.index_to_lps), film.size)
        patient = films.read_tags(picture, ("PatientID",))["PatientID"]
        labelled.append(LabelledFilm(name, picture, told_by_corners(corners), corners, weights, patient=patient))
    return labelled


def _is_film(path: Path, name: str) -> bool:
    if path.name.endswith(_SUFFIX) or not path.is_file() or not is_film_name(path) or stem(path.name) != name:
        return False
    with path.open("rb") as stream:
        return not films.is_annotated(stream.read(132))


def _corners(path: Path, to_index: np.ndarray, size: tuple[int, int]):
    corners: dict[str, dict[str, np.ndarray]] = {}
    weights: dict[str, dict[str, float]] = {}
    try:
        (markup,) = json.loads(path.read_text(encoding="utf-8"))["markups"]
        points = [p for p in markup["controlPoints"] if p.get("positionStatus", "defined") == "defined"]
        flip = np.diag([-1.0, -1.0, 1.0]) if markup.get("coordinateSystem", "LPS") in ("RAS", "0") else np.eye(3)
        found = [(p["label"].split(), flip @ np.array(p["position"], float), p.get("description", "")) for p in points]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: this is no list of markup points") from error
    for label, position, description in found:
        if len(label) != 2 or label[0] not in LEVELS or label[1] not in CORNERS:
            raise ValueError(f"{path}: the point {' '.join(label)!r} is no corner: expected labels like 'L4 SA'")
        trust = _TRUST.get(description.split(",")[0] or "edited")
        if trust is not None:
            level, corner = label
            corners.setdefault(level, {})[corner] = (to_index @ np.array([*position, 1.0]))[:2]
            weights.setdefault(level, {})[corner] = trust
    everything = np.array([p for named in corners.values() for p in named.values()])
    if not len(everything):
        raise ValueError(f"{path}: it has no corners")
    if np.any(np.median(everything, axis=0) < 0) or np.any(np.median(everything, axis=0) > size):
        raise ValueError(f"{path}: its corners lie off the film: export it with 'Export report...', which places it as the film's file does")
    return corners, weights
