"""EfficientNet-Lite0 features and a light feature pyramid on top of them.

Architecture: Tan and Le, "EfficientNet" (ICML 2019), in the Lite variant (no squeeze-excitation,
ReLU6) that TensorFlow published; pyramid after Lin et al., "Feature Pyramid Networks" (CVPR 2017).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

#: (expansion, kernel, stride, channels, repeats) of each stage.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
#: Stages whose outputs feed the pyramid, at strides 4, 8, 16 and 32.
TAPS = (1, 2, 4, 6)


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which the pretrained weights expect."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pads = []  # (before, after) in y, then x
        for length, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride):
            total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
            pads.append((total // 2, total - total // 2))
        if any(before != after for before, after in pads):
            x, pads = F.pad(x, (*pads[1], *pads[0])), [(0, 0)] * 2
        return F.conv2d(x, self.weight, None, self.stride, (pads[0][0], pads[1][0]), 1, self.groups)


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True) -> nn.Sequential:
    layers = [SameConv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if relu else []))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; with a shortcut where the shape allows one."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        middle = inputs * expansion
        expand = [_conv_bn(inputs, middle, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            _conv_bn(middle, middle, kernel, stride, groups=middle),
            _conv_bn(middle, outputs, 1, relu=False),
        )
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.shortcut else self.layers(x)


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) -> features at strides 4, 8, 16, 32 with 24, 40, 112, 320 channels."""

    channels = tuple(STAGES[i][3] for i in TAPS)

    def __init__(self):
        super().__init__()
        self.stem = _conv_bn(3, 32, 3, stride=2)
        stages, inputs = [], 32
        for expansion, kernel, stride, outputs, repeats in STAGES:
            blocks = []
            for i in range(repeats):
                blocks.append(InvertedResidual(inputs, outputs, expansion, kernel, stride if i == 0 else 1))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        taps = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                taps.append(x)
        return taps


class FeaturePyramid(nn.Module):
    """Merges the backbone's taps, top down, into one (B, width, H/4, W/4) map."""

    def __init__(self, channels: tuple[int, ...], width: int):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, groups=width),
                nn.Conv2d(width, width, 1),
                nn.GroupNorm(8, width),
                nn.ReLU(inplace=True),
            )
            for _ in channels
        )

    def forward(self, taps: list[Tensor]) -> Tensor:
        merged = None
        for tap, lateral, smooth in zip(taps[::-1], list(self.lateral)[::-1], list(self.smooth)[::-1]):
            x = lateral(tap)
            if merged is not None:
                x = x + F.interpolate(merged, size=x.shape[-2:], mode="bilinear", align_corners=False)
            merged = smooth(x)
        return merged
