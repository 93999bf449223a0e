"""Trained weights: safetensors files named, with their SHA-256, in ``weights/manifest.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path

from torch import Tensor, nn

from .crops import CropShape
from .fused import fuse
from .networks import CornerNet, LocatorNet
from .quantised import QuantisedBackbone, available

FOLDER = Path(__file__).resolve().parent.parent / "weights"

#: The file of what a CPU must know to run a folder's networks on integers; without it they run on floats.
RANGES = "ranges.safetensors"

#: Where a manifest has what :func:`load` needs.
_NEEDED = (
    "version", "sd_scale.body", "sd_scale.S1",
    *(f"networks.{name}.{key}" for name in ("locate", "corners", "refine") for key in ("file", "sha256")),
    *(f"networks.{name}.{key}" for name in ("corners", "refine") for key in ("crop_size", "crop_span")),
)


class WeightsError(Exception):
    """Weights that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Networks:
    """The three networks, ready for use, with the shapes of their crops and their version.

    ``sd_scale``: what heat-maps' standard deviations are multiplied by to be true ones, for bodies
    and for S1 (see ``training/evaluation/calibrate.py``).
    """

    locator: LocatorNet
    corners: CornerNet
    corners_crop: CropShape
    refiner: CornerNet
    refiner_crop: CropShape
    version: str
    sd_scale: tuple[float, float]


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remedy(folder: Path) -> str:
    """What to do where a folder's weights cannot be used."""
    return "install the package again" if folder == FOLDER else "name a whole folder that `python -m training export` wrote"


def _need(manifest: object, paths: Iterable[str], folder: Path) -> None:
    for path in paths:
        try:
            reduce(getitem, path.split("."), manifest)
        except (KeyError, TypeError) as error:
            raise WeightsError(f"the weights' manifest in {folder} has no {path}: {_remedy(folder)}.") from error


def read_manifest(folder: Path = FOLDER) -> dict:
    """The manifest as a dictionary; raises WeightsError when it is missing, broken or lacks what :func:`load` needs."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"the weights' manifest cannot be read in {folder}: {_remedy(folder)}.") from error
    _need(manifest, _NEEDED, folder)
    if "ranges" in manifest:
        _need(manifest, ("ranges.file", "ranges.sha256"), folder)
    return manifest


def identity(folder: Path = FOLDER) -> str:
    """Version and short hashes of a weights folder: differs when any of its networks does, or what they run on integers by."""
    manifest = read_manifest(folder)
    entries = [manifest["networks"][name] for name in sorted(manifest["networks"])]
    if "ranges" in manifest:
        entries.append(manifest["ranges"])
    return "-".join((manifest["version"], *(entry["sha256"][:8] for entry in entries)))


def _read(folder: Path, entry: dict) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    path = folder / entry["file"]
    if not path.is_file():
        raise WeightsError(f"the weights file {path} is missing: {_remedy(folder)}.")
    if sha256(path) != entry["sha256"]:
        raise WeightsError(f"the weights file {path} was changed or cut short (SHA-256 differs from the manifest): {_remedy(folder)}.")
    return load_file(path)


def _fill(network: nn.Module, folder: Path, entry: dict) -> nn.Module:
    tensors = _read(folder, entry)
    try:
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    except RuntimeError as error:
        path = folder / entry["file"]
        raise WeightsError(f"the weights file {path} is of another version of this network: use weights made for this version, or train it anew.") from error
    return fuse(network.eval())


def load(folder: Path = FOLDER, device: str = "cpu", quantised: bool = True) -> Networks:
    """Load and check all three networks; raises WeightsError.

    On a CPU the backbones of those that the folder has ranges of run on integers, where torch has the kernels; ``quantised``: whether
    they may.
    """
    manifest = read_manifest(folder)
    entries = manifest["networks"]
    on_integers = "ranges" in manifest and quantised and str(device).startswith("cpu") and available()
    measured = _read(folder, manifest["ranges"]) if on_integers else {}

    def crop(name: str) -> CropShape:
        return CropShape(entries[name]["crop_size"], entries[name]["crop_span"])

    def network(kind: type[nn.Module], name: str) -> nn.Module:
        filled = _fill(kind(), folder, entries[name])
        # Networks that were not measured run on floats.
        if mine := {key.removeprefix(f"{name}."): value for key, value in measured.items() if key.startswith(f"{name}.")}:
            try:
                filled.backbone = QuantisedBackbone(filled.backbone, mine)
            except KeyError as error:
                raise WeightsError(f"the weights file {folder / RANGES} lacks {error}: {_remedy(folder)}.") from error
        return filled.to(device)

    return Networks(
        locator=network(LocatorNet, "locate"),
        corners=network(CornerNet, "corners"),
        corners_crop=crop("corners"),
        refiner=network(CornerNet, "refine"),
        refiner_crop=crop("refine"),
        version=manifest["version"],
        sd_scale=(manifest["sd_scale"]["body"], manifest["sd_scale"]["S1"]),
    )
