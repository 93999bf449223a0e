"""From a film to what a network sees: resampling and normalisation, the same for training and use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import frames
from ..core.radiograph import grey_range

#: A row is even when nine tenths of it lie within this share of the film's contrast; looked for on a copy this small.
_EVEN, _FIELD_SIDE = 0.1, 256


class Pyramid:
    """A grey film with its half-size copies, so that shrinking it does not alias.

    Parameters
    ----------
    pixels : (height, width) array of any numeric type. It is not copied where it is float32 already; what is read
        from it is scaled so that its 0.5th and 99.5th percentiles are 0 and 1 (not clipped).
    """

    def __init__(self, pixels: np.ndarray, device: torch.device | str = "cpu"):
        pixels = np.require(pixels, np.float32, ["C", "W"])
        self._black, white = grey_range(pixels, (0.5, 99.5))
        self._contrast = max(white - self._black, 1e-6)
        level = torch.from_numpy(pixels)[None, None].to(device)
        self.levels = [level]  # greys as in the file
        while min(level.shape[-2:]) >= 16:
            level = _halved(level)
            self.levels.append(level)

    @classmethod
    def _of(cls, levels: list[Tensor], black: float, contrast: float) -> Pyramid:
        film = object.__new__(cls)
        film.levels, film._black, film._contrast = levels, black, contrast
        return film

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        height, width = self.levels[0].shape[-2:]
        return width, height

    def scaled(self, greys: Tensor) -> Tensor:
        """Greys of ``levels`` on the scale that networks know."""
        return (greys - self._black) / self._contrast

    def turned(self, turns: int) -> Pyramid:
        """The same film after counter-clockwise quarter turns."""
        return self._of([torch.rot90(level, turns, (-2, -1)) for level in self.levels], self._black, self._contrast)

    def inverted(self) -> Pyramid:
        """The same film with bright for dark."""
        return self._of(self.levels, self._black + self._contrast, -self._contrast)

    @cached_property
    def field(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) film pixels of what lies within an even border, such as a photograph's table or
        a collimator leaves: outside them every row and column has nearly one grey."""
        k = next((i for i, level in enumerate(self.levels) if max(level.shape[-2:]) <= _FIELD_SIDE), len(self.levels) - 1)
        small = self.scaled(self.levels[k][0, 0])
        top, bottom = _uneven(small)
        left, right = _uneven(small[top:bottom].T)
        w, h = self.size
        return left << k, top << k, min(right << k, w), min(bottom << k, h)

    def flat_shares(self, points: np.ndarray, radii: np.ndarray | float) -> np.ndarray:
        """Share of the pixels around each point (n, 2; film pixels; ``radii`` (n,) or one) that have one and the same grey: nearly 1 where the
        film is burnt out or black, whatever a network may see there. Same: within a 255th of the film's contrast."""
        w, h = self.size
        # 17 x 17 pixels are enough; where none of them lies on the film, the share is 0.
        reach = torch.as_tensor(radii, dtype=torch.float32).clamp_min(4).reshape(-1, 1, 1)
        around = (torch.linspace(-1, 1, 17) * reach).round().long()
        x, y = (torch.as_tensor(points).round().long()[..., None] + around).unbind(1)
        seen = ((y >= 0) & (y < h))[:, :, None] & ((x >= 0) & (x < w))[:, None]
        greys = self.levels[0][0, 0, y.clamp(0, h - 1)[:, :, None], x.clamp(0, w - 1)[:, None]].cpu()
        greys = greys.masked_fill(~seen, torch.nan).flatten(1)
        same = (greys - greys.nanmedian(1, keepdim=True).values).abs() <= abs(self._contrast) / 255
        return (same.sum(1) / seen.sum((1, 2)).clamp_min(1)).numpy()

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
    for axis in (-2, -1):
        first, second = level.unfold(axis, 2, 2).unbind(-1)
        sums, odd = first + second, level.shape[axis] % 2
        level = torch.cat([sums, 2 * level.narrow(axis, -1, 1)], axis) if odd else sums
    return level / 4


