"""Step 1a: vertebrae of a film, found by :class:`LocatorNet` and named as one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import column, frames
from ..core.naming import SURE_NAMES, Chain, name_chain
from . import dsnt
from .looks import CANVAS, Frame, averaged, look, whole
from .networks import STRIDE, LocatorNet
from .sampling import Pyramid

#: Peaks of the presence map below this probability are not even candidates.
MIN_PRESENCE = 0.08

#: Every film gets a look at the whole of it. One whose names or side are not sure by then gets a second look, and
#: both are averaged: facing confidence from which one is enough, where names are sure as well (``SURE_NAMES``).
_SURE_FACING = 0.95

#: The second look shows the column upright, as large as the lumbar films that the network learnt from: pixels of
#: the canvas from body to body, and how much larger or smaller than the first look it may be.
_GAP, _ZOOM = 58.0, (0.8, 1.8)

#: There the lowest vertebra stands so far down, as a share of the canvas' height, and where no vertebra was seen
#: the middle of the film is shown a little larger.
_LOWEST, _BLIND_ZOOM = 0.78, 1.2

#: How far the line through lumbar bodies leans back, degrees: the mean of the training films.
_LEAN = 4.0

#: Degrees by which training films are turned at most. A column that leans further gets a second look too, which counts
#: by itself where it shows more evidence than both: what the first one says is not learnt.
MOST_TURNED = 18.0


@dataclass(frozen=True)
class Located:
    """The named chain of a film, the side the patient faces with its probability, the log-odds of bones being dark,
    and how many looks that took."""

    chain: Chain | None
    facing_right: bool
    facing_confidence: float
    negative_log_odds: float
    looks: int = 1

    @property
    def evidence(self) -> float:
        """Nats in favour of a column being there, 0 without one."""
        return self.chain.evidence if self.chain is not None else 0.0


def locate(network: LocatorNet, films: Sequence[Pyramid]) -> list[Located]:
    """Find and name the vertebrae of some films, as one batch; the chains' centres are film pixels."""
    first = look(network, films, [whole(film) for film in films])
    located = [_named(one.maps, one.view, one.facing_right, one.negative_log_odds) for one in first]
    tilted = [abs(_turn(found, one.view)) > MOST_TURNED for found, one in zip(located, first)]
    unsure = [i for i, found in enumerate(located) if tilted[i] or not _sure(found)]
    if unsure:
        views = [_closer(located[i], first[i].view) for i in unsure]
        second = look(network, [films[i] for i in unsure], views, mirrored=True)
        for i, view, other in zip(unsure, views, second):
            frame = Frame.around(view, first[i].view)
            facing_right = (first[i].facing_right + other.facing_right) / 2
            negative = (first[i].negative_log_odds + other.negative_log_odds) / 2
            best = _named(averaged([first[i], other], frame), frame.matrix, facing_right, negative)
            if tilted[i]:
                upright = _named(other.maps, other.view, facing_right, negative)
                best = max(best, upright, key=lambda found: found.evidence)
            located[i] = replace(best, looks=2)
    return located


def _sure(found: Located) -> bool:
    return found.chain is not None and found.chain.naming_confidence >= SURE_NAMES and found.facing_confidence >= _SURE_FACING


def _turn(found: Located, view: np.ndarray) -> float:
    """Degrees by which what was found must be turned clockwise to stand upright, as seen through a view (film -> canvas)."""
    if found.chain is None:
        return 0.0
    lumbar = column.bodies_of(found.chain.levels, frames.apply(view, found.chain.centres))[-5:]
    step, back = lumbar[-1] - lumbar[0], -1 if found.facing_right else 1
    # By as much as the column goes to the right on its way down, more than usual.
    return float(np.degrees(np.arctan2(step[0], step[1])) - back * _LEAN)


def _closer(found: Located, first: np.ndarray) -> np.ndarray:
    """Film -> canvas map of the second look, from what was found with the map of the first one."""
    size = np.array(CANVAS)
    if found.chain is None:
        return frames.translation(*((1 - _BLIND_ZOOM) / 2 * size)) @ frames.scaling(_BLIND_ZOOM) @ first
    centres = frames.apply(first, found.chain.centres)
    bodies = column.bodies_of(found.chain.levels, centres)
    zoom = float(np.clip(_GAP / column.median_gap(bodies), *_ZOOM))
    closer = frames.scaling(zoom) @ frames.rotation_about(np.zeros(2), _turn(found, first))
    middle, lowest = frames.apply(closer, [bodies[-5:].mean(0), centres[-1]])
    return frames.translation(size[0] / 2 - middle[0], _LOWEST * size[1] - lowest[1]) @ closer @ first


def candidates(maps: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Peaks of the presence in (19, h, w) maps: centres (n, 2) in pixels of their frame, presence (n,),
    log-probabilities (n, 18).

    A peak's place is the DSNT of its neighbourhood; its name is read over the same neighbourhood.
    """
    p, radius = maps[0], 2
    side = 2 * radius + 1
    is_peak = (p == F.max_pool2d(p[None, None], side, 1, radius)[0, 0]) & (p > MIN_PRESENCE)
    peaks = is_peak.nonzero()
    if not len(peaks):
        return np.zeros((0, 2)), np.zeros(0), np.zeros((0, len(maps) - 1))
    padded = F.pad(maps, (radius,) * 4)
    windows = torch.stack([padded[:, y : y + side, x : x + side] for y, x in peaks.tolist()])
    heat = windows[:, 0] / windows[:, 0].sum((-2, -1), keepdim=True)
    cells = dsnt.to_pixels(dsnt.dsnt(heat), heat.new_tensor([side, side])) - radius + peaks.flip(-1)
    names = (windows[:, 1:] * heat[:, None]).sum((-2, -1))
    scores = p[peaks[:, 0], peaks[:, 1]]
    centres = (cells + 0.5) * STRIDE - 0.5
    return tuple(values.double().cpu().numpy() for values in (centres, scores, names))


def _named(maps: Tensor, matrix: np.ndarray, facing_right: float, negative: float) -> Located:
    """``matrix``: film -> frame of the maps, in which the column is strung together."""
    chain = name_chain(*candidates(maps))
    if chain is not None:
        chain = replace(chain, centres=frames.apply(np.linalg.inv(matrix), chain.centres))
    right = facing_right > 0.5
    return Located(chain, right, facing_right if right else 1 - facing_right, negative)
