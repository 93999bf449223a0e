"""What a machine can do, measured: the rulers that everything else is held against."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

#: A network's layer must move its input, weights and output at least once, as float32.
_BYTES = 4


def wait_for(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], device: str = "cpu", repeats: int = 7) -> float:
    """Median of some runs, after one that is not counted."""
    _timed(work, device)
    return statistics.median(_timed(work, device) for _ in range(repeats))


def in_turn(work: Callable[[], object], other: Callable[[], object], device: str = "cpu", repeats: int = 7) -> float:
    """How many times as long as ``other`` some work takes: median of pairs, after one that is not counted. The speed of a
    shared machine changes from minute to minute, and seldom within a pair."""
    ratios = [_timed(work, device) / _timed(other, device) for _ in range(1 + repeats)]
    return statistics.median(ratios[1:])


def _timed(work: Callable[[], object], device: str) -> float:
    wait_for(device)
    started = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - started


@torch.inference_mode()
def peak(device: str = "cpu") -> float:
    """Operations (multiply and add counted apart) a second of a large dense convolution."""
    conv = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(device, memory_format=torch.channels_last)
    batch = 4 if device == "cpu" else 256
    x = torch.randn(batch, 256, 56, 56, device=device).to(memory_format=torch.channels_last)
    return 2 * batch * 256 * 256 * 9 * 56 * 56 / seconds(lambda: conv(x), device)


@torch.inference_mode()
def bandwidth(device: str = "cpu") -> float:
    """Bytes a second of a copy too large for any cache, read and written."""
    source = torch.randn(64_000_000, device=device)
    target = torch.empty_like(source)
    return 2 * _BYTES * source.numel() / seconds(lambda: target.copy_(source), device)


@torch.inference_mode()
def roofline(network: nn.Module, x: Tensor, peak: float, bandwidth: float) -> tuple[float, float]:
    """(operations, seconds) of a network's convolutions and linear layers at the least: each layer the
    larger of its operations at the peak and its bytes at the bandwidth (Williams et al., CACM 2009)."""
    operations, least = 0.0, 0.0

    def count(module, inputs, output):
        nonlocal operations, least
        work = 2.0 * output.numel() * module.weight[0].numel()
        moved = _BYTES * (inputs[0].numel() + module.weight.numel() + output.numel())
        operations += work
        least += max(work / peak, moved / bandwidth)

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    network(x)
    for hook in hooks:
        hook.remove()
    return operations, least


@torch.inference_mode()
def rivals(device: str = "cpu") -> dict[str, Callable[[], object]]:
    """Forwards at 1024 of the pose networks that others would use, by name; random weights
    time the same. Empty where ultralytics is not installed (it is no dependency of ours)."""
    try:
        from ultralytics.nn.tasks import PoseModel
    except ImportError:
        return {}
    x = torch.randn(1, 3, 1024, 1024, device=device)
    models = {name: PoseModel(f"{name}.yaml", verbose=False).eval().fuse(verbose=False).to(device) for name in ("yolov8l-pose", "yolo11n-pose")}
    return {name: torch.inference_mode()(partial(model, x)) for name, model in models.items()}
