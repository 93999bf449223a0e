"""Weights files from disk, with an error that says what to do."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; raises ValueError for a broken one or another kind, OSError where it cannot be read."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no whole safetensors file: name weights.safetensors of a run, or of a weights folder") from error
