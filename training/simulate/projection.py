"""Cone-beam projection of closed surfaces: path lengths through bone and through its cortex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .meshes import Bone


@dataclass(frozen=True)
class Beam:
    """A lateral beam along x onto an upright detector.

    source : (3,) position of the focal spot; detector_x : where the detector stands.
    pixel : mm on the detector; size : (width, height) in pixels; origin : (y, z) of the first
    pixel's centre on the detector. The patient faces left on the film (y to the right).
    """

    source: np.ndarray
    detector_x: float
    pixel: float
    size: tuple[int, int]
    origin: tuple[float, float]

    def project(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) -> film pixels (n, 2)."""
        share = (self.detector_x - self.source[0]) / (points[:, 0] - self.source[0])
        y = self.source[1] + share * (points[:, 1] - self.source[1])
        z = self.source[2] + share * (points[:, 2] - self.source[2])
        return np.stack([(y - self.origin[0]) / self.pixel, (self.origin[1] - z) / self.pixel], axis=1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """z component of the cross product of plane vectors (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


#: Where in a pixel its ray passes, off the centre by a hair: no ray may run exactly along an edge
#: that two triangles share, where it would count for neither.
_RAY = np.array([1.3e-5, 2.7e-5])

#: Pairs of triangle and pixel handled at once.
_CHUNK = 4_000_000


def path_lengths(bone: Bone, beam: Beam) -> tuple[np.ndarray, np.ndarray]:
    """(thickness, crossings), both (height, width).

    ``thickness`` is the length of each pixel's ray inside the bone, mm; ``crossings`` sums
    1 / |cos| over the surface crossings: times the cortex's thickness, it is the path within it.
    """
    w, h = beam.size
    flat = beam.project(bone.vertices)
    depth = bone.vertices[:, 0]
    triangles, depths = flat[bone.faces], depth[bone.faces]
    edges = bone.vertices[bone.faces]
    normal = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    cosine = np.abs(normal[:, 0]) / np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    area = _cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    low = np.maximum(np.ceil(triangles.min(1)), 0).astype(int)
    high = np.minimum(np.floor(triangles.max(1)), [w - 1, h - 1]).astype(int)
    span = np.maximum(high - low + 1, 0)
    use = np.flatnonzero((span.prod(1) > 0) & (np.abs(area) > 1e-12))
    thickness, crossings = np.zeros(w * h), np.zeros(w * h)
    # The sum of signed depths over all crossings of a closed surface is the length inside it; the
    # projected winding tells entering from leaving.
    ends = np.cumsum(span[use].prod(1))
    start = 0
    while start < len(use):
        stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _CHUNK)))
        part = use[start:stop]
        counts = span[part].prod(1)
        owner = np.repeat(part, counts)
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        x = low[owner, 0] + place % span[owner, 0]
        y = low[owner, 1] + place // span[owner, 0]
        p = np.stack([x, y], axis=1) + _RAY
        a, b, c = (triangles[owner, k] for k in range(3))
        weights = np.stack([_cross(b - p, c - p), _cross(c - p, a - p), _cross(a - p, b - p)], axis=1) / area[owner, None]
        hit = (weights > 0).all(axis=1)
        owner, index = owner[hit], (y * w + x)[hit]
        x_mm = (weights[hit] * depths[owner]).sum(1)
        thickness += np.bincount(index, x_mm * np.sign(area[owner]), minlength=w * h)
        crossings += np.bincount(index, 1 / np.maximum(cosine[owner], 0.06), minlength=w * h)
        start = stop
    return np.abs(thickness).reshape(h, w), crossings.reshape(h, w)
