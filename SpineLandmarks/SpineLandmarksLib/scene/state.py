"""What a fiducial list cannot say by itself, kept as JSON in an attribute of its node.

So it is saved with the scene, restored with it, and undone with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from ..core.detection import Corner, Detection
from ..core.radiograph import Radiograph, SpacingSource
from .film import index_to_ras

_ATTRIBUTE = "SpineLandmarks.Detection"


@dataclass
class State:
    """``points``: label ("L4 SA") -> status, covariance and position (film pixels) before any drag.
    ``detected``: the same as the networks left it, for a reset of everything. Film pixels are those of
    the upright film, which ``turns`` counter-clockwise quarter turns of the volume have given; ``negative``:
    the volume's bones are dark."""

    facing: str
    facing_confidence: float
    naming_confidence: float
    unseen: list[str]
    points: dict[str, dict]
    spacing: list[float] | None
    spacing_source: str
    size: list[int]
    index_to_ras: list[list[float]]
    turns: int
    negative: bool = False  # scenes of before 0.6 do not say
    detected: dict | None = field(default=None)

    @staticmethod
    def of(detection: Detection, radiograph: Radiograph) -> State:
        state = State(
            **_description(detection), spacing=list(radiograph.spacing) if radiograph.spacing else None,
            spacing_source=radiograph.spacing_source.value, size=list(radiograph.size),
            index_to_ras=index_to_ras(radiograph).tolist(), turns=radiograph.turns,
            negative=radiograph.negative,
        )
        state.detected = _description(detection)
        return state

    def describe(self, detection: Detection) -> None:
        """Take over another detection on the same film."""
        for name, value in _description(detection).items():
            setattr(self, name, value)

    def detection(self, corners: Mapping[str, Mapping[str, Corner]]) -> Detection:
        """Some corners with everything else that is known of the film."""
        return Detection(
            corners, self.facing, self.facing_confidence, self.naming_confidence, frozenset(self.unseen), self.turns, self.negative,
        )

    @staticmethod
    def load(node) -> State:
        """Raises ValueError when the node is not a list of corners made here."""
        if not is_landmarks(node):
            raise ValueError("this list was not made by SpineLandmarks: select one that Detect has made.")
        return State(**json.loads(node.GetAttribute(_ATTRIBUTE)))

    def save(self, node) -> None:
        node.SetAttribute(_ATTRIBUTE, json.dumps(asdict(self)))

    @property
    def source(self) -> SpacingSource:
        return SpacingSource(self.spacing_source)

    def to_ras(self, pixel: np.ndarray) -> np.ndarray:
        """Film pixels (2,) -> RAS (3,)."""
        return (np.array(self.index_to_ras) @ np.array([*pixel, 0.0, 1.0]))[:3]

    def to_pixels(self, ras: np.ndarray) -> np.ndarray:
        """RAS (3,) -> film pixels (2,), whatever the distance from the film's plane."""
        return (np.linalg.inv(np.array(self.index_to_ras)) @ np.array([*ras, 1.0]))[:2]


def _description(detection: Detection) -> dict:
    return dict(
        facing=detection.facing, facing_confidence=detection.facing_confidence,
        naming_confidence=detection.naming_confidence, unseen=sorted(detection.unseen),
        points={
            f"{level} {name}": {"status": c.status.value, "covariance": c.covariance.tolist(), "position": c.position.tolist()}
            for level, name, c in detection
        },
    )


def is_landmarks(node) -> bool:
    """Whether a node is a list of corners made here."""
    return node is not None and bool(node.GetAttribute(_ATTRIBUTE))
