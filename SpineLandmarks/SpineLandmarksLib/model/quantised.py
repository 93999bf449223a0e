"""Backbones on integers: 8 bits for features, 7 for weights. On CPUs they take a third to two thirds of the time.

Scheme: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(CVPR 2018), after training; biases are corrected for what rounding the weights shifts (Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2.2). Weights have 7 bits because
processors without VNNI add two products of 8 bits each in 16 bits, and would cut the sum.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from .backbone import TAPS, EfficientNetLite0, InvertedResidual
from .fused import FusedConv

#: torch's kernels for quantized tensors: oneDNN's.
_ENGINE = "onednn"

#: Weights are integers up to this size.
_MOST = 63

#: Features are 0 to 255 over the range that was measured; of a ReLU6 over no more than this.
_STEPS, _RELU6 = 255, 6.0

#: Names of what was measured, after a layer's name: least and greatest output (2,), and the mean of each input channel (n,).
RANGE, INPUT = ".range", ".input"


@lru_cache(1)
def available() -> bool:
    """Whether this machine's torch has the kernels; asks it for a convolution."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says once a process that it may name all of this anew
            pixel = torch.quantize_per_tensor(torch.zeros(1, 1, 1, 1), 1.0, 0, torch.quint8)
            layer = _packed(torch.ones(1, 1, 1, 1), torch.zeros(1), (1, 1), (0, 0), 1)
            torch.ops.quantized.conv2d(pixel, layer, 1.0, 0)
    except (AttributeError, RuntimeError):
        return False
    return True


def _packed(weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int], groups: int):
    scales = _scales(weight)
    integers = torch.quantize_per_channel(weight.contiguous(), scales, torch.zeros(len(scales), dtype=torch.long), 0, torch.qint8)
    before, torch.backends.quantized.engine = torch.backends.quantized.engine, _ENGINE
    try:
        return torch.ops.quantized.conv2d_prepack(integers, bias, list(stride), list(padding), [1, 1], groups)
    finally:
        torch.backends.quantized.engine = before


def _scales(weight: Tensor) -> Tensor:
    """What one step of a weight is, of each output channel."""
    return (weight.flatten(1).abs().amax(1).double() / _MOST).clamp_min(1e-12)


def _steps(measured: Tensor, most: float | None = None) -> tuple[float, int]:
    """(scale, zero point) of features between a least and a greatest one; 0 is always one of them."""
    low, high = min(float(measured[0]), 0.0), float(measured[1])
    high = max(high if most is None else min(high, most), low + 1e-6)
    scale = (high - low) / _STEPS
    return scale, round(-low / scale)


class _Convolution:
    """A fused convolution on integers, with the ReLU after it, if there is one: what exceeds the range is cut anyhow."""

    def __init__(self, layer: nn.Sequential, name: str, measured: Mapping[str, Tensor]):
        self._conv: FusedConv = layer[0]
        relu = any(isinstance(module, nn.ReLU6) for module in layer)
        self._scale, self._zero = _steps(measured[name + RANGE], _RELU6 if relu else None)
        self._run = torch.ops.quantized.conv2d_relu if relu else torch.ops.quantized.conv2d
        weight, mean = self._conv.weight.detach(), measured[name + INPUT]
        steps = _scales(weight)[:, None, None, None]
        lost = (weight - ((weight / steps).round() * steps).float()).sum((2, 3))
        self._bias = self._conv.bias.detach() + (lost[:, 0] * mean if self._conv.groups > 1 else lost @ mean)
        self._layers: dict[tuple[int, int], object] = {}  # by padding, which odd sides have more of

    def __call__(self, x: Tensor) -> Tensor:
        padding = self._conv.padding_of(x)
        if padding not in self._layers:
            self._layers[padding] = _packed(self._conv.weight.detach(), self._bias, self._conv.stride, padding, self._conv.groups)
        return self._run(x, self._layers[padding], self._scale, self._zero)


class _Block:
    """An inverted residual on integers."""

    def __init__(self, block: InvertedResidual, name: str, measured: Mapping[str, Tensor]):
        self._layers = [_Convolution(layer, f"{name}.layers.{i}", measured) for i, layer in enumerate(block.layers)]
        self._sum = _steps(measured[name + RANGE]) if block.shortcut else None

    def __call__(self, x: Tensor) -> Tensor:
        y = x
        for layer in self._layers:
            y = layer(y)
        return y if self._sum is None else torch.ops.quantized.add(x, y, *self._sum)


class QuantisedBackbone(nn.Module):
    """A fused :class:`EfficientNetLite0` whose stages run on integers; its stem does not, which sees the finest greys.

    ``measured``: ranges and means of its layers (see ``training.quantise``), by "stages.1.0.layers.2.range" and so on.
    (B, 3, H, W) -> the same features as float32. Raises KeyError when a layer was not measured.
    """

    channels = EfficientNetLite0.channels

    def __init__(self, backbone: EfficientNetLite0, measured: Mapping[str, Tensor]):
        super().__init__()
        self.stem = backbone.stem
        self._first = _steps(measured["stem" + RANGE], _RELU6)
        self._stages = [
            [_Block(block, f"stages.{i}.{j}", measured) for j, block in enumerate(stage)] for i, stage in enumerate(backbone.stages)
        ]

    def forward(self, x: Tensor) -> list[Tensor]:
        count = len(x)
        if count == 1:
            x = torch.cat([x, x])  # oneDNN sends a single picture through kernels that take seven times as long
        x = torch.quantize_per_tensor(self.stem(x), *self._first, torch.quint8)
        taps = []
        for i, stage in enumerate(self._stages):
            for block in stage:
                x = block(x)
            if i in TAPS:
                taps.append(x[:count].dequantize())
        return taps
