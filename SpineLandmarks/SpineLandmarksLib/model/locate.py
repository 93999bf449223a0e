"""Step 1a: vertebrae of a film, found by :class:`LocatorNet` and named as one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

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


class Look(NamedTuple):
    """How a film is looked at: the point that stands in the middle, as fractions of the canvas."""

    zoom: float
    centre: tuple[float, float]
    mirrored: bool

    @property
    def view(self) -> np.ndarray:
        """Canvas -> view map."""
        middle = np.array(CANVAS) / 2 - 0.5
        point = np.array(self.centre) * CANVAS - 0.5
        view = frames.translation(*middle) @ np.diag([self.zoom, self.zoom, 1]) @ frames.translation(*-point)
        return frames.mirror(CANVAS[0]) @ view if self.mirrored else view


#: Every film gets the first look; one whose names or side are not sure by then gets the second as well, and both
#: are averaged. Two that differ in zoom and side do as well as four or six.
FIRST_LOOK = Look(1.0, (0.5, 0.5), False)
SECOND_LOOK = Look(1.2, (0.5, 0.55), True)

#: A chain's naming confidence and a film's facing confidence from which one look is enough.
_SURE_NAMES, _SURE_FACING = 0.85, 0.95


@dataclass(frozen=True)
class Located:
    """The named chain of a film, the side the patient faces with its probability, and how many looks that took."""

    chain: Chain | None
    facing_right: bool
    facing_confidence: float
    looks: int = 1


@dataclass
class Maps:
    """Evidence on the canvas grid at stride 4: presence (h, w), level log-probabilities (18, h, w)."""

    presence: Tensor
    levels: Tensor
    facing_right: float


def _back_on_canvas(maps: Tensor, view: np.ndarray) -> tuple[Tensor, Tensor]:
    """Resample (C, h, w) maps of a view onto the canvas grid; also the (h, w) mask of what it saw."""
    h, w = maps.shape[-2:]
    to_cells = frames.scaling(1 / STRIDE)
    grid = grid_through(to_cells @ view @ np.linalg.inv(to_cells), (w, h), maps)
    seen = (grid.abs() <= 1).all(-1).to(maps.dtype)
    return F.grid_sample(maps[None], grid[None], padding_mode="border", align_corners=False)[0], seen


@torch.inference_mode()
def evidence(network: LocatorNet, films: Sequence[Pyramid], matrices: Sequence[np.ndarray], look: Look) -> list[tuple[Maps, Tensor]]:
    """One look at some films, as one batch: each one's maps, and the (h, w) mask of what was seen; ``matrices``
    are film -> canvas."""
    parts = [sample(film, look.view @ matrix, CANVAS) for film, matrix in zip(films, matrices)]
    values, inside = (torch.stack(part)[:, None] for part in zip(*parts))
    out: LocatorOutput = network(network_input(values, inside))
    maps = torch.cat([out.presence.sigmoid()[:, None], out.levels.log_softmax(1)], 1)
    right = out.facing.sigmoid()
    right = (1 - right if look.mirrored else right).tolist()
    found = []
    for one, facing_right in zip(maps, right):
        one, seen = _back_on_canvas(one, look.view)
        found.append((Maps(one[0] * seen, one[1:] * seen, facing_right), seen))
    return found


def _averaged(a: tuple[Maps, Tensor], b: tuple[Maps, Tensor]) -> Maps:
    """Two looks at one film, each counted where it saw."""
    (one, seen), (other, also) = a, b
    weight = (seen + also).clamp_min(1)
    return Maps((one.presence + other.presence) / weight, (one.levels + other.levels) / weight, (one.facing_right + other.facing_right) / 2)


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
    first = evidence(network, films, matrices, FIRST_LOOK)
    located = [_named(maps, matrix) for (maps, _), matrix in zip(first, matrices)]
    unsure = [i for i, found in enumerate(located) if not _sure(found)]
    if unsure:
        again = evidence(network, [films[i] for i in unsure], [matrices[i] for i in unsure], SECOND_LOOK)
        for i, second in zip(unsure, again):
            located[i] = replace(_named(_averaged(first[i], second), matrices[i]), looks=2)
    return located


def _sure(found: Located) -> bool:
    return found.chain is not None and found.chain.naming_confidence >= _SURE_NAMES and found.facing_confidence >= _SURE_FACING


def _named(maps: Maps, matrix: np.ndarray) -> Located:
    centres, presence, names = candidates(maps)
    chain = name_chain(frames.apply(np.linalg.inv(matrix), centres), presence, names)
    right = maps.facing_right > 0.5
    return Located(chain, right, maps.facing_right if right else 1 - maps.facing_right)
