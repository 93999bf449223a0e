"""Trained weights: safetensors files named, with their SHA-256, in ``weights/manifest.json``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from .crops import CropShape
from .fused import fuse
from .networks import CornerNet, LocatorNet

FOLDER = Path(__file__).resolve().parent.parent / "weights"


class WeightsError(Exception):
    """Weights that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Networks:
    """The three networks, ready for use, with the shapes of their crops and their version.

    ``sd_scale``: what heat-maps' standard deviations are multiplied by to be true ones, for bodies
    and for S1 (see ``training/calibrate.py``).
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


def read_manifest(folder: Path = FOLDER) -> dict:
    """The manifest as a dictionary; raises WeightsError when it is missing or broken."""
    try:
        return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"the weights' manifest cannot be read in {folder}: install the package again.") from error


def identity(folder: Path = FOLDER) -> str:
    """Version and short hashes of a weights folder: differs when any of its networks does."""
    manifest = read_manifest(folder)
    return "-".join((manifest["version"], *(manifest["networks"][name]["sha256"][:8] for name in sorted(manifest["networks"]))))


def _fill(network: nn.Module, folder: Path, entry: dict) -> nn.Module:
    from safetensors.torch import load_file

    path = folder / entry["file"]
    if not path.is_file():
        raise WeightsError(f"the weights file {path} is missing: install the package again.")
    if sha256(path) != entry["sha256"]:
        raise WeightsError(f"the weights file {path} was changed or cut short (SHA-256 differs from the manifest): install the package again.")
    try:
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()})
    except RuntimeError as error:
        raise WeightsError(f"the weights file {path} is of another version of this network: use weights made for this version, or train it anew.") from error
    return fuse(network.eval())


def load(folder: Path = FOLDER, device: str = "cpu") -> Networks:
    """Load and check all three networks; raises WeightsError."""
    manifest = read_manifest(folder)
    entries = manifest["networks"]

    def crop(name: str) -> CropShape:
        return CropShape(entries[name]["crop_size"], entries[name]["crop_span"])

    return Networks(
        locator=_fill(LocatorNet(), folder, entries["locate"]).to(device),
        corners=_fill(CornerNet(), folder, entries["corners"]).to(device),
        corners_crop=crop("corners"),
        refiner=_fill(CornerNet(), folder, entries["refine"]).to(device),
        refiner_crop=crop("refine"),
        version=manifest["version"],
        sd_scale=(manifest["sd_scale"]["body"], manifest["sd_scale"]["S1"]),
    )