def sample(
    films: Sequence[Pyramid], matrices: Sequence[np.ndarray], size: tuple[int, int], row_shift: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Resample films into canvases or crops of one size.

    Parameters
    ----------
    matrices : for each, the 3x3 film -> canvas map (see ``core.frames``).
    size : (width, height) of the canvases.
    row_shift : optional (height,) tensor: canvas row y is read from x + row_shift[y]; bends the
        column for augmentation.

    Returns
    -------
    (values, inside) : both (n, 1, height, width); ``inside`` is 1 where the canvas lies on the film,
        and ``values`` is 0 where it does not.
    """
    sources, backs = [], []
    for film, matrix in zip(films, matrices):
        shrink = 1.0 / frames.scale_of(matrix)
        k = int(np.clip(round(math.log2(max(shrink, 1e-6))), 0, len(film.levels) - 1))
        sources.append(film.levels[k])
        backs.append(frames.scaling(0.5**k) @ np.linalg.inv(matrix))
    grid = grid_through(backs, size, sources, row_shift)
    inside = (torch.maximum(grid[..., 0].abs(), grid[..., 1].abs()) < 1).float()[:, None]
    values = [
        film.scaled(F.grid_sample(source, there[None], mode="bilinear", padding_mode="border", align_corners=False))
        for film, source, there in zip(films, sources, grid)
    ]
    return torch.cat(values).mul_(inside), inside


def grid_through(backs: Sequence[np.ndarray], size: tuple[int, int], sources: Sequence[Tensor], row_shift: Tensor | None = None) -> Tensor:
    """Where canvases read their sources: (n, height, width, 2) coordinates of ``grid_sample``, in which -1 and 1
    are a source's outer edges.

    ``backs``: 3x3 canvas -> source maps, in pixels of each; ``size``: (width, height) of the canvases; ``sources``
    (..., height, width); ``row_shift`` as for :func:`sample`.
    """
    w, h = size
    to_units = [np.array([[2 / sw, 0, 1 / sw - 1], [0, 2 / sh, 1 / sh - 1]]) for sh, sw in (source.shape[-2:] for source in sources)]
    device = sources[0].device
    maps = torch.as_tensor(np.stack([to_unit @ back for to_unit, back in zip(to_units, backs)]), dtype=torch.float32, device=device)
    x = torch.arange(w, dtype=torch.float32, device=device)
    y = torch.arange(h, dtype=torch.float32, device=device)[:, None]
    grid = torch.empty((len(maps), h, w, 2), device=device)
    for axis in (0, 1):
        per_x, per_y, offset = maps[:, axis].T[:, :, None, None]
        torch.add(per_x * x + offset, per_y * y, out=grid[..., axis])
        if row_shift is not None:
            grid[..., axis] += per_x * row_shift.to(device)[:, None]
    return grid


def _box_mean(values: Tensor, radius: int) -> Tensor:
    """Mean over a (2 radius + 1) square, zeros outside: (B, 1, H, W) -> same; by running sums."""
    size = 2 * radius + 1
    total = F.pad(values, (radius + 1, radius)).cumsum(-1)
    total = F.pad(total[..., size:] - total[..., :-size], (0, 0, radius + 1, radius)).cumsum(-2)
    return (total[..., size:, :] - total[..., :-size, :]).mul_(1 / size**2)


def _standardised(values: Tensor, mean: Tensor, variance: Tensor, inside: Tensor, floor: Tensor | float) -> Tensor:
    # In place where that is safe: half of this takes as long as moving it through memory.
    return (values - mean).mul_((variance.clamp_min(0) + floor**2).rsqrt_()).clamp_(-4, 4).mul_(inside)


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
    # The floor follows the film's own contrast, so that noise in black borders stays small.
    floor = 0.15 * variance.clamp_min(0).sqrt() + 0.01
    squares = values**2
    for fraction in (8, 24):
        radius = max(2, side // (2 * fraction))
        weight = _box_mean(inside, radius).clamp_min_(1e-4)
        local = _box_mean(values, radius).div_(weight)
        square = _box_mean(squares, radius).div_(weight)
        channels.append(_standardised(values, local, square.sub_(local**2), inside, floor))
    return torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last)
