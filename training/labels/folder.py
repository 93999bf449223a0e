"""The project's own folder format: pictures, ``films.csv`` and ``corners.csv``."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from SpineLandmarksLib.core.anatomy import CORNERS, LEVELS

from .facing import told_by_corners
from .film import CONFIDENCE, LabelledFilm
from .spreadsheet import rows

#: What ``anterior`` may say: the side that the patient faces, neither on a film that is not lateral.
SIDES = {"left": False, "right": True, "neither": None}

#: Columns of ``films.csv`` with a meaning of their own; any other one is a group.
_KNOWN = ("film", "file", "anterior", "levels_certain", "patient", "kind")


def is_folder(folder: Path) -> bool:
    return (folder / "films.csv").is_file() and (folder / "corners.csv").is_file()


def read_folder(folder: Path) -> list[LabelledFilm]:
    """Every film that ``films.csv`` names, in its order.

    Columns used: film, file, anterior (left, right; neither: not a lateral film), levels_certain (yes or
    no), patient and kind (real, simulated; these three may be missing) in ``films.csv``; film, level, corner, x, y, confidence
    (high, medium, low) in ``corners.csv``, where rows with on_film "no" (simulated films) are passed over.
    Raises ValueError, naming the line, for what is unknown, missing, no number or there twice, for corners of a
    film that ``films.csv`` lacks, and for a side that corners contradict; FileNotFoundError for a missing table or picture.
    """
    corners, weights = _corners(folder / "corners.csv")
    labelled: dict[str, LabelledFilm] = {}
    for row in rows(folder / "films.csv", ("film", "file", "anterior")):
        name, path = row["film"], folder / row["file"]
        if name in labelled:
            raise ValueError(f"{row.place}: film {name} is there twice")
        facing_right = SIDES[row.one_of("anterior", tuple(SIDES))]
        if not path.is_file():
            raise FileNotFoundError(f"{row.place}: there is no {path}")
        if (problem := _contradiction(facing_right, corners.get(name, {}))) is not None:
            raise ValueError(f"{row.place}: anterior is {row['anterior']!r}, but {problem}")
        labelled[name] = LabelledFilm(
            name=name, path=path, facing_right=facing_right, corners=corners.get(name, {}), weights=weights.get(name, {}),
            levels_certain=row.get("levels_certain") != "no", patient=row.get("patient", ""), kind=row.get("kind") or "real",
            groups={column: value for column, value in row.items() if column not in _KNOWN},
        )
    if strangers := sorted(corners.keys() - labelled.keys()):
        raise ValueError(f"{folder / 'films.csv'} lacks {', '.join(strangers)}, of which corners.csv has corners")
    return list(labelled.values())


def _contradiction(facing_right: bool | None, corners: dict[str, dict[str, np.ndarray]]) -> str | None:
    """What corners say against the side that the patient is said to face."""
    if facing_right is None:
        return "the film has corners: those of a lateral film name a side, others have none" if corners else None
    try:
        side = "right" if told_by_corners(corners) else "left"
    except ValueError:
        return None  # no plate has both its corners
    return None if (side == "right") == facing_right else f"most anterior corners lie {side} of the posterior ones"


def _corners(path: Path) -> tuple[dict, dict]:
    """Corners and their weights by film, level and name."""
    corners: dict = defaultdict(lambda: defaultdict(dict))
    weights: dict = defaultdict(lambda: defaultdict(dict))
    for row in rows(path, ("film", "level", "corner", "x", "y")):
        if row.get("on_film") == "no":
            continue
        film, level, corner = row["film"], row.one_of("level", LEVELS), row.one_of("corner", CORNERS)
        if corner in corners[film][level]:
            raise ValueError(f"{row.place}: {film} {level} {corner} is there twice")
        corners[film][level][corner] = np.array([row.number("x"), row.number("y")])
        weights[film][level][corner] = CONFIDENCE[row.one_of("confidence", tuple(CONFIDENCE)) if row.get("confidence") else "high"]
    plain = lambda some: {film: {level: dict(named) for level, named in levels.items()} for film, levels in some.items()}
    return plain(corners), plain(weights)
