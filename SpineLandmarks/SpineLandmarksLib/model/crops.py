"""Steps 1b and 2: corners read on crops of single vertebrae, and mapped back to the film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..core import frames
from ..core.column import Pose
from . import dsnt
from .networks import STRIDE, CornerNet
from .sampling import Pyramid, network_input, sample

#: Crops lie on a grid of so many steps a film pixel and a radian. Sums differ in their last digits with the number of threads and from
#: processor to processor; without a grid every crop would differ, and networks on integers would round all of it anew.
_STEPS = 4, 256


@dataclass(frozen=True)
class CropShape:
    """Side of a crop in its own pixels, and over the width of the body."""

    size: int
    span: float

    def frame(self, pose: Pose, facing_right: bool) -> np.ndarray:
        """Film -> crop map of the vertebra's standard frame, nearly: a grid's next one."""
        pixel, radian = _STEPS
        angle = np.round(np.arctan2(pose.posterior[1], pose.posterior[0]) * radian) / radian
        width = max(np.round(pose.width * pixel), 1) / pixel
        return frames.crop_frame(np.round(pose.centre * pixel) / pixel, np.array([np.cos(angle), np.sin(angle)]), self.span * width, self.size, facing_right)


@dataclass(frozen=True)
class Site:
    """One vertebra to read: its film, its level and its rough pose there."""

    film: Pyramid
    level: str
    pose: Pose
    facing_right: bool


def cut(shape: CropShape, sites: Sequence[Site]) -> tuple[Tensor, list[np.ndarray]]:
    """What a network sees of some vertebrae, (n, 3, size, size), and each one's film -> crop map."""
    matrices = [shape.frame(site.pose, site.facing_right) for site in sites]
    return network_input(*sample([site.film for site in sites], matrices, (shape.size, shape.size))), matrices


@torch.inference_mode()
def read_corners(network: CornerNet, shape: CropShape, sites: Sequence[Site]) -> tuple[np.ndarray, np.ndarray]:
    """Vertebrae of one film or of several as one batch.

    Returns corners (n, 4, 2) in film pixels, in the order of ``CORNERS``, and their covariances
    (n, 4, 2, 2) in film pixels squared: the spread of the heat-maps.
    """
    crops, matrices = cut(shape, sites)
    heatmaps = network(crops)
    on_crop = network.coordinates(heatmaps).double().cpu().numpy()
    spread = (dsnt.covariance(heatmaps) * STRIDE**2).double().cpu().numpy()
    back = np.linalg.inv(matrices)
    linear, shift = back[:, None, :2, :2], back[:, None, :2, 2]
    points = (linear @ on_crop[..., None])[..., 0] + shift
    return points, linear @ spread @ linear.swapaxes(-1, -2)
