"""Looks at a film: what the locating network says of it through some view, and several looks as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import frames
from .networks import STRIDE, LocatorNet, LocatorOutput
from .sampling import Pyramid, grid_through, network_input, sample

#: (width, height) of what the network sees.
CANVAS = (256, 448)

_TO_CELLS = frames.scaling(1 / STRIDE)


@dataclass(frozen=True)
class Look:
    """What was seen through one view.

    view : 3x3 film -> canvas map.
    maps : (19, h, w) at stride 4 of the canvas: presence, and log-probabilities of the levels.
    facing_right : probability.
    negative_log_odds : of the film being a negative, with dark bones.
    """

    view: np.ndarray
    maps: Tensor
    facing_right: float
    negative_log_odds: float


@dataclass(frozen=True)
class Frame:
    """Where looks are laid over each other: a 3x3 film -> frame map, and (width, height) in cells of 4 pixels."""

    matrix: np.ndarray
    size: tuple[int, int]

    @classmethod
    def around(cls, view: np.ndarray, whole: np.ndarray) -> Frame:
        """As ``view`` (film -> canvas) looks, and as wide as the canvas of another view is from there."""
        w, h = CANVAS
        edges = frames.apply(view @ np.linalg.inv(whole), np.array([(0, 0), (w - 1, 0), (0, h - 1), (w - 1, h - 1)]))
        low, high = edges.min(0), edges.max(0)
        return cls(frames.translation(*-low) @ view, tuple(int(np.ceil(side / STRIDE)) + 1 for side in high - low))


def whole(film: Pyramid) -> np.ndarray:
    """Film -> canvas map that shows all of a film but an even border around it."""
    left, top, right, bottom = film.field
    return frames.letterbox((right - left, bottom - top), CANVAS) @ frames.translation(-left, -top)


@torch.inference_mode()
def look(network: LocatorNet, films: Sequence[Pyramid], views: Sequence[np.ndarray], mirrored: bool = False) -> list[Look]:
    """Look at some films, each through its view (film -> canvas), as one batch; ``mirrored``: in a mirror."""
    if mirrored:
        views = [frames.mirror(CANVAS[0]) @ view for view in views]
    out: LocatorOutput = network(network_input(*sample(films, views, CANVAS)))
    maps = torch.cat([out.presence.sigmoid()[:, None], out.levels.log_softmax(1)], 1)
    right = out.facing.sigmoid()
    return [Look(*one) for one in zip(views, maps, (1 - right if mirrored else right).tolist(), out.negative.tolist())]


def averaged(looks: Sequence[Look], frame: Frame) -> Tensor:
    """(19, height, width) maps on a frame: the mean over the looks that saw a place, zero where none did."""
    total = weight = 0.0
    for one in looks:
        back = _TO_CELLS @ one.view @ np.linalg.inv(_TO_CELLS @ frame.matrix)
        grid = grid_through([back], frame.size, [one.maps])
        seen = (grid[0].abs() <= 1).all(-1).to(one.maps.dtype)
        total = total + F.grid_sample(one.maps[None], grid, padding_mode="border", align_corners=False)[0] * seen
        weight = weight + seen
    return total / weight.clamp_min(1)
