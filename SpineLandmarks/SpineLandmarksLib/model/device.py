"""Which device the networks run on."""

from __future__ import annotations

import torch


class DeviceError(Exception):
    """The device that was asked for is not there; the message says what to do."""


def choose_device(wanted: str) -> str:
    """A torch device name; "auto" takes a CUDA GPU when there is one. Raises DeviceError."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"device {wanted!r} is not available here: use cpu.") from error
    return wanted
