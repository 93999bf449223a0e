"""From training runs to the weights that ship: half precision, safetensors, manifest with SHA-256."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from SpineLandmarksLib.model import weights

from .fitting import kept
from .fitting.tensors import read_tensors

#: The largest file that may ship.
MAX_BYTES = 16 * 2**20

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
    return {"file": path.name, "sha256": weights.sha256(path)}


def write_manifest(folder: Path, manifest: dict) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _packed(name: str, runs: Sequence[Path], best: bool) -> tuple[dict[str, torch.Tensor], dict]:
    """The averaged weights of some runs of a network, and the crop they were trained on as the manifest has it; of step 1a nothing."""
    crops = []
    for run in runs:
        settings = kept.read(run)
        if (kind := settings.get("kind")) != name:
            raise ValueError(f"{run} is a run of {kind}, not of {name}: give it as --{kind}")
        crops.append({key: value for key, value in settings.items() if key in ("crop_size", "crop_span")})
    if any(crop != crops[0] for crop in crops):
        raise ValueError(f"{', '.join(map(str, runs))} were trained on different crops: average runs of one kind")
    moments = [read_tensors(run / f"{'best' if best else 'weights'}.safetensors") for run in runs]
    return {key: _compact(_mean([moment[key] for moment in moments])).contiguous() for key in moments[0]}, crops[0]


def export(
    runs: dict[str, Sequence[Path]], out: Path, version: str, training_data: str,
    sd_scale: tuple[float, float] | None = None, best: bool = False, attribution: str | None = None,
) -> dict:
    """Write weights and manifest to ``out``; returns the manifest.

    ``runs`` maps locate, corners and refine to run folders with ``weights.safetensors``, or with
    ``best`` to take ``best.safetensors``; weights of several runs are averaged, which only makes sense of one
    network at several moments of its training (Izmailov et al., UAI 2018), or of runs that went apart from one
    start (Wortsman et al., ICML 2022). Of their settings the crop is kept. A network without runs is the shipped
    one, and so are, where they are not given, ``sd_scale``, the factors of ``calibrate``, and ``attribution``.
    Raises ValueError without any run, for a folder that is no run of that network, runs on different crops, a
    file over 16 MiB, and where ``out`` is the shipped folder.
    """
    if not runs:
        raise ValueError("there is nothing to pack: name at least one run of a network")
    shipped = weights.read_manifest()
    if out.resolve() == weights.FOLDER:
        raise ValueError(f"{out} holds the shipped weights: name another folder")
    packed = {name: _packed(name, some, best) for name, some in runs.items()}
    out.mkdir(parents=True, exist_ok=True)
    manifest = shipped | {"version": version, "training_data": training_data, "attribution": attribution or shipped["attribution"]}
    # They belong to the shipped networks.
    manifest.pop("ranges", None)
    (out / weights.RANGES).unlink(missing_ok=True)
    manifest["networks"] = dict(shipped["networks"])
    for name, entry in shipped["networks"].items():
        if name in packed:
            tensors, crop = packed[name]
            manifest["networks"][name] = write_tensors(out / f"{name}.safetensors", tensors) | crop
        else:
            shutil.copyfile(weights.FOLDER / entry["file"], out / entry["file"])
    if sd_scale:
        manifest["sd_scale"] = {"body": round(sd_scale[0], 3), "S1": round(sd_scale[1], 3)}
    write_manifest(out, manifest)
    return manifest
