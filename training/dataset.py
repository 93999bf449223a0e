"""Labelled films in the project's folder format: pictures, ``films.csv`` and ``corners.csv``."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from SpineLandmarksLib import films
from SpineLandmarksLib.core.anatomy import CORNERS, LEVELS, corners_of

#: How much a corner counts in a loss, by how sure its reader was.
CONFIDENCE = {"high": 1.0, "medium": 0.6, "low": 0.15}


@dataclass
class LabelledFilm:
    """A film with the corners of its vertebrae in film pixels, and each corner's weight."""

    name: str
    path: Path
    facing_right: bool
    levels_certain: bool
    corners: dict[str, dict[str, np.ndarray]]
    weights: dict[str, dict[str, float]]
    pixels: np.ndarray = field(repr=False)

    @property
    def levels(self) -> list[str]:
        """Levels with every corner that belongs to them, from cranial to caudal."""
        return [
            level
            for level in LEVELS
            if level in self.corners and set(corners_of(level)) <= set(self.corners[level])
        ]


def read_folder(folder: Path, with_pixels: bool = True) -> list[LabelledFilm]:
    """Read every film that ``films.csv`` names, in its order.

    Columns used: film, file, anterior (left or right), levels_certain (yes or no) in
    ``films.csv``; film, level, corner, x, y, confidence (high, medium, low) in ``corners.csv``,
    where rows with on_film "no" (simulated films) are passed over.
    Raises ValueError, naming the row, for an unknown level or corner, FileNotFoundError for a
    missing table.
    """
    folder = Path(folder)
    corners: dict = defaultdict(lambda: defaultdict(dict))
    weights: dict = defaultdict(lambda: defaultdict(dict))
    with (folder / "corners.csv").open(newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            film, level, corner = row["film"], row["level"], row["corner"]
            if row.get("on_film", "yes") == "no":
                continue
            if level not in LEVELS or corner not in CORNERS:
                raise ValueError(f"corners.csv, line {number}: unknown level or corner {level!r} {corner!r}")
            corners[film][level][corner] = np.array([float(row["x"]), float(row["y"])])
            weights[film][level][corner] = CONFIDENCE[row.get("confidence") or "high"]
    labelled = []
    with (folder / "films.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            path = folder / row["file"]
            labelled.append(
                LabelledFilm(
                    name=row["film"],
                    path=path,
                    facing_right=row["anterior"] == "right",
                    levels_certain=row.get("levels_certain", "yes") == "yes",
                    corners={k: dict(v) for k, v in corners[row["film"]].items()},
                    weights={k: dict(v) for k, v in weights[row["film"]].items()},
                    pixels=films.read(path).pixels if with_pixels else np.empty((0, 0), np.float32),
                )
            )
    return labelled


def folds(names: list[str], count: int, seed: int = 0) -> list[list[str]]:
    """Split film names into ``count`` groups at random, each film in one group."""
    order = np.random.default_rng(seed).permutation(len(names))
    return [[names[i] for i in sorted(order[k::count])] for k in range(count)]
