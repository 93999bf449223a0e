"""Step 1a: vertebrae of a film, found by :class:`LocatorNet` and named as one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import frames
from ..core.naming import Chain, name_chain
from . import dsnt
from .networks import STRIDE, LocatorNet, LocatorOutput
from .sampling import Pyramid, grid_through, network_input, sample

#: (width, height) of the canvas that a film is letterboxed into.
CANVAS = (256, 448)

#: Peaks of the presence map below this probability are not even candidates.
MIN_PRESENCE = 0.08

#: The looks at a film: zoom, centre as fractions of the canvas, and whether mirrored. Averaging them
#: steadies the names; two that differ in both do as well as all four combinations.
LOOKS = ((1.0, (0.5, 0.5), False), (1.2, (0.5, 0.55), True))


@dataclass(frozen=True)
class Located:
    """The named chain of a film, and the side the patient faces with its probability."""

    chain: Chain | None
    facing_right: bool
    facing_confidence: float


@dataclass
class Maps:
    """Evidence on the canvas grid at stride 4: presence (h, w), level log-probabilities (18, h, w)."""

    presence: Tensor
    levels: Tensor
    facing_right: float


def _looks(canvas: tuple[int, int]) -> list[np.ndarray]:
    """Canvas -> view maps."""
    looks = []
    for zoom, centre, mirrored in LOOKS:
        point = np.array(centre) * canvas
        look = frames.translation(*(np.array(canvas) / 2 - 0.5)) @ np.diag([zoom, zoom, 1]) @ frames.translation(*(0.5 - point))
        looks.append(frames.mirror(canvas[0]) @ look if mirrored else look)
    return looks


def _back_on_canvas(maps: Tensor, view: np.ndarray) -> tuple[Tensor, Tensor]:
    """Resample (C, h, w) maps of a view onto the canvas grid; also the (h, w) mask of what it saw."""
    h, w = maps.shape[-2:]
    to_cells = frames.scaling(1 / STRIDE)
    grid = grid_through(to_cells @ view @ np.linalg.inv(to_cells), (w, h), maps)
    seen = (grid.abs() <= 1).all(-1).to(maps.dtype)
    return F.grid_sample(maps[None], grid[None], padding_mode="border", align_corners=False)[0], seen


@torch.inference_mode()
def evidence(network: LocatorNet, films: Sequence[Pyramid], matrices: Sequence[np.ndarray]) -> list[Maps]:
    """Run all looks at some films as one batch and average each film's; ``matrices`` are film -> canvas."""
    looks = _looks(CANVAS)
    views = [sample(film, view @ matrix, CANVAS) for film, matrix in zip(films, matrices) for view in looks]
    values, inside = (torch.stack(parts)[:, None] for parts in zip(*views))
    out: LocatorOutput = network(network_input(values, inside))
    maps = torch.cat([out.presence.sigmoid()[:, None], out.levels.log_softmax(1)], 1)
    right = out.facing.sigmoid().unflatten(0, (len(films), len(looks)))
    mirrored = torch.tensor([mirrored for *_, mirrored in LOOKS], device=right.device)
    right = torch.where(mirrored, 1 - right, right)
    return [_averaged(some, facing, looks) for some, facing in zip(maps.unflatten(0, (len(films), len(looks))), right)]


def _averaged(maps: Tensor, right: Tensor, looks: list[np.ndarray]) -> Maps:
    """One film's maps (looks, 19, h, w) and facing (looks,) on its canvas."""
    total, weight = 0.0, 0.0
    for one, view in zip(maps, looks):
        one, seen = _back_on_canvas(one, view)
        total, weight = total + one * seen, weight + seen
    total = total / weight.clamp_min(1)
    return Maps(total[0], total[1:], float(right.mean()))


def candidates(maps: Maps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Peaks of the presence map: centres (n, 2) in canvas pixels, presence (n,), log-probabilities (n, 18).

    A peak's place is the DSNT of its neighbourhood; its name is read over the same neighbourhood.
    """
    p = maps.presence
    is_peak = (p == F.max_pool2d(p[None, None], 5, 1, 2)[0, 0]) & (p > MIN_PRESENCE)
    points, scores, names = [], [], []
    radius = 2
    padded = F.pad(p, (radius,) * 4)
    levels = F.pad(maps.levels, (radius,) * 4)
    for y, x in is_peak.nonzero().tolist():
        window = padded[y : y + 2 * radius + 1, x : x + 2 * radius + 1]
        heat = window / window.sum()
        side = heat.new_tensor([window.shape[1], window.shape[0]])
        cell = dsnt.to_pixels(dsnt.dsnt(heat), side) - radius + heat.new_tensor([x, y])
        points.append(((cell + 0.5) * STRIDE - 0.5).cpu().numpy())
        scores.append(float(p[y, x]))
        names.append((levels[:, y : y + 2 * radius + 1, x : x + 2 * radius + 1] * heat).sum((-2, -1)).cpu().numpy())
    if not points:
        return np.zeros((0, 2)), np.zeros(0), np.zeros((0, maps.levels.shape[0]))
    return np.array(points, float), np.array(scores), np.array(names, float)


def locate(network: LocatorNet, films: Sequence[Pyramid]) -> list[Located]:
    """Find and name the vertebrae of some films, as one batch; the chains' centres are film pixels."""
    matrices = [frames.letterbox(film.size, CANVAS) for film in films]
    return [_named(maps, matrix) for maps, matrix in zip(evidence(network, films, matrices), matrices)]


def _named(maps: Maps, matrix: np.ndarray) -> Located:
    centres, presence, names = candidates(maps)
    centres = frames.apply(np.linalg.inv(matrix), centres)
    chain = name_chain(centres, presence, names)
    right = maps.facing_right > 0.5
    return Located(chain, right, maps.facing_right if right else 1 - maps.facing_right)
