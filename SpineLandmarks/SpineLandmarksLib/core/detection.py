"""What a detection is: named corners on one film, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from .anatomy import LEVELS, corners_of

#: Below this probability of the level names, parameters that depend on them are uncertain. On the 19 real films,
#: held out, it was 0.9 in the mean with 17 named right, and below 0.75 on one of the other two and on one of these.
MIN_NAMING_CONFIDENCE = 0.75


class CornerStatus(StrEnum):
    OK = "ok"
    UNCERTAIN = "uncertain"  # the networks see nothing sharp, or the film shows nothing there: look before you use it
    OUTSIDE = "outside"  # beyond the film's edge: extrapolated, not used for measurements
    EDITED = "edited"  # placed by a reader


@dataclass(frozen=True)
class Corner:
    """One corner: position (2,) and covariance (2, 2) in film pixels."""

    position: np.ndarray
    covariance: np.ndarray
    status: CornerStatus = CornerStatus.OK

    @property
    def sd(self) -> float:
        """Root of the mean variance over x and y, film pixels."""
        return float(np.sqrt(np.trace(self.covariance) / 2))

    def moved_by_reader(self, position: np.ndarray) -> Corner:
        """The same corner where a reader has put it."""
        return Corner(position, self.covariance, CornerStatus.EDITED)


@dataclass(frozen=True)
class Detection:
    """Corners by level and corner name, levels from cranial to caudal.

    facing : side of the film that the patient faces, "left" or "right".
    facing_confidence, naming_confidence : probabilities, 0 to 1; names that a reader gave have 1.
    turns : counter-clockwise quarter turns that made the film stand upright; corners are pixels of
        the film so turned (``Radiograph.as_read``).
    negative : whether the film's bones were dark, so that its greys were inverted.
    """

    corners: Mapping[str, Mapping[str, Corner]]
    facing: str
    facing_confidence: float = 1.0
    naming_confidence: float = 1.0
    unseen: frozenset[str] = field(default_factory=frozenset)  # levels inferred between two others
    turns: int = 0
    negative: bool = False
    implausible: tuple[str, ...] = ()  # what ``core.plausibility`` says against it

    def __post_init__(self):
        if self.facing not in ("left", "right"):
            raise ValueError(f"facing must be 'left' or 'right', not {self.facing!r}")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader should know before looking: how the film lay, whether it was a negative, how sure the
        names are, what is implausible."""
        told = (self._turn_text(), "the film is a negative and was read with its greys inverted" if self.negative else "", self._names_text())
        return (*(text for text in told if text), *self.implausible)

    def _names_text(self) -> str:
        if self.naming_confidence < MIN_NAMING_CONFIDENCE:
            return f"level names are uncertain (confidence {self.naming_confidence:.2f}): count them, and shift them where they are off"
        if "S1" not in self.corners and self.naming_confidence < 1:
            return "no sacrum is marked, so all levels may be off by one: count them"
        return ""

    def _turn_text(self) -> str:
        return {0: "", 1: "the film lay on its side and was turned by 90° to the left",
                2: "the film stood on its head and was turned by 180°",
                3: "the film lay on its side and was turned by 90° to the right"}[self.turns]

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(level for level in LEVELS if level in self.corners)

    def __iter__(self) -> Iterator[tuple[str, str, Corner]]:
        """(level, corner name, corner) in anatomical order."""
        for level in self.levels:
            for name in corners_of(level):
                if name in self.corners[level]:
                    yield level, name, self.corners[level][name]
