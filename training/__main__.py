"""``python -m training``: train the three networks, export them, evaluate them on labelled films."""

from __future__ import annotations

import argparse
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import torch

from SpineLandmarksLib.model import weights
from SpineLandmarksLib.model.detector import Detector

from . import calibrate, dataset
from .corners import CornerConfig, CornerTask
from .evaluate import Errors, compare, detect, truth_of
from .export import export
from .fit import FitConfig, fit
from .locate import LocateConfig, LocateTask

CONFIGS = Path(__file__).parent / "configs"
NETWORKS = ("locate", "corners", "refine")


def _load(path: Path):
    with path.open("rb") as stream:
        config = tomllib.load(stream)
    kinds = {"locate": (LocateTask, LocateConfig), "corners": (CornerTask, CornerConfig)}
    task, network = kinds[config["task"]]
    return task, network(**config["network"]), FitConfig(**config["fit"])


def _fold(text: str) -> tuple[int, int]:
    k, count = (int(v) for v in text.split("/"))
    if not 0 <= k < count:
        raise argparse.ArgumentTypeError("expected K/N with K from 0 to N-1")
    return k, count


def _train(arguments: argparse.Namespace) -> None:
    task, network, schedule = _load(CONFIGS / f"{arguments.network}.toml")
    if arguments.steps:
        schedule = replace(schedule, steps=arguments.steps)
    films = dataset.read_folder(arguments.films)
    validation = None
    if arguments.fold:
        k, count = arguments.fold
        held_out = dataset.folds([film.name for film in films], count)[k]
        validation = task(network, [film for film in films if film.name in held_out])
        films = [film for film in films if film.name not in held_out]
    if arguments.validation:
        validation = task(network, dataset.read_folder(arguments.validation))
    more = {"simulated": dataset.read_folder(arguments.simulated)} if arguments.simulated else {}
    fit(task(network, films, **more), schedule, arguments.output, validation, arguments.seed, arguments.minutes, arguments.initial)


def _export(arguments: argparse.Namespace) -> None:
    crops = {}
    for name in ("corners", "refine"):
        _, network, _ = _load(CONFIGS / f"{name}.toml")
        crops[name] = {"crop_size": network.crop_size, "crop_span": network.crop_span}
    runs = {name: getattr(arguments, name) for name in NETWORKS}
    manifest = export(runs, crops, arguments.output, arguments.version, arguments.data, tuple(arguments.sd_scale))
    for name, entry in manifest["networks"].items():
        print(name, entry["sha256"])


def _evaluate(arguments: argparse.Namespace) -> None:
    films = dataset.read_folder(arguments.films)
    parts = [[film.name for film in films]]
    if len(arguments.weights) > 1:
        parts = dataset.folds(parts[0], len(arguments.weights))
    errors, pairs = Errors(), []
    for folder, names in zip(arguments.weights, parts):
        networks = replace(weights.load(folder), sd_scale=(1.0, 1.0)) if arguments.calibrate else weights.load(folder)
        detector = Detector(networks)
        for film in films:
            if film.name in names:
                found = detect(detector, film)
                compare(film, found, errors)
                if found is not None:
                    pairs.append((film.name, found, truth_of(film)))
    print(errors.table())
    if arguments.calibrate:
        body, sacrum = calibrate.factors(pairs)
        print(f"standard deviations are right when multiplied by {body:.3f} (bodies) and {sacrum:.3f} (S1): export --sd-scale {body:.3f} {sacrum:.3f}")
        for group, (covered, count) in calibrate.coverage(pairs).items():
            print(f"nominal 90 % intervals, {group}: {covered}/{count} covered ({100 * covered / max(count, 1):.0f} %), leaving one film out")
        auc, curve = calibrate.detection_of_errors(pairs)
        print(f"spread finds corners off by more than 5 % of the width: AUC {auc:.2f}; surest share of corners -> median error: "
              + ", ".join(f"{100 * share:.0f} % -> {error:.2f} %" for share, error in curve))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--threads", type=int, help="CPU threads")
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("train", help="train one network, or go on from its checkpoint")
    command.add_argument("network", choices=NETWORKS, help="configured by training/configs/NETWORK.toml")
    command.add_argument("-f", "--films", type=Path, required=True, help="folder with films.csv and corners.csv")
    command.add_argument("-o", "--output", type=Path, required=True, help="run folder: checkpoint, log, weights")
    command.add_argument("--fold", type=_fold, metavar="K/N", help="hold out fold K (from 0) of N for validation")
    command.add_argument("--validation", type=Path, metavar="FOLDER", help="labelled films to validate on, instead of a fold")
    command.add_argument("--initial", type=Path, metavar="WEIGHTS", help="start from this file instead of ImageNet features")
    command.add_argument("--steps", type=int, help="instead of the configured number")
    command.add_argument("--simulated", type=Path, help="folder of simulated films to mix in")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--minutes", type=float, default=math.inf, help="stop after this time; run again to go on")
    command.set_defaults(run=_train)

    command = commands.add_parser("export", help="pack three runs into a weights folder with its manifest")
    for name in NETWORKS:
        command.add_argument(f"--{name}", type=Path, required=True, metavar="RUN")
    command.add_argument("-o", "--output", type=Path, required=True)
    command.add_argument("--version", required=True)
    command.add_argument("--data", required=True, help="one sentence: what it was trained on")
    command.add_argument("--sd-scale", type=float, nargs=2, default=(1.0, 1.0), metavar=("BODY", "S1"),
                         help="factors of the standard deviations, from evaluate --calibrate")
    command.set_defaults(run=_export)

    command = commands.add_parser("evaluate", help="print the paper's table on labelled films")
    command.add_argument("-w", "--weights", type=Path, nargs="+", default=[weights.FOLDER],
                         help="weights folder; N of them: each on its fold of N (cross-validation)")
    command.add_argument("-f", "--films", type=Path, required=True)
    command.add_argument("--calibrate", action="store_true", help="also fit and judge the corners' standard deviations")
    command.set_defaults(run=_evaluate)

    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
