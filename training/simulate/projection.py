"""Cone-beam projection of closed surfaces with torch: path lengths inside, and through their walls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


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


@dataclass(frozen=True)
class Surface:
    """Vertices (n, 3) in mm and faces (m, 3) of closed surfaces that are to be told apart from others by
    ``layer``, a number from 0. ``wall``: how thick the wall is, of all faces or of each (m,)."""

    vertices: np.ndarray
    faces: np.ndarray
    layer: int = 0
    wall: float | np.ndarray = 1.0


#: Where in a pixel its ray passes, off the centre by a hair: no ray may run exactly along an edge
#: that two triangles share, where it would count for neither.
_RAY = (1.3e-3, 2.7e-3)

#: Pairs of triangle and pixel handled at once.
_CHUNK = {"cpu": 2_000_000, "cuda": 60_000_000}


#: What one film shows: its surfaces, and the beam that it is taken with.
Scene = tuple[Sequence[Surface], Beam]


def path_lengths(scenes: Sequence[Scene], layers: int = 1, device: str = "cpu") -> list[tuple[Tensor, Tensor]]:
    """(thickness, crossings) of each scene, both (layers, height, width); all scenes in one go.

    ``thickness`` is the length of each pixel's ray inside a layer's surfaces, mm; ``crossings`` sums
    wall / |cos| over the crossings of their walls: the path within them, in units of ``Surface.wall``.
    """
    w, h = (max(beam.size[k] for _, beam in scenes) for k in (0, 1))
    parts = [_triangles(surfaces, beam, number * layers) for number, (surfaces, beam) in enumerate(scenes)]
    flat, depth, slant, layer, limit = (torch.as_tensor(np.concatenate(some), device=device) for some in zip(*parts))
    area = _cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])
    low = flat.amin(1).ceil().clamp_min(0)
    high = torch.minimum(flat.amax(1).floor(), limit)
    span = (high - low + 1).clamp_min(0).long()
    low = low.long()
    pairs = span.prod(1) * (area.abs() > 1e-9)
    thickness, crossings = (torch.zeros(len(scenes) * layers * h * w, device=device) for _ in range(2))
    ends = pairs.cumsum(0)
    start, chunk = 0, _CHUNK["cuda" if device.startswith("cuda") else "cpu"]
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(torch.searchsorted(ends, before + chunk)))
        counts = pairs[start:stop]
        owner = torch.repeat_interleave(torch.arange(start, stop, device=device), counts)
        place = torch.arange(len(owner), device=device) - (ends[start:stop] - counts - before)[owner - start]
        x = low[owner, 0] + place % span[owner, 0]
        y = low[owner, 1] + torch.div(place, span[owner, 0], rounding_mode="floor")
        p = torch.stack([x, y], 1) + flat.new_tensor(_RAY)
        a, b, c = (flat[owner, k] - p for k in range(3))
        # The sum of signed depths over all crossings of a closed surface is the length inside it; the
        # projected winding tells entering from leaving. Edges that two triangles share are judged by
        # the same numbers with the sign turned: a ray counts for exactly one of them.
        weights = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], 1) * area[owner, None].sign()
        hit = (weights > 0).all(1)
        owner, weights = owner[hit], weights[hit]
        index = (layer[owner] * h + y[hit]) * w + x[hit]
        along = (weights * depth[owner]).sum(1) / weights.sum(1)
        thickness.index_add_(0, index, along * area[owner].sign())
        crossings.index_add_(0, index, slant[owner])
        start = stop
    whole = [total.reshape(len(scenes), layers, h, w) for total in (thickness.abs(), crossings)]
    return [tuple(total[k, :, : beam.size[1], : beam.size[0]] for total in whole) for k, (_, beam) in enumerate(scenes)]


def _triangles(surfaces: Sequence[Surface], beam: Beam, first_layer: int) -> tuple[np.ndarray, ...]:
    """Of all triangles: film pixels (n, 3, 2), depths (n, 3), wall / |cos| to the beam (n,), layers (n,), and
    the film's last pixel (n, 2)."""
    flat, depth, slant, layer = [], [], [], []
    for surface in surfaces:
        points = beam.project(surface.vertices)
        corners = surface.vertices[surface.faces]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        cosine = np.abs(normal[:, 0]) / np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
        flat.append(points[surface.faces])
        depth.append(corners[:, :, 0])
        slant.append(surface.wall / np.maximum(cosine, 0.06))
        layer.append(np.full(len(corners), first_layer + surface.layer))
    single = lambda parts: np.concatenate(parts).astype(np.float32)
    last = np.array(beam.size, np.float32) - 1
    return single(flat), single(depth), single(slant), np.concatenate(layer), np.tile(last, (sum(map(len, flat)), 1))


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """z component of the cross product of plane vectors (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
