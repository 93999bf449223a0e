"""The project's own folder format: pictures, ``films.csv`` and ``corners.csv``."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from SpineLandmarksLib.core.anatomy import CORNERS, LEVELS

from .film import CONFIDENCE, LabelledFilm

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
    Raises ValueError, naming the row, for an unknown level, corner or side, FileNotFoundError for a
    missing table or picture.
    """
    corners: dict = defaultdict(lambda: defaultdict(dict))
    weights: dict = defaultdict(lambda: defaultdict(dict))
    with (folder / "corners.csv").open(newline="", encoding="utf-8-sig") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            film, level, corner = row["film"], row["level"], row["corner"]
            if row.get("on_film", "yes") == "no":
                continue
            if level not in LEVELS or corner not in CORNERS:
                raise ValueError(f"corners.csv, line {number}: unknown level or corner {level!r} {corner!r}")
            corners[film][level][corner] = np.array([float(row["x"]), float(row["y"])])
            weights[film][level][corner] = CONFIDENCE[row.get("confidence") or "high"]
    labelled = []
    with (folder / "films.csv").open(newline="", encoding="utf-8-sig") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            if row["anterior"] not in SIDES:
                raise ValueError(f"films.csv, line {number}: anterior is {row['anterior']!r}, not one of {', '.join(SIDES)}")
            path = folder / row["file"]
            if not path.is_file():
                raise FileNotFoundError(f"films.csv, line {number}: there is no {path}")
            labelled.append(LabelledFilm(
                name=row["film"],
                path=path,
                facing_right=SIDES[row["anterior"]],
                corners={k: dict(v) for k, v in corners[row["film"]].items()},
                weights={k: dict(v) for k, v in weights[row["film"]].items()},
                levels_certain=row.get("levels_certain") != "no",
                patient=row.get("patient") or "",
                kind=row.get("kind") or "real",
                groups={column: value for column, value in row.items() if column not in _KNOWN},
            ))
    return labelled
