"""A run's state on disk, from which it goes on to the very step: safetensors, no pickle."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


class Checkpoint:
    """Model, averaged model and optimizer in one file that is there whole or not at all."""

    def __init__(self, path: Path):
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def save(self, step: int, best: float, model: nn.Module, averaged: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        tensors = {f"model.{k}": v.contiguous() for k, v in model.state_dict().items()}
        tensors |= {f"average.{k}": v.contiguous() for k, v in averaged.items()}
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": v.contiguous() for k, v in state.items()}
        part = self.path.with_suffix(".part")
        save_file(tensors, part, metadata={"step": str(step), "best": json.dumps(best)})
        part.replace(self.path)

    def load(self, model: nn.Module, averaged: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> tuple[int, float]:
        """Restore everything in place; returns the number of steps done and the least validation error. Raises
        ValueError for a broken file."""
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        try:
            with safe_open(self.path, "pt") as stream:
                told = stream.metadata()
                for key in stream.keys():  # noqa: SIM118 (no dictionary)
                    group, name = key.split(".", 1)
                    groups[group][name] = stream.get_tensor(key)
        except SafetensorError as error:
            raise ValueError(f"{self.path} is broken: delete it to start the run anew") from error
        model.load_state_dict(groups["model"])
        for name, tensor in groups["average"].items():
            averaged[name].copy_(tensor)
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimizer"].items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return int(told["step"]), float(json.loads(told["best"]))
