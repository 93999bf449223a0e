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

#: S1's plate over the same.
_SACRAL_WIDTH_PER_GAP = 0.9

#: S1 is placed at the middle of its plate, so its gap to L5 lacks half a body.
_SACRAL_GAP = 0.66

#: How far S1's plate and L5 lean back against the line through the lumbar bodies, degrees: where a vertebra
#: has slipped the way to the next centre says nothing of S1 and little of L5. L5 follows the step to S1 by so
#: much of it. From labelled centres S1 is met within 9 degrees on the 19 training films (28 along the steps),
#: L5 within 6, or 13 without S1 (regression over these and 980 simulated films, rounded).
_SACRAL_LEAN = 38.0
_L5_LEAN, _L5_FOLLOWS = 14.0, 0.35
_L5_LEAN_WITHOUT_S1 = 22.0


@dataclass(frozen=True)
class Pose:
    """One vertebra in film pixels: centre (2,), unit vector from anterior to posterior (2,), width."""

    centre: np.ndarray
    posterior: np.ndarray
    width: float


def body_centre(corners: Mapping[str, np.ndarray], level: str) -> np.ndarray:
    """Mean of the four corners; of the plate's two for S1. Raises KeyError when one is missing."""
    return np.mean([corners[name] for name in corners_of(level)], axis=0)


def bodies_of(levels: Sequence[str], centres: np.ndarray) -> np.ndarray:
    """Centres (n, 2) of a chain without the sacrum's, which stands at its plate; of a chain of two all."""
    return centres[:-1] if levels[-1] == "S1" and len(centres) > 2 else centres


def median_gap(bodies: np.ndarray) -> float:
    """Median distance between the centres (n, 2) of neighbouring bodies."""
    return float(np.median(np.linalg.norm(np.diff(bodies, axis=0), axis=1)))


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
    back = -1.0 if facing_right else 1.0
    gaps = _body_gaps(levels, centres)
    poses = []
    for level, centre, tilt, gap in zip(levels, centres, _tilts(levels, centres, back), gaps):
        tilt = np.radians(tilt)
        per_gap = _SACRAL_WIDTH_PER_GAP if level == "S1" else _WIDTH_PER_GAP.get(level, _LUMBAR_WIDTH_PER_GAP)
        poses.append(Pose(centre, np.array([back * np.cos(tilt), -np.sin(tilt)]), gap * per_gap))
    return poses


def _body_gaps(levels: Sequence[str], centres: np.ndarray) -> list[float]:
    """Distance between bodies around each vertebra: the mean of the two gaps that are nearest."""
    gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    if levels[-1] == "S1":
        gaps = gaps[:-1] if len(gaps) > 1 else gaps / _SACRAL_GAP
    nearest = [min(max(i - 1, 0), max(len(gaps) - 2, 0)) for i in range(len(centres))]
    return [float(gaps[i : i + 2].mean()) for i in nearest]


def _tilts(levels: Sequence[str], centres: np.ndarray, back: float) -> list[float]:
    """How far each vertebra's posterior end points up, degrees."""

    def lean(step: np.ndarray) -> float:
        """How far a step down the column goes back, degrees."""
        return float(np.degrees(np.arctan2(back * step[0], step[1])))

    last = len(centres) - 1
    tilts = [lean(centres[min(i + 1, last)] - centres[max(i - 1, 0)]) for i in range(len(centres))]
    if levels[-1] not in ("L5", "S1"):
        return tilts
    sacrum = levels[-1] == "S1"
    l5 = last - sacrum
    # Through up to five bodies; where L5 has none above it, the step to S1 must do.
    line = lean(centres[max(l5, 1)] - centres[max(l5 - 4, 0)])
    if sacrum:
        tilts[l5] = line + _L5_LEAN + _L5_FOLLOWS * (lean(centres[last] - centres[l5]) - line)
        tilts[last] = line + _SACRAL_LEAN
    else:
        tilts[l5] = line + _L5_LEAN_WITHOUT_S1
    return tilts
