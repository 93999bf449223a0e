"""Torch inside Slicer: asked for when first needed, through the SlicerPyTorch extension."""

from __future__ import annotations

import importlib.util

import slicer

#: The versions that the library was tested with; see pyproject.toml.
TORCH_REQUIREMENT = ">=2.6"


class TorchMissing(Exception):
    """Torch is not there and was not installed; the message says what to do."""


def ensure_torch() -> None:
    """Return when torch and safetensors can be imported; asks before it installs anything.

    Raises TorchMissing when the user declines or the extension is missing.
    """
    if importlib.util.find_spec("torch") is None:
        try:
            import PyTorchUtils
        except ImportError as error:
            raise TorchMissing("PyTorch is not installed: add the PyTorch extension in the Extensions Manager and restart Slicer.") from error
        # About 200 MB on a CPU, 2 to 3 GB with CUDA; the extension says so and asks.
        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT) is None:
            raise TorchMissing("PyTorch was not installed: detection needs it, measuring and editing do not.")
    if importlib.util.find_spec("safetensors") is None:
        if not slicer.util.confirmOkCancelDisplay("Detection needs the small Python package 'safetensors' (under 1 MB) to read its weights. Install it now?"):
            raise TorchMissing("safetensors was not installed: detection needs it, measuring and editing do not.")
        slicer.util.pip_install("safetensors")
