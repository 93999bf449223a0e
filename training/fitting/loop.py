"""The training loop: reproducible from its seed, resumable to the very step, stopped by steps or time."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from SpineLandmarksLib.core.radiograph import FilmError
from SpineLandmarksLib.model.memory import keep_memory

from .checkpoint import Checkpoint
from .journal import Journal
from .kept import keep
from .lock import alone_in
from .pretrained import load_pretrained
from .ranks import Rank
from .stop import Stop
from .tensors import read_tensors

_CHECKPOINT = "checkpoint.safetensors"


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
    only: str = ""  # the one part of the network that learns, such as "head"; empty: all of it
    validate_every: int = 200


def _optimizer(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    if config.only:
        parts = dict(model.named_children())
        if config.only not in parts:
            raise ValueError(f"fit.only: the network has no part {config.only!r}, but {', '.join(parts)}")
        model.requires_grad_(False)
        parts[config.only].requires_grad_(True)
    elif config.frozen_stages >= 0:
        for module in (model.backbone.stem, *model.backbone.stages[: config.frozen_stages]):
            module.requires_grad_(False)
    backbone = [p for p in model.backbone.parameters() if p.requires_grad]
    inside = {id(p) for p in model.backbone.parameters()}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in inside]
    return torch.optim.AdamW(
        [{"params": backbone, "scale": config.backbone_rate}, {"params": rest, "scale": 1.0}],
        lr=config.learning_rate, weight_decay=config.weight_decay,
    )


def _start_from(model: nn.Module, path: Path) -> None:
    tensors = read_tensors(path)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} holds the weights of another network: start from a file that this network was saved to, or without one") from error


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


def fit(
    task: Task, config: FitConfig, out: Path, validation: Task | None = None, seed: int = 0, minutes: float = math.inf,
    initial: Path | None = None, rank: Rank = Rank(0, 1, "cpu"), settings: dict | None = None,
) -> nn.Module:
    """Train, or go on from ``out/checkpoint.safetensors``; returns the averaged model.

    A new run starts from the weights file ``initial``, or without one from ImageNet features. It stops
    after ``minutes``, or at Ctrl-C, with a checkpoint of the last whole step.

    At every validation it writes ``log.csv`` (step, seconds, loss, validation errors), the checkpoint,
    the averaged weights as ``weights.safetensors`` and, when no validation was better, as
    ``best.safetensors``. With several ranks each draws batches of its own, and the first one writes.
    ``settings`` are what else makes the run, kept as ``settings.json`` from its start on. Raises ValueError where another
    process trains into ``out``, or a run with other settings or another seed began there.
    """
    out.mkdir(parents=True, exist_ok=True)
    with alone_in(out) if rank.first else nullcontext():
        if rank.first:
            keep(out, {"seed": seed, **(settings or {})}, resumed=(out / _CHECKPOINT).exists())
        return _fit(task, config, out, validation, seed, minutes, initial, rank)


def _fit(
    task: Task, config: FitConfig, out: Path, validation: Task | None, seed: int, minutes: float, initial: Path | None, rank: Rank,
) -> nn.Module:
    torch.manual_seed(seed)
    keep_memory()
    # Channels last: half the time of a step on a CPU.
    model = task.build().to(rank.device, memory_format=torch.channels_last)
    if initial is not None:
        _start_from(model, initial)
    else:
        load_pretrained(model.backbone)
    optimizer = _optimizer(model, config)
    averaged = {k: v.detach().clone() for k, v in model.state_dict().items()}
    checkpoint = Checkpoint(out / _CHECKPOINT)
    step, best = checkpoint.load(model, averaged, optimizer) if checkpoint.exists() else (0, math.inf)
    shared = rank.shared(model)
    result = task.build().to(rank.device, memory_format=torch.channels_last)
    journal, losses = Journal(out, config.steps), []

    def validate() -> None:
        nonlocal best
        result.load_state_dict(averaged)
        row = {"step": step, "seconds": round(journal.seconds, 1), "loss": round(float(np.mean(losses)), 4)}
        if validation is not None:
            row |= {k: round(v, 3) for k, v in validation.validate(result.eval()).items()}
        weights = {k: v.contiguous() for k, v in averaged.items()}
        save_file(weights, out / "weights.safetensors")
        if validation is not None and row[validation.error_name] < best:
            best = row[validation.error_name]
            save_file(weights, out / "best.safetensors")
        journal.validated(row, validation and validation.error_name)
        checkpoint.save(step, best, model, averaged, optimizer)

    with Stop(minutes) as stop:
        while step < config.steps and not rank.agreed(stop.wanted()):
            try:
                losses.append(_step(task, shared, optimizer, config, step, seed, rank))
            except FilmError:
                # A film that cannot be read costs none of the steps before.
                if rank.first:
                    checkpoint.save(step, best, model, averaged, optimizer)
                raise
            step += 1
            _average(averaged, model, min(config.average, step / (step + 10)))
            if rank.first:
                journal.step(step, losses[-1])
                if step % config.validate_every == 0 or step == config.steps:
                    validate()
                    losses = []
    if rank.first:
        if step < config.steps:
            checkpoint.save(step, best, model, averaged, optimizer)
        journal.close()
    result.load_state_dict(averaged)
    return result.eval()


def _step(task: Task, model: nn.Module, optimizer: torch.optim.Optimizer, config: FitConfig, step: int, seed: int, rank: Rank) -> float:
    _training_mode(model)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * group["scale"] * _rate(step, config)
    # One generator a step: a resumed run draws the same batches as an uninterrupted one.
    loss = task.loss(model, np.random.default_rng([seed, step, rank.index][: 2 + (rank.count > 1)]))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def _average(averaged: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            averaged[key].lerp_(value, 1 - decay)
