"""What a CPU must know to run networks on integers: the range of each layer's output, the mean of its input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from SpineLandmarksLib.model import weights
from SpineLandmarksLib.model.backbone import EfficientNetLite0, InvertedResidual
from SpineLandmarksLib.model.detector import Detector
from SpineLandmarksLib.model.quantised import INPUT, RANGE

from .evaluation.compare import detect
from .export import write_manifest, write_tensors
from .labels import LabelledFilm

#: Of each output about this many values are looked at: what is rarer than that may be cut, which leaves finer steps for the rest.
_SAMPLE = 5000


class _Watch:
    """Hooks on a fused backbone's layers and blocks, and what they have seen."""

    def __init__(self, backbone: EfficientNetLite0):
        self.ranges: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        layers = {name: module for name, module in backbone.named_modules() if name == "stem" or name.rpartition(".")[0].endswith("layers")}
        blocks = {name: module for name, module in backbone.named_modules() if isinstance(module, InvertedResidual) and module.shortcut}
        self._hooks = [module.register_forward_hook(self._layer(name)) for name, module in layers.items()]
        self._hooks += [module.register_forward_hook(self._output(name)) for name, module in blocks.items()]

    def _output(self, name: str):
        def see(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            some = output.flatten()[:: max(1, output.numel() // _SAMPLE)]
            low, high = self.ranges.get(name, some.new_zeros(2))
            self.ranges[name] = torch.stack([torch.minimum(low, some.amin()), torch.maximum(high, some.amax())])

        return see

    def _layer(self, name: str):
        see_output = self._output(name)

        def see(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            see_output(module, inputs, output)
            (x,) = inputs
            self._sums[name] = self._sums.get(name, 0) + x.double().sum((0, 2, 3))
            self._counts[name] = self._counts.get(name, 0) + x.numel() // x.shape[1]

        return see

    def stop(self) -> dict[str, Tensor]:
        for hook in self._hooks:
            hook.remove()
        means = {name + INPUT: (total / self._counts[name]).float() for name, total in self._sums.items()}
        return {**{name + RANGE: seen for name, seen in self.ranges.items()}, **means}


def measure(folder: Path, films: Sequence[LabelledFilm]) -> dict[str, Tensor]:
    """Ranges and means of steps 1b and 2 of a weights folder while they read some films, by network and layer. Step 1a stays
    on floats: names of whole spines hang by less than rounding moves (RESULTS.md)."""
    networks = weights.load(folder, quantised=False)
    watches = {name: _Watch(network.backbone) for name, network in (("corners", networks.corners), ("refine", networks.refiner))}
    detector = Detector(networks)
    for film in films:
        detect(detector, film)
    return {f"{name}.{layer}": seen.contiguous() for name, watch in watches.items() for layer, seen in watch.stop().items()}


def quantise(folder: Path, films: Sequence[LabelledFilm]) -> str:
    """Measure a weights folder on some films and write it there; returns the file's SHA-256. Raises ValueError where no
    vertebra was found on any film."""
    measured = measure(folder, films)
    if not any(name.startswith("refine.") for name in measured):
        raise ValueError("no vertebra was found on these films: name lateral ones, simulated ones are as good.")
    manifest = weights.read_manifest(folder)
    manifest["ranges"] = write_tensors(folder / weights.RANGES, measured)
    write_manifest(folder, manifest)
    return manifest["ranges"]["sha256"]
