"""A random patient: the template's bones reshaped and put into a new posture.

Spreads follow the population figures that ``shared/anatomy/README.md`` cites (segmental lordosis
SD 3.6 to 7.7 degrees, body depth SD about 10 %), widened a little for the sick.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from SpineLandmarksLib.core.anatomy import LEVELS

from .meshes import Anatomy

Map = Callable[[np.ndarray], np.ndarray]

#: Degrees: how much the bend of a disc differs from the template's, by region of the upper body.
_BEND_SD = {"T": 2.5, "L": 5.0}

#: Which level slips, where one does: mostly L5 (isthmic) and L4 (degenerative).
_SLIPPED = {"L2": 0.05, "L3": 0.15, "L4": 0.35, "L5": 0.45}

#: Degrees: how far a slip of a whole endplate tips its vertebra forwards, as the disc wears in front
#: (high-grade slips end in lumbosacral kyphosis).
_SLIP_TIPS = 35.0


def _turn(points: np.ndarray, pivot: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    """Rotate (n, 3) points about a coordinate axis through a pivot."""
    i, j = [k for k in range(3) if k != axis]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out = points.copy()
    d = points - pivot
    out[:, i] = pivot[i] + c * d[:, i] - s * d[:, j]
    out[:, j] = pivot[j] + s * d[:, i] + c * d[:, j]
    return out


def _reshaped(corners: dict[str, np.ndarray], rng: np.random.Generator, size: float) -> Map:
    """Growth, flattening and wedging of one body about its own centre."""
    centre = np.mean(list(corners.values()), axis=0)
    depth, height = size * np.exp(rng.normal(0, 0.05, 2))
    wedge = rng.normal(0, 0.06) if rng.random() < 0.7 else rng.normal(0, 0.2)
    half = np.linalg.norm(corners["SP"] - corners["SA"]) / 2

    def apply(points: np.ndarray) -> np.ndarray:
        d = points - centre
        # The height changes linearly from front to back; the arch behind keeps its shape.
        lever = np.clip(d[:, 1] / half, -1.2, 1.2)
        return centre + np.stack([d[:, 0] * size, d[:, 1] * depth, d[:, 2] * height * (1 + wedge * lever)], axis=1)

    return apply


def posture(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """Draw a patient: each body reshaped, each disc bent, stretched and perhaps slipped, the whole
    turned and tilted a little. Corners go through the very maps of their bones."""
    size = np.exp(rng.normal(0, 0.08))
    lordosis = rng.normal(0, 2.5)  # shared by all lumbar discs: flat and hollow backs
    pelvis = rng.normal(-lordosis, 7.0)
    slipped = rng.choice(list(_SLIPPED), p=list(_SLIPPED.values())) if rng.random() < 0.35 else None
    maps: dict[str, list[Map]] = {}
    below: list[Map] = []  # what happened to everything caudal
    for index in range(len(LEVELS) - 1, -1, -1):
        level = LEVELS[index]
        own = anatomy.corners[level]
        if level == "S1":
            pivot = own["SP"]
            below = [lambda p, pivot=pivot: _turn(p, pivot, pelvis, 0)]
            maps[level] = list(below)
            continue
        under = anatomy.corners[LEVELS[index + 1]]
        joint = np.mean([own["IA"], own["IP"], under["SA"], under["SP"]], axis=0)
        slip = min(0.08 + rng.exponential(0.22), 0.95) if level == slipped else rng.normal(0, 0.015)
        # Positive bends are kyphotic.
        bend = rng.normal(lordosis if level[0] == "L" else 0, _BEND_SD[level[0]])
        bend += _SLIP_TIPS * max(slip - 0.15, 0.0)
        axis = np.mean([own["SA"], own["SP"]], axis=0) - np.mean([own["IA"], own["IP"]], axis=0)
        axis /= np.linalg.norm(axis)
        gap = np.linalg.norm(np.mean([own["IA"], own["IP"]], axis=0) - np.mean([under["SA"], under["SP"]], axis=0))
        stretch = max(rng.normal(0, 0.25 * gap), 1.5 - gap)
        forwards = np.array([0.0, -axis[2], axis[1]])
        shift = axis * stretch + forwards * slip * np.linalg.norm(own["SP"] - own["SA"])

        def joint_motion(p, joint=joint, bend=bend, shift=shift):
            return _turn(p, joint, bend, 0) + shift

        # First the body's own shape, then its disc, then whatever moved what it stands on.
        below = [joint_motion, *below]
        maps[level] = [_reshaped(own, rng, np.exp(rng.normal(0, 0.03))), *below]
    yaw, roll, lean = rng.normal(0, 5), rng.normal(0, 3), rng.normal(0, 6)

    def bent(points: np.ndarray, level: str) -> np.ndarray:
        for step in maps[level]:
            points = step(points)
        return points

    # A patient stands in balance whatever the discs do: T9 over the sacrum, give or take a lean.
    foot, head = (bent(anatomy.corners[level]["SP"][None], level)[0] for level in ("S1", "T9"))
    rise = head - foot
    correction = np.degrees(np.arctan2(rise[1], rise[2])) - lean

    def carried(points: np.ndarray, level: str) -> np.ndarray:
        points = _turn(bent(points, level), foot, correction, 0)
        points = _turn(_turn(points, foot, yaw, 2), foot, roll, 1)
        return (points - foot) * size + anatomy.corners["S1"]["SP"]

    return Anatomy(
        tuple(bone.moved(carried(bone.vertices, bone.rides_on)) for bone in anatomy.bones),
        {level: {k: carried(p[None], level)[0] for k, p in c.items()} for level, c in anatomy.corners.items()},
    )
