"""One process or several: what ``torchrun`` says of this one."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from SpineLandmarksLib.model.device import choose_device


@dataclass(frozen=True)
class Rank:
    """This process among ``count``; ``device`` is its own."""

    index: int
    count: int
    device: str

    @property
    def first(self) -> bool:
        return self.index == 0

    def shared(self, model: nn.Module) -> nn.Module:
        """A model whose gradients are the mean over all processes."""
        return nn.parallel.DistributedDataParallel(model) if self.count > 1 else model

    def agreed(self, stop: bool) -> bool:
        """Whether any process wants to stop: all must, at the same step."""
        if self.count == 1:
            return stop
        wish = torch.tensor(float(stop), device=self.device)
        dist.all_reduce(wish, op=dist.ReduceOp.MAX)
        return bool(wish > 0)


def this_rank(device: str = "auto") -> Rank:
    """Join the other processes of ``torchrun``, if there are any; raises DeviceError for a device that
    is not there."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    device = choose_device(device)
    if count == 1:
        return Rank(0, 1, device)
    index = int(os.environ["RANK"])
    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', index)}"
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Rank(index, count, device)
