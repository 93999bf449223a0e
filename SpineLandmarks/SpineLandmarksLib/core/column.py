"""The vertebral column as a chain of bodies: where each one stands, which way it looks, how large it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .anatomy import LEVELS, corners_of

#: Body width over the distance to the next body's centre: about 0.95 in the lumbar spine, more in
#: the thoracic one, where bodies are flat (measured on the 19 training films, rounded).
_WIDTH_PER_GAP = {**{level: 1.25 for level in LEVELS[:9]}, "T10": 1.05, "T11": 1.0}
_LUMBAR_WIDTH_PER_GAP = 0.95

#: S1 is placed at the middle of its plate, so its gap to L5 lacks half a body.
_SACRAL_GAP = 0.66


@dataclass(frozen=True)
class Pose:
    """One vertebra in film pixels: centre (2,), unit vector from anterior to posterior (2,), width."""

    centre: np.ndarray
    posterior: np.ndarray
    width: float


def body_centre(corners: Mapping[str, np.ndarray], level: str) -> np.ndarray:
    """Mean of the four corners; of the plate's two for S1. Raises KeyError when one is missing."""
    return np.mean([corners[name] for name in corners_of(level)], axis=0)


def pose_from_corners(corners: Mapping[str, np.ndarray], level: str) -> Pose:
    """Pose of a body from its corners (film pixels), S1 from its superior plate alone."""
    plates = [corners["SP"] - corners["SA"]]
    if level != "S1":
        plates.append(corners["IP"] - corners["IA"])
    direction = np.sum(plates, axis=0)
    width = float(np.mean([np.linalg.norm(p) for p in plates]))
    return Pose(body_centre(corners, level), direction / max(np.linalg.norm(direction), 1e-9), width)


def poses_from_centres(levels: Sequence[str], centres: np.ndarray, facing_right: bool) -> list[Pose]:
    """Rough poses from body centres alone, to cut the first crops.

    Parameters
    ----------
    levels : names from cranial to caudal, each the next one's neighbour.
    centres : (n, 2) film positions, n >= 2; raises ValueError for fewer.
    """
    centres = np.asarray(centres, float)
    if len(centres) < 2:
        raise ValueError("a single vertebra has no neighbour to take its size and direction from")
    steps = np.diff(centres, axis=0)
    gaps = np.linalg.norm(steps, axis=1)
    if levels[-1] == "S1":
        gaps[-1] = gaps[-2] if len(gaps) > 1 else gaps[-1] / _SACRAL_GAP
    poses = []
    for i, level in enumerate(levels):
        tangent = centres[min(i + 1, len(centres) - 1)] - centres[max(i - 1, 0)]
        tangent = tangent / max(np.linalg.norm(tangent), 1e-9)
        posterior = np.array([tangent[1], -tangent[0]]) * (-1.0 if facing_right else 1.0)
        gap = float(np.mean(gaps[max(i - 1, 0) : i + 1]))
        poses.append(Pose(centres[i], posterior, gap * _WIDTH_PER_GAP.get(level, _LUMBAR_WIDTH_PER_GAP)))
    return poses
