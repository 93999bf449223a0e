"""From a film to what a network sees: resampling and normalisation, the same for training and use."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import frames

#: A row is even when nine tenths of it lie within this share of the film's contrast; looked for on a copy this small.
_EVEN, _FIELD_SIDE = 0.1, 256


class Pyramid:
    """A grey film with its half-size copies, so that shrinking it does not alias.

    Parameters
    ----------
    pixels : (height, width) array of any numeric type; kept as float32, scaled so that the 0.5th
        and 99.5th percentiles are 0 and 1 (not clipped).
    """

    def __init__(self, pixels: np.ndarray, device: torch.device | str = "cpu"):
        pixels = np.asarray(pixels, dtype=np.float32)
        # So many pixels are enough for two percentiles of a film, and much faster.
        step = max(1, int(math.sqrt(pixels.size / 60_000)))
        low, high = np.percentile(pixels[::step, ::step], (0.5, 99.5))
        scaled = pixels - np.float32(low)
        scaled *= np.float32(1 / max(high - low, 1e-6))
        level = torch.from_numpy(scaled)[None, None].to(device)
        self.size = (pixels.shape[1], pixels.shape[0])
        self.levels = [level]
        while min(level.shape[-2:]) >= 16:
            level = _halved(level)
            self.levels.append(level)

    def turned(self, turns: int) -> Pyramid:
        """The same film after counter-clockwise quarter turns."""
        size = self.size if turns % 2 == 0 else self.size[::-1]
        return self._with([torch.rot90(level, turns, (-2, -1)) for level in self.levels], size)

    def inverted(self) -> Pyramid:
        """The same film with bright for dark."""
        return self._with([1 - level for level in self.levels], self.size)

    @classmethod
    def _with(cls, levels: list[Tensor], size: tuple[int, int]) -> Pyramid:
        film = object.__new__(cls)
        film.levels, film.size = levels, size
        return film

    @cached_property
    def field(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) film pixels of what lies within an even border, such as a photograph's table or
        a collimator leaves: outside them every row and column has nearly one grey."""
        k = next((i for i, level in enumerate(self.levels) if max(level.shape[-2:]) <= _FIELD_SIDE), len(self.levels) - 1)
        small = self.levels[k][0, 0]
        top, bottom = _uneven(small)
        left, right = _uneven(small[top:bottom].T)
        w, h = self.size
        return left << k, top << k, min(right << k, w), min(bottom << k, h)

    def flat_share(self, point: np.ndarray, radius: float) -> float:
        """Share of the pixels around a point (film pixels) that have one and the same grey: nearly 1 where the
        film is burnt out or black, whatever a network may see there. Same: within a 255th of the film's contrast."""
        (x, y), r = np.round(point).astype(int), max(4, int(radius))
        step = max(1, r // 8)  # 16 x 16 pixels are enough
        patch = self.levels[0][0, 0, max(0, y - r) : max(0, y + r + 1) : step, max(0, x - r) : max(0, x + r + 1) : step]
        return float(((patch - patch.median()).abs() <= 1 / 255).float().mean()) if patch.numel() else 0.0

    @property
    def device(self) -> torch.device:
        return self.levels[0].device


def _uneven(picture: Tensor) -> tuple[int, int]:
    """First row and the one after the last whose greys differ; all rows where none's do."""
    low, high = torch.quantile(picture, picture.new_tensor([0.05, 0.95]), dim=1)
    rows = (high - low > _EVEN).nonzero()[:, 0].tolist()
    return (rows[0], rows[-1] + 1) if rows else (0, len(picture))


def _halved(level: Tensor) -> Tensor:
    """Means of 2 x 2 pixels, of one odd row or column by itself; twice as fast as pooling."""
    height, width = level.shape[-2:]
    if height % 2 or width % 2:
        level = F.pad(level, (0, width % 2, 0, height % 2), mode="replicate")
    rows = level[..., ::2, :] + level[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def sample(
    film: Pyramid, matrix: np.ndarray, size: tuple[int, int], row_shift: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Resample a film into a canvas or crop.

    Parameters
    ----------
    matrix : 3x3 film -> canvas map (see ``core.frames``).
    size : (width, height) of the canvas.
    row_shift : optional (height,) tensor: canvas row y is read from x + row_shift[y]; bends the
        column for augmentation.

    Returns
    -------
    (values, inside) : both (height, width); ``inside`` is 1 where the canvas lies on the film,
        and ``values`` is 0 where it does not.
    """
    shrink = 1.0 / frames.scale_of(matrix)
    k = int(np.clip(round(math.log2(max(shrink, 1e-6))), 0, len(film.levels) - 1))
    source = film.levels[k]
    grid = grid_through(frames.scaling(0.5**k) @ np.linalg.inv(matrix), size, source, row_shift)
    inside = (grid.abs().amax(-1) < 1).float()
    values = F.grid_sample(source, grid[None], mode="bilinear", padding_mode="border", align_corners=False)
    return values[0, 0] * inside, inside


def grid_through(back: np.ndarray, size: tuple[int, int], source: Tensor, row_shift: Tensor | None = None) -> Tensor:
    """Where a canvas reads its source: (height, width, 2) coordinates of ``grid_sample``, in which -1 and 1
    are the source's outer edges.

    ``back``: 3x3 canvas -> source map, in pixels of each; ``size``: (width, height) of the canvas; ``source``
    (..., height, width); ``row_shift`` as for :func:`sample`.
    """
    (w, h), (sh, sw) = size, source.shape[-2:]
    to_unit = np.array([[2 / sw, 0, 1 / sw - 1], [0, 2 / sh, 1 / sh - 1], [0, 0, 1]])
    m = torch.as_tensor(to_unit @ back, dtype=torch.float32, device=source.device)
    x = torch.arange(w, dtype=torch.float32, device=source.device)
    y = torch.arange(h, dtype=torch.float32, device=source.device)[:, None]
    grid = torch.empty((h, w, 2), device=source.device)
    for axis in (0, 1):
        per_x, per_y, offset = m[axis]
        torch.add(per_x * x + offset, per_y * y, out=grid[..., axis])
        if row_shift is not None:
            grid[..., axis] += per_x * row_shift.to(source.device)[:, None]
    return grid


def _box_mean(values: Tensor, radius: int) -> Tensor:
    """Mean over a (2 radius + 1) square, zeros outside: (B, 1, H, W) -> same; by running sums."""
    size = 2 * radius + 1
    total = F.pad(values, (radius + 1, radius)).cumsum(-1)
    total = F.pad(total[..., size:] - total[..., :-size], (0, 0, radius + 1, radius)).cumsum(-2)
    return (total[..., size:, :] - total[..., :-size, :]) / size**2


def _standardised(values: Tensor, mean: Tensor, variance: Tensor, inside: Tensor, floor: float) -> Tensor:
    return ((values - mean) / (variance.clamp_min(0) + floor**2).sqrt()).clamp(-4, 4) * inside


def network_input(values: Tensor, inside: Tensor) -> Tensor:
    """Three views of each canvas: (B, 1, H, W) values and inside-masks -> (B, 3, H, W).

    Channel 0 is standardised over the whole canvas, channels 1 and 2 over a wide and a narrow
    neighbourhood: the haze, burnt-out pelvis and vignettes of photographed films vanish there.
    """
    side = max(values.shape[-2:])
    if inside.min() > 0:
        inside = inside[:1]  # the same for all: a third of the means below are needed once
    count = inside.sum((-2, -1), keepdim=True).clamp_min(1)
    mean = values.sum((-2, -1), keepdim=True) / count
    variance = ((values - mean) ** 2 * inside).sum((-2, -1), keepdim=True) / count
    channels = [_standardised(values, mean, variance, inside, 0.02)]
    for fraction in (8, 24):
        radius = max(2, side // (2 * fraction))
        weight = _box_mean(inside, radius).clamp_min(1e-4)
        local = _box_mean(values, radius) / weight
        square = _box_mean(values**2, radius) / weight
        # The floor follows the film's own contrast, so that noise in black borders stays small.
        floor = 0.15 * variance.clamp_min(0).sqrt() + 0.01
        channels.append(((values - local) / ((square - local**2).clamp_min(0) + floor**2).sqrt()).clamp(-4, 4) * inside)
    return torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last)
