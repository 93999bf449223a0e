"""A film with its labelled corners, wherever the labels came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from SpineLandmarksLib import films
from SpineLandmarksLib.core.anatomy import LEVELS, corners_of
from SpineLandmarksLib.core.radiograph import FilmError, Radiograph

#: How much a corner counts in a loss, by how sure its reader was.
CONFIDENCE = {"high": 1.0, "medium": 0.6, "low": 0.15}


def read_film(path: Path) -> Radiograph:
    """A film from its file; raises ``FilmError`` that names the file, one of many."""
    try:
        return films.read(path)
    except FilmError as error:
        raise FilmError(f"{path}: {error}") from error


@dataclass
class LabelledFilm:
    """Corners in pixels of the file by level and name, and each corner's weight in a loss.

    ``facing_right``: None for a film that is not lateral (AP, PA), which has no corners.
    ``patient``: films of one patient never stand on both sides of a split. ``kind``: "real" or
    "simulated", never judged together. ``groups``: whatever else the films can be told apart by.
    ``pixels``: given ones are used, otherwise the file is read whenever they are asked for.
    """

    name: str
    path: Path
    facing_right: bool | None
    corners: dict[str, dict[str, np.ndarray]]
    weights: dict[str, dict[str, float]]
    levels_certain: bool = True
    patient: str = ""
    kind: str = "real"
    groups: dict[str, str] = field(default_factory=dict)
    pixels: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        self.patient = self.patient or self.name

    @property
    def levels(self) -> list[str]:
        """Levels with every corner that belongs to them, from cranial to caudal."""
        return [level for level in LEVELS if level in self.corners and set(corners_of(level)) <= set(self.corners[level])]

    def load(self) -> np.ndarray:
        """(height, width) grey pixels, bone bright; raises ``FilmError``."""
        return read_film(self.path).pixels if self.pixels is None else self.pixels


def all_sure(corners: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, float]]:
    """Full weight for every corner: labels that come without a confidence."""
    return {level: dict.fromkeys(named, CONFIDENCE["high"]) for level, named in corners.items()}
