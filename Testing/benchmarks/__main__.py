"""How fast, as ratios measured in the same run: python -m Testing.benchmarks [FILM...]

One film by stage, on one thread and on all, against this machine's convolution peak and bandwidth and
against the pose networks of ultralytics where that is installed; what a person waits for; batches; learning.
Seconds are of one machine: what is kept and compared (--save, --check) are ratios.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from SpineLandmarksLib.model.detector import Detector
from SpineLandmarksLib.model.memory import keep_memory
from SpineLandmarksLib.model.weights import load

from ..conftest import SAMPLE_FILM
from . import archives, one_film, waiting

#: A ratio this much above the kept one is a regression; a loaded machine moves them by a third.
_TOLERANCE = 1.5

KEPT = Path(__file__).parent / "ratios.json"


def regressions(ratios: dict[str, float], kept: dict[str, float]) -> list[str]:
    """Ratios of this run that are clearly above the kept ones, as lines to read."""
    return [
        f"{name}: {ratios[name]:.3f}, was {before:.3f}" for name, before in kept.items()
        if name in ratios and ratios[name] > _TOLERANCE * max(before, 0.1)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", type=Path, metavar="FILM", help="default: the bundled simulated film")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=0, metavar="N", help="also measure batches of N films (200 take some minutes)")
    parser.add_argument("--learning", action="store_true", help="also measure a step of training of each network")
    parser.add_argument("--meshes", type=Path, help="with --learning: bones, to measure the simulator as well")
    parser.add_argument("--save", action="store_true", help=f"keep this run's ratios in {KEPT.name}")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a ratio is clearly worse than the kept one")
    arguments = parser.parse_args()
    keep_memory()
    paths = arguments.films or [SAMPLE_FILM]
    detector = Detector(load(device=arguments.device), arguments.device)
    ratios: dict[str, float] = {}
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        for path in paths:
            ratios |= {f"{path.name}, {threads} threads: {name}": value for name, value in one_film.report(detector, path).items()}
    ratios |= waiting.report(detector, paths[0])
    if arguments.batch:
        ratios |= archives.report(detector, paths[0], arguments.batch)
    if arguments.learning:
        from . import learning  # needs the training extras

        ratios |= learning.report(arguments.device, arguments.meshes)
    if arguments.save:
        KEPT.write_text(json.dumps({name: round(value, 3) for name, value in ratios.items()}, indent=1) + "\n")
    worse = regressions(ratios, json.loads(KEPT.read_text())) if arguments.check else []
    for line in worse:
        print("slower:", line)
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
