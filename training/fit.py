"""The training loop: reproducible from its seed, resumable to the very step, stopped by steps or time."""

from __future__ import annotations

import csv
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from SpineLandmarksLib.model.memory import keep_memory

from .pretrained import load_pretrained


class Task(Protocol):
    """What a network learns: its architecture, its loss on a random batch, its validation error."""

    error_name: str

    def build(self) -> nn.Module: ...
    def loss(self, model: nn.Module, rng: np.random.Generator) -> Tensor: ...
    def validate(self, model: nn.Module) -> dict[str, float]: ...


@dataclass(frozen=True)
class FitConfig:
    steps: int
    learning_rate: float = 1e-3
    backbone_rate: float = 0.3  # of learning_rate
    weight_decay: float = 1e-2
    warmup: int = 50
    average: float = 0.995  # decay of the averaged weights
    frozen_stages: int = 0  # stem and this many first stages keep their ImageNet weights; -1: nothing frozen
    validate_every: int = 200


def _optimizer(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    if config.frozen_stages >= 0:
        for module in (model.backbone.stem, *model.backbone.stages[: config.frozen_stages]):
            module.requires_grad_(False)
    backbone = [p for p in model.backbone.parameters() if p.requires_grad]
    inside = {id(p) for p in model.backbone.parameters()}
    rest = [p for p in model.parameters() if id(p) not in inside]
    return torch.optim.AdamW(
        [{"params": backbone, "scale": config.backbone_rate}, {"params": rest, "scale": 1.0}],
        lr=config.learning_rate, weight_decay=config.weight_decay,
    )


def _training_mode(model: nn.Module) -> None:
    """Batch-norm keeps its ImageNet statistics: batches are small and films too much alike."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _rate(step: int, config: FitConfig) -> float:
    if step < config.warmup:
        return (step + 1) / config.warmup
    return 0.5 + 0.5 * math.cos(math.pi * (step - config.warmup) / max(config.steps - config.warmup, 1))


class Checkpoint:
    """Model, averaged model and optimizer in one safetensors file (no pickle)."""

    def __init__(self, path: Path):
        self.path = path

    def save(self, step: int, model: nn.Module, averaged: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        tensors = {f"model.{k}": v.contiguous() for k, v in model.state_dict().items()}
        tensors |= {f"average.{k}": v.contiguous() for k, v in averaged.items()}
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": v.contiguous() for k, v in state.items()}
        part = self.path.with_suffix(".part")
        save_file(tensors, part, metadata={"step": str(step)})
        part.replace(self.path)

    def load(self, model: nn.Module, averaged: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> int:
        """Restore everything in place and return the number of steps done."""
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        with safe_open(self.path, "pt") as stream:
            step = int(stream.metadata()["step"])
            for key in stream.keys():  # noqa: SIM118 (no dictionary)
                group, name = key.split(".", 1)
                groups[group][name] = stream.get_tensor(key)
        model.load_state_dict(groups["model"])
        averaged.update(groups["average"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimizer"].items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return step


def fit(
    task: Task, config: FitConfig, out: Path, validation: Task | None = None,
    seed: int = 0, minutes: float = math.inf, initial: Path | None = None, progress=print,
) -> nn.Module:
    """Train, or go on from ``out/checkpoint.safetensors``; returns the averaged model.

    A new run starts from the weights file ``initial``, or without one from ImageNet features.

    At every validation it writes ``log.csv`` (step, seconds, loss, validation errors), the
    checkpoint, and the averaged weights as ``weights.safetensors``.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    keep_memory()
    # Channels last: half the time of a step on a CPU.
    model = task.build().to(memory_format=torch.channels_last)
    if initial is not None:
        model.load_state_dict(load_file(initial))
    else:
        load_pretrained(model.backbone)
    optimizer = _optimizer(model, config)
    averaged = {k: v.detach().clone() for k, v in model.state_dict().items()}
    checkpoint = Checkpoint(out / "checkpoint.safetensors")
    step = checkpoint.load(model, averaged, optimizer) if checkpoint.path.exists() else 0
    result = task.build().to(memory_format=torch.channels_last)
    started, losses = time.monotonic(), []
    while step < config.steps and time.monotonic() - started < minutes * 60:
        _training_mode(model)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * group["scale"] * _rate(step, config)
        # One generator a step: a resumed run draws the same batches as an uninterrupted one.
        loss = task.loss(model, np.random.default_rng([seed, step]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step += 1
        decay = min(config.average, step / (step + 10))
        with torch.no_grad():
            for key, value in model.state_dict().items():
                if value.is_floating_point():
                    averaged[key].lerp_(value, 1 - decay)
        losses.append(float(loss.detach()))
        if step % config.validate_every == 0 or step == config.steps:
            result.load_state_dict(averaged)
            row = {"step": step, "seconds": round(time.monotonic() - started, 1), "loss": round(float(np.mean(losses)), 4)}
            if validation is not None:
                row |= {k: round(v, 3) for k, v in validation.validate(result.eval()).items()}
            losses = []
            _log(out / "log.csv", row)
            progress(json.dumps(row))
            checkpoint.save(step, model, averaged, optimizer)
            save_file({k: v.contiguous() for k, v in averaged.items()}, out / "weights.safetensors")
    if step < config.steps:
        checkpoint.save(step, model, averaged, optimizer)
    result.load_state_dict(averaged)
    return result.eval()


def _log(path: Path, row: dict) -> None:
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
