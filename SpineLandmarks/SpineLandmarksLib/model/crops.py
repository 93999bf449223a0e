"""Steps 1b and 2: corners read on crops of single vertebrae, and mapped back to the film."""

from __future__ import annotations

from dataclasses import dataclass

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


@torch.inference_mode()
def read_corners(
    network: CornerNet, shape: CropShape, film: Pyramid, poses: list[Pose], facing_right: bool
) -> tuple[np.ndarray, np.ndarray]:
    """All vertebrae of a film as one batch.

    Returns corners (n, 4, 2) in film pixels, in the order of ``CORNERS``, and their covariances
    (n, 4, 2, 2) in film pixels squared: the spread of the heat-maps.
    """
    matrices = [shape.frame(pose, facing_right) for pose in poses]
    crops = [sample(film, m, (shape.size, shape.size)) for m in matrices]
    values, inside = (torch.stack(parts)[:, None] for parts in zip(*crops))
    heatmaps = network(network_input(values, inside))
    on_crop = network.coordinates(heatmaps).double().cpu().numpy()
    spread = (dsnt.covariance(heatmaps) * STRIDE**2).double().cpu().numpy()
    points, covariances = np.empty_like(on_crop), np.empty_like(spread)
    for i, matrix in enumerate(matrices):
        back = np.linalg.inv(matrix)
        points[i] = frames.apply(back, on_crop[i])
        covariances[i] = back[:2, :2] @ spread[i] @ back[:2, :2].T
    return points, covariances
