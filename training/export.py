"""From training runs to the weights that ship: half precision, safetensors, manifest with SHA-256."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from SpineLandmarksLib.model.weights import sha256

#: The largest file that may ship.
MAX_BYTES = 16 * 2**20

LICENCE = "Apache-2.0"
ATTRIBUTION = (
    "Features start from EfficientNet-Lite0 ImageNet weights (Google, Apache-2.0). Trained on lateral lumbar films of "
    "King Abdullah University Hospital: Fraiwan et al. 2022, Mendeley Data 10.17632/xkt857dsxk, CC BY 4.0; corners read "
    "inside the published labels 10.17632/5jdfdgp762."
)


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    # Vectors (biases, batch-norm) keep full precision: they are few, and some are tiny numbers.
    return tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor


def _mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).to(tensors[0].dtype)


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> dict:
    """A file of a weights folder; returns its entry in the manifest. Raises ValueError for a file over 16 MiB."""
    save_file(tensors, path)
    path.chmod(0o644)  # safetensors writes files that only their owner can read
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")
    return {"file": path.name, "sha256": sha256(path)}


def write_manifest(folder: Path, manifest: dict) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def export(
    runs: dict[str, Sequence[Path]], crops: dict[str, dict], out: Path, version: str, training_data: str,
    sd_scale: tuple[float, float] = (1.0, 1.0), best: bool = False,
) -> dict:
    """Write weights and manifest to ``out``; returns the manifest.

    ``runs`` maps locate, corners and refine to run folders with ``weights.safetensors``, or with
    ``best`` to take ``best.safetensors``; weights of several runs are averaged, which only makes sense of one
    network at several moments of its training (Izmailov et al., UAI 2018), or of runs that went apart from one
    start (Wortsman et al., ICML 2022); ``crops`` holds the crop shapes that the manifest repeats;
    ``sd_scale`` the factors of ``calibrate``. Raises ValueError for a file over 16 MiB.
    """
    out.mkdir(parents=True, exist_ok=True)
    networks = {}
    for name, some in runs.items():
        moments = [load_file(run / f"{'best' if best else 'weights'}.safetensors") for run in some]
        tensors = {key: _compact(_mean([moment[key] for moment in moments])).contiguous() for key in moments[0]}
        networks[name] = write_tensors(out / f"{name}.safetensors", tensors) | crops.get(name, {})
    manifest = {"version": version, "licence": LICENCE, "training_data": training_data, "attribution": ATTRIBUTION, "networks": networks}
    manifest["sd_scale"] = {"body": round(sd_scale[0], 3), "S1": round(sd_scale[1], 3)}
    write_manifest(out, manifest)
    return manifest
