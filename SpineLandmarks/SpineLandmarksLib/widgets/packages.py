"""Python packages that Slicer may lack: asked for when first needed, never at import."""

from __future__ import annotations

import importlib.util

import slicer
from slicer.i18n import tr as _

#: The versions that the library was tested with; see pyproject.toml.
TORCH_REQUIREMENT = ">=2.6"


class PackageMissing(Exception):
    """A package is not there and was not installed; the message says what to do."""


def ensure_detection() -> None:
    """Return when the networks can run (torch, safetensors); asks before it installs anything, and
    works offline when they are there. Raises PackageMissing."""
    _ensure_torch()
    _ensure_small("safetensors", "safetensors", _("to read the networks' weights"))


def ensure_report() -> None:
    """Return when pictures can be drawn (Pillow, which Slicer 5.10 lacks). Raises PackageMissing."""
    _ensure_small("PIL", "Pillow", _("to draw the annotated picture"))


def _ensure_torch() -> None:
    if importlib.util.find_spec("torch") is not None:
        return
    try:
        import PyTorchUtils
    except ImportError as error:
        raise PackageMissing(_("PyTorch is not installed: add the PyTorch extension in the Extensions Manager and restart Slicer.")) from error
    question = _(
        "Detection needs PyTorch, about 200 MB to download for a CPU and 2 to 3 GB with CUDA. Install it now?\n"
        "Without it, corners can still be corrected and measured."
    )
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle="Spine Landmarks") or (
        PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=TORCH_REQUIREMENT) is None
    ):
        raise PackageMissing(_("PyTorch was not installed: detection needs it, measuring and editing do not."))


def _ensure_small(module: str, package: str, purpose: str) -> None:
    if importlib.util.find_spec(module) is not None:
        return
    question = _("The Python package '{package}' (a few MB) is needed {purpose}. Install it now?").format(package=package, purpose=purpose)
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle="Spine Landmarks"):
        raise PackageMissing(_("{package} was not installed; it is needed {purpose}.").format(package=package, purpose=purpose))
    slicer.util.pip_install(package)
