"""Steps 1b and 2: corners read on crops of single vertebrae, and mapped back to the film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..core import frames
from ..core.column import Pose
from . import dsnt
from .networks import STRIDE, CornerNet
from .sampling import Pyramid, network_input, sample


@dataclass(frozen=True)
class CropShape:
    """Side of a crop in its own pixels, and over the width of the body."""

    size: int
    span: float

    def frame(self, pose: Pose, facing_right: bool) -> np.ndarray:
        """Film -> crop map of the vertebra's standard frame."""
        return frames.crop_frame(pose.centre, pose.posterior, self.span * pose.width, self.size, facing_right)


@dataclass(frozen=True)
class Site:
    """One vertebra to read: its film, its level and its rough pose there."""

    film: Pyramid
    level: str
    pose: Pose
    facing_right: bool

    def nudged(self, back: float, up: float, zoom: float) -> Site:
        """The same vertebra seen on a crop that lies a little elsewhere (body widths) and is larger."""
        along = np.array([-self.pose.posterior[1], self.pose.posterior[0]])
        shift = (back * self.pose.posterior + up * along) * self.pose.width
        return replace(self, pose=replace(self.pose, centre=self.pose.centre + shift, width=self.pose.width * zoom))


#: Nudges of a single crop, and of two whose readings are averaged.
ONE = ((0.0, 0.0, 1.0),)
TWO = ((0.03, 0.03, 1.04), (-0.03, -0.03, 0.96))


@torch.inference_mode()
def read_corners(
    network: CornerNet, shape: CropShape, sites: Sequence[Site], nudges: Sequence[tuple[float, float, float]] = ONE
) -> tuple[np.ndarray, np.ndarray]:
    """Vertebrae of one film or of several as one batch, each on as many crops as there are nudges.

    Returns corners (n, 4, 2) in film pixels, in the order of ``CORNERS``, and their covariances
    (n, 4, 2, 2) in film pixels squared: the spread of the heat-maps, and of the crops' readings.
    """
    seen = [site.nudged(*nudge) for nudge in nudges for site in sites]
    matrices = [shape.frame(site.pose, site.facing_right) for site in seen]
    crops = [sample(site.film, m, (shape.size, shape.size)) for site, m in zip(seen, matrices)]
    values, inside = (torch.stack(parts)[:, None] for parts in zip(*crops))
    heatmaps = network(network_input(values, inside))
    on_crop = network.coordinates(heatmaps).double().cpu().numpy()
    spread = (dsnt.covariance(heatmaps) * STRIDE**2).double().cpu().numpy()
    points, covariances = np.empty_like(on_crop), np.empty_like(spread)
    for i, matrix in enumerate(matrices):
        back = np.linalg.inv(matrix)
        points[i] = frames.apply(back, on_crop[i])
        covariances[i] = back[:2, :2] @ spread[i] @ back[:2, :2].T
    # Law of total covariance over the crops of each vertebra.
    points, covariances = (a.reshape(len(nudges), len(sites), *a.shape[1:]) for a in (points, covariances))
    mean = points.mean(0)
    apart = points - mean
    return mean, covariances.mean(0) + (apart[..., :, None] * apart[..., None, :]).mean(0)
