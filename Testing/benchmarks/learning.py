"""A step of training, and the simulator that feeds it, against what the device can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from training import config, labels
from training.simulate import film
from training.simulate.meshes import load
from training.simulate.projection import Scene, path_lengths

from ..conftest import SAMPLE_FILM
from .rulers import bandwidth, peak, roofline, seconds

#: A backward pass does the convolutions of the forward pass twice: for inputs and for weights.
_PASSES = 3

#: What a pair of triangle and pixel must move at the least: the triangle's three corners with their depths, float32.
_PAIR_BYTES = 36

_PIXEL = 0.9  # mm


def training_steps(device: str) -> dict[str, float]:
    """Print seconds of a step of each network (batch, loss, gradients) beside its roofline; returns the ratios."""
    top, wide = peak(device), bandwidth(device)
    ratios = {}
    for name in config.NETWORKS:
        told = config.load(name)
        task = told.task(told.network, labels.read(SAMPLE_FILM.parent), device=device)
        model = task.build().to(device, memory_format=torch.channels_last)
        seen: list[tuple[int, ...]] = []
        handle = model.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0].shape))

        def step(task=task, model=model) -> None:
            model.zero_grad(set_to_none=True)
            task.loss(model, np.random.default_rng(0)).backward()

        taken = seconds(step, device, 5)
        handle.remove()
        x = torch.randn(seen[-1], device=device).to(memory_format=torch.channels_last)
        least = _PASSES * roofline(model.eval(), x, top, wide)[1]
        print(f"  a step of {name}, {len(x)} inputs of {x.shape[-1]} x {x.shape[-2]}: {1000 * taken:.0f} ms, {taken / least:.2f} x its roofline")
        ratios[f"training step of {name} / roofline"] = taken / least
    return ratios


def simulator(meshes: Path, device: str, count: int) -> dict[str, float]:
    """Print films a second, and their projection beside moving every pair of triangle and pixel; returns the ratio."""
    anatomy = load(meshes)
    work = lambda: film.simulate_many(anatomy, range(count), _PIXEL, lumbar=True, device=device)
    with patch.object(film, "path_lengths", wraps=path_lengths) as projected:
        work()
    scenes = projected.call_args.args[0]
    taken, projection = seconds(work, device, 3), seconds(lambda: path_lengths(scenes, film.LAYERS, device), device, 3)
    least = _pairs(scenes) * _PAIR_BYTES / bandwidth(device)
    print(f"  the simulator: {count / taken:.2f} films/s of {_PIXEL} mm pixels; its projections {projection / least:.1f} x moving their triangles")
    return {"projection / moving its triangles": projection / least}


def _pairs(scenes: Sequence[Scene]) -> int:
    """Pixels within the bounding boxes of all triangles."""
    total = 0
    for surfaces, beam in scenes:
        for surface in surfaces:
            flat = beam.project(surface.vertices)[surface.faces]
            low = np.maximum(np.ceil(flat.min(1)), 0)
            high = np.minimum(np.floor(flat.max(1)), np.array(beam.size) - 1)
            total += int(np.maximum(high - low + 1, 0).prod(1).sum())
    return total


def report(device: str, meshes: Path | None) -> dict[str, float]:
    """Print both, the second where meshes are at hand; returns the ratios."""
    print(f"\nlearning, {device}, {torch.get_num_threads()} thread(s)")
    ratios = training_steps(device)
    if meshes is not None:
        ratios |= simulator(meshes, device, 16 if device.startswith("cuda") else 2)
    return ratios
