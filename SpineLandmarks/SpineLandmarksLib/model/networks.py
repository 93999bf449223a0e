"""The networks of the two-step model (Cina et al., Sci Rep 11:9482, 2021).

Step 1a is :class:`LocatorNet`; steps 1b and 2 are two :class:`CornerNet` with different crops.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.anatomy import CORNERS, LEVELS
from . import dsnt
from .backbone import EfficientNetLite0, FeaturePyramid

#: Heat-maps are this much smaller than the network's input.
STRIDE = 4


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.GroupNorm(8, width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, outputs, 1),
    )


@dataclass
class LocatorOutput:
    """``presence`` (B, H, W) logits of a vertebra being centred there; ``levels`` (B, 18, H, W)
    logits, softmaxed over space to place a level and over channels to name a place; ``facing``
    (B,) logit of the patient facing right; ``negative`` (B,) logit of bones being dark."""

    presence: Tensor
    levels: Tensor
    facing: Tensor
    negative: Tensor


class LocatorNet(nn.Module):
    """Step 1a: finds and names the vertebrae of a letterboxed film, (B, 3, H, W) in, H and W
    multiples of 32; maps come out at a quarter of the size."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.pyramid = FeaturePyramid(self.backbone.channels, width)
        self.head = _head(width, 1 + len(LEVELS))
        # Nearly every place holds no vertebra's centre: start there (prior of the focal loss).
        nn.init.constant_(self.head[-1].bias[:1], -4.0)
        self.facing = nn.Linear(self.backbone.channels[-1], 1)
        # Bright edges from dark ones tell the early features, bones from gaps the late ones.
        self.negative = nn.Linear(sum(self.backbone.channels), 1)
        # Until it has learnt, films are none.
        nn.init.zeros_(self.negative.weight)
        nn.init.constant_(self.negative.bias, -3.0)

    def forward(self, x: Tensor) -> LocatorOutput:
        taps = self.backbone(x)
        maps = self.head(self.pyramid(taps))
        means = [tap.mean((-2, -1)) for tap in taps]
        return LocatorOutput(maps[:, 0], maps[:, 1:], self.facing(means[-1])[:, 0], self.negative(torch.cat(means, 1))[:, 0])


class CornerNet(nn.Module):
    """Steps 1b and 2: corners of the vertebra in the middle of a crop.

    (B, 3, S, S) crops in a standard frame (anterior left) -> (B, 4, S/4, S/4) heat-maps in the
    order of ``CORNERS``; :meth:`coordinates` reads them with DSNT.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.pyramid = FeaturePyramid(self.backbone.channels, width)
        self.head = _head(width, len(CORNERS))

    def forward(self, x: Tensor) -> Tensor:
        return dsnt.spatial_softmax(self.head(self.pyramid(self.backbone(x))))

    @staticmethod
    def coordinates(heatmaps: Tensor) -> Tensor:
        """(B, 4, h, w) heat-maps -> (B, 4, 2) corners in pixels of the crop."""
        h, w = heatmaps.shape[-2:]
        size = heatmaps.new_tensor([w, h]) * STRIDE
        # Normalised coordinates do not depend on the resolution, so no half-pixel is lost here.
        return dsnt.to_pixels(dsnt.dsnt(heatmaps), size)
