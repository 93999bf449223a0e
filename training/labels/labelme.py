"""labelme's files: a JSON beside each picture (github.com/wkentaro/labelme).

Points are labelled "L4 SA" (or L4_SA, L4-SA), polygons of four points "L4"; a line labelled "S1" is the
sacral plate. Which side the patient faces follows from named corners, or from the curve.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from SpineLandmarksLib.core.anatomy import CORNERS, LEVELS

from .facing import faces_right, named_ends, plates_of, told_by_corners
from .film import LabelledFilm, all_sure

_LABEL = re.compile(r"(?P<level>[TL]\d+|S1)(?:[\s_-]+(?P<corner>[SI][AP]))?$")


def _shapes(path: Path) -> dict | None:
    """A labelme file's content; None for other JSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content if isinstance(content, dict) and "shapes" in content and "imagePath" in content else None


def is_labelme(folder: Path) -> bool:
    return any(_shapes(path) for path in folder.glob("*.json"))


def read_labelme(folder: Path) -> list[LabelledFilm]:
    """Every labelme file of a folder; raises ValueError, naming file and label, for what is no level
    or corner, and FileNotFoundError for a missing picture."""
    labelled = []
    for path in sorted(folder.glob("*.json")):
        content = _shapes(path)
        if content is None:
            continue
        picture = path.parent / content["imagePath"].replace("\\", "/")
        if not picture.is_file():
            raise FileNotFoundError(f"{path}: its picture {picture} is not there")
        try:
            corners, right = _corners(content["shapes"])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        labelled.append(LabelledFilm(path.stem, picture, right, corners, all_sure(corners)))
    return labelled


def _corners(shapes: list[dict]) -> tuple[dict[str, dict[str, np.ndarray]], bool]:
    corners: dict[str, dict[str, np.ndarray]] = {}
    bodies: dict[str, np.ndarray] = {}
    plates = {}
    for shape in shapes:
        label, points = _LABEL.match(shape["label"].strip()), np.array(shape["points"], float).reshape(-1, 2)
        # labelme counts from the corner of the first pixel, we from its centre.
        points = points - 0.5
        level = label["level"] if label else None
        if level not in LEVELS:
            raise ValueError(f"the label {shape['label']!r} is no vertebra: use T1 to L5 or S1, with a corner ({', '.join(CORNERS)}) for single points.")
        if label["corner"]:
            corners.setdefault(level, {})[label["corner"]] = points[0]
        elif len(points) == 4:
            bodies[level] = points
        elif len(points) == 2 and level == "S1":
            plates[level, "S"] = tuple(points)
        else:
            raise ValueError(f"the shape {shape['label']!r} has {len(points)} points: draw four corners, a line for S1's plate, or single corners.")
    if not corners and not bodies and not plates:
        raise ValueError("it has no labels.")
    plates |= plates_of(bodies)
    right = told_by_corners(corners) if corners else faces_right(plates)
    for (level, side), plate in plates.items():
        if (level, side) != ("S1", "I"):
            corners.setdefault(level, {}).update(dict(zip((f"{side}A", f"{side}P"), named_ends(plate, right))))
    return corners, right
