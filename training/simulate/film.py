"""One simulated film from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SpineLandmarksLib.core.anatomy import LEVELS, corners_of

from .column import posture
from .exposure import expose
from .meshes import Anatomy
from .projection import Beam, path_lengths


@dataclass(frozen=True)
class SimulatedFilm:
    """Pixels (height, width) 0 to 1; corners in pixels by level and name, on the film or not."""

    pixels: np.ndarray
    corners: dict[str, dict[str, np.ndarray]]
    facing_right: bool
    pixel: float  # mm on the detector


def simulate(anatomy: Anatomy, seed: int, pixel: float = 0.7, lumbar: bool | None = None, facing_right: bool | None = None) -> SimulatedFilm:
    """Render one film; the same seed gives the same film.

    ``pixel`` is the detector's pitch in mm. ``lumbar`` chooses a lumbar field of view (True) or
    one up to the whole spine (False), ``facing_right`` the side; None draws them.
    """
    rng = np.random.default_rng(seed)
    patient = posture(anatomy, rng)
    if lumbar is None:
        lumbar = rng.random() < 0.75
    if facing_right is None:
        facing_right = rng.random() < 0.5
    top_level = LEVELS[rng.integers(LEVELS.index("T8"), LEVELS.index("L1") + 1)] if lumbar else LEVELS[rng.integers(0, LEVELS.index("T9"))]
    centre = {level: np.mean(list(c.values()), axis=0) for level, c in patient.corners.items()}
    margin = rng.uniform(15, 90, 2)
    if rng.random() < 0.15:
        margin[1] = rng.uniform(-30, 10)  # films that miss the sacrum
    top, bottom = centre[top_level][2] + margin[0] * 0.5, centre["S1"][2] - margin[1]
    shown = [c for level, c in centre.items() if bottom <= c[2] <= top]
    ys = np.array([c[1] for c in shown])
    front, back = ys.min() - rng.uniform(30, 150), ys.max() + rng.uniform(30, 120)

    distance, object_distance = rng.uniform(1000, 2000), rng.uniform(180, 350)
    aim = np.array([(front + back) / 2 + rng.normal(0, 30), (top + bottom) / 2 + rng.normal(0, 40)])
    source = np.array([distance - object_distance, *aim])
    detector = -object_distance
    scale = (detector - source[0]) / (0 - source[0])
    origin = (aim[0] + scale * (front - aim[0]), aim[1] + scale * (top - aim[1]))
    size = (max(64, int(scale * (back - front) / pixel)), max(64, int(scale * (top - bottom) / pixel)))
    beam = Beam(source, detector, pixel, size, origin)

    thickness, crossings = np.zeros(size[::-1]), np.zeros(size[::-1])
    for bone in patient.bones:
        t, c = path_lengths(bone, beam)
        share = 0.4 if bone.name.startswith("rib") else 1.0  # thin shells
        thickness += t
        crossings += share * c
    y = aim[0] + (origin[0] + pixel * np.arange(size[0]) - aim[0]) / scale
    z = aim[1] + (origin[1] - pixel * np.arange(size[1]) - aim[1]) / scale
    wall = np.array([patient.corners[level]["SP"][1:] for level in LEVELS])
    pixels = expose(thickness, crossings, y, z, wall, pixel, rng)
    corners = {
        level: {name: beam.project(patient.corners[level][name][None])[0] for name in corners_of(level)}
        for level in LEVELS
    }
    if facing_right:
        pixels = pixels[:, ::-1]
        corners = {k: {n: np.array([size[0] - 1 - p[0], p[1]]) for n, p in c.items()} for k, c in corners.items()}
    return SimulatedFilm(np.ascontiguousarray(pixels), corners, facing_right, pixel)
