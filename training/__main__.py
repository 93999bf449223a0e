"""``python -m training``: train the three networks, export them, evaluate them on labelled films."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch

from SpineLandmarksLib.core.detection import Detection
from SpineLandmarksLib.core.radiograph import FilmError
from SpineLandmarksLib.model import weights
from SpineLandmarksLib.model.detector import Detector
from SpineLandmarksLib.model.device import DeviceError, choose_device

from . import config, labels
from .evaluation import calibrate, changes, table
from .evaluation.compare import GROUPS, FilmErrors, compare, detect, truth_of
from .export import export
from .fitting import fit
from .fitting.ranks import this_rank
from .labels import LabelledFilm
from .quantise import quantise


def _fold(text: str) -> tuple[int, int]:
    k, count = (int(v) for v in text.split("/"))
    if not 0 <= k < count:
        raise argparse.ArgumentTypeError("expected K/N with K from 0 to N-1")
    return k, count


def _train(arguments: argparse.Namespace) -> None:
    rank = this_rank(arguments.device)
    settings = config.load(arguments.network, arguments.config, arguments.set)
    films = labels.read(*arguments.films)
    held_out = []
    if arguments.fold:
        k, count = arguments.fold
        names = labels.folds(films, count)[k]
        held_out = [film for film in films if film.name in names]
        films = [film for film in films if film.name not in names]
    if arguments.validation:
        held_out = labels.read(*arguments.validation)
    simulated = labels.read(*arguments.simulated) if arguments.simulated else []
    # Only the first process validates.
    validation = settings.task(settings.network, held_out, device=rank.device) if held_out and rank.first else None
    task = settings.task(settings.network, films, simulated, rank.device)
    kept = {"kind": arguments.network, "fold": arguments.fold, **asdict(settings.network)}
    fit(task, settings.schedule, arguments.output, validation, arguments.seed, arguments.minutes, arguments.initial, rank, kept)


def _export(arguments: argparse.Namespace) -> None:
    runs = {name: some for name in config.NETWORKS if (some := getattr(arguments, name))}
    manifest = export(
        runs, arguments.output, arguments.version, arguments.data, arguments.sd_scale, arguments.best, arguments.attribution,
    )
    for name, entry in manifest["networks"].items():
        print(name, entry["sha256"], "" if name in runs else "(as shipped)")


def _quantise(arguments: argparse.Namespace) -> None:
    films = labels.read(*arguments.films)
    step = max(1, len(films) // max(1, arguments.count))
    print("ranges", quantise(arguments.weights, films[::step][: arguments.count]))


def _judge(
    arguments: argparse.Namespace, films: list[LabelledFilm],
    versions: Callable[[LabelledFilm], Iterable[LabelledFilm]] = lambda film: [film], raw: bool = False,
) -> Iterator[tuple[LabelledFilm, Detection | None]]:
    """Every film, or some versions of it, with what the weights of its fold find there; ``raw``: with standard deviations as
    the heat-maps have them."""
    parts = labels.folds(films, len(arguments.weights)) if len(arguments.weights) > 1 else [[film.name for film in films]]
    device = choose_device(arguments.device)
    done = 0
    for folder, names in zip(arguments.weights, parts):
        networks = weights.load(folder, device)
        detector = Detector(replace(networks, sd_scale=(1.0, 1.0)) if raw else networks, device)
        for film in films:
            if film.name not in names:
                continue
            for version in versions(film):
                yield version, detect(detector, version)
            done += 1
            if sys.stderr.isatty():
                print(f"\r\033[K{done}/{len(films)} films", end="", file=sys.stderr, flush=True)


def _stress(arguments: argparse.Namespace) -> None:
    errors = [compare(film, found) for film, found in _judge(arguments, labels.read(*arguments.films), changes.versions)]
    if not errors:
        raise ValueError("none of these films is lateral: name folders with labelled lateral films")
    for kind, some in _by_kind(errors):
        rows = {row[changes.GROUP]: row for row in table.by_group(some, changes.GROUP)}
        print(f"{kind.upper()}, n = {len({film.film for film in some})} films")
        print(table.text([rows[name] for name in (changes.AS_IS, *changes.CHANGES)]))
        print(table.names(some), end="\n\n")


def _by_kind(errors: list[FilmErrors]) -> Iterator[tuple[str, list[FilmErrors]]]:
    """Real and simulated films are never judged together."""
    for kind in sorted({film.kind for film in errors}):
        yield kind, [film for film in errors if film.kind == kind]


def _evaluate(arguments: argparse.Namespace) -> None:
    films = labels.read(*arguments.films)
    # What cannot be written or told apart is known before the long part.
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        for kind in {film.kind for film in films}:
            if (arguments.output / kind / "films.csv").exists():
                raise ValueError(f"{arguments.output / kind} has labelled films, whose corners.csv would be overwritten: name another folder with -o")
    known = set(GROUPS).union(*(film.groups for film in films))
    if unknown := sorted(set(arguments.by) - known):
        raise ValueError(f"--by: no film has a column {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    errors, pairs, frontal = [], [], []
    for film, found in _judge(arguments, films, raw=arguments.calibrate):
        if film.facing_right is None:
            frontal.append(found is None)
            continue
        errors.append(compare(film, found))
        if found is not None:
            pairs.append((film.name, found, truth_of(film)))
    for kind, some in _by_kind(errors):
        print(table.summary(some, arguments.by), end="\n\n")
        if arguments.output:
            _write(some, arguments.output / kind, arguments.by)
    if frontal:
        print(f"not lateral: {sum(frontal)}/{len(frontal)} films refused", end="\n\n")
    if arguments.calibrate:
        _calibrate(pairs)


def _write(errors: list, out: Path, groups: list[str]) -> None:
    from .evaluation import plots

    out.mkdir(parents=True, exist_ok=True)
    table.write(table.by_level(errors), out / "corners.csv")
    table.write(table.by_angle(errors), out / "angles.csv")
    for column in groups:
        table.write(table.by_group(errors, column), out / f"by_{column}.csv")
    plots.bland_altman(errors, out / "angles.png")
    plots.corner_distributions(errors, out / "corners.png")


def _calibrate(pairs: list[calibrate.Pair]) -> None:
    body, sacrum = calibrate.factors(pairs)
    print(f"standard deviations are right when multiplied by {body:.3f} (bodies) and {sacrum:.3f} (S1): export --sd-scale {body:.3f} {sacrum:.3f}")
    for group, (covered, count) in calibrate.coverage(pairs).items():
        print(f"nominal 90 % intervals, {group}: {covered}/{count} covered ({100 * covered / max(count, 1):.0f} %), leaving one film out")
    auc, curve = calibrate.detection_of_errors(pairs)
    print(f"spread finds corners off by more than 5 % of the width: AUC {auc:.2f}; surest share of corners -> median error: "
          + ", ".join(f"{100 * share:.0f} % -> {error:.2f} %" for share, error in curve))


def _add_machine(parser: argparse.ArgumentParser, **defaults) -> None:
    """The options that every command takes, before its name or after it."""
    parser.set_defaults(**defaults)
    parser.add_argument("--threads", type=int, default=argparse.SUPPRESS, help="CPU threads")
    parser.add_argument("--device", default=argparse.SUPPRESS, help="auto, cpu, cuda (default: a GPU where there is one)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    _add_machine(parser, threads=None, device="auto")
    commands = parser.add_subparsers(required=True)
    labelled = dict(type=Path, nargs="+", metavar="FOLDER")

    def judged_on(command: argparse.ArgumentParser) -> None:
        command.add_argument("-w", "--weights", type=Path, nargs="+", default=[weights.FOLDER],
                             help="weights folder; N of them: each on its fold of N (cross-validation)")
        command.add_argument("-f", "--films", **labelled, required=True)

    command = commands.add_parser("train", help="train one network, or go on from its checkpoint")
    command.add_argument("network", choices=config.NETWORKS)
    command.add_argument("-f", "--films", **labelled, required=True, help="labelled films: our tables, .mrk.json, labelme or BUU-LSPINE")
    command.add_argument("-o", "--output", type=Path, required=True, help="run folder: checkpoint, log, weights")
    command.add_argument("--config", type=Path, help="instead of training/configs/NETWORK.toml")
    command.add_argument("--fold", type=_fold, metavar="K/N", help="hold out fold K (from 0) of N for validation; patients stay whole")
    command.add_argument("--validation", **labelled, help="labelled films to validate on, instead of a fold")
    command.add_argument("--initial", type=Path, metavar="WEIGHTS", help="start from this file instead of ImageNet features")
    command.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="change the configuration: fit.steps=300 network.batch=8")
    command.add_argument("--simulated", **labelled, help="simulated films to mix in")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--minutes", type=float, default=math.inf, help="stop after this time; run again to go on")
    command.set_defaults(run=_train)

    command = commands.add_parser("export", help="pack runs into a weights folder with its manifest")
    for name in config.NETWORKS:
        command.add_argument(f"--{name}", type=Path, nargs="+", metavar="RUN", help="several: their weights' average; none: the shipped network")
    command.add_argument("-o", "--output", type=Path, required=True)
    command.add_argument("--version", required=True)
    command.add_argument("--data", required=True, help="one sentence: what it was trained on")
    command.add_argument("--best", action="store_true", help="the weights of the least validation error, not the last ones")
    command.add_argument("--sd-scale", type=float, nargs=2, metavar=("BODY", "S1"),
                         help="factors of the standard deviations, from evaluate --calibrate; else the shipped weights'")
    command.add_argument("--attribution", help="whom the weights are owed to; else what the shipped weights say")
    command.set_defaults(run=_export)

    command = commands.add_parser("quantise", help="let CPUs run a weights folder on integers: measure its layers on films")
    command.add_argument("-w", "--weights", type=Path, required=True)
    command.add_argument("-f", "--films", **labelled, required=True, help="simulated ones are as good; corners are not used")
    command.add_argument("--count", type=int, default=30, help="films to take, evenly from all")
    command.set_defaults(run=_quantise)

    command = commands.add_parser("evaluate", help="print the paper's table on labelled films")
    judged_on(command)
    command.add_argument("--by", nargs="+", default=[], metavar="COLUMN", help="also by group: faces, slip, or a column of films.csv")
    command.add_argument("-o", "--output", type=Path, help="also write the tables as CSV, and plots")
    command.add_argument("--calibrate", action="store_true", help="also fit and judge the corners' standard deviations")
    command.set_defaults(run=_evaluate)

    command = commands.add_parser("stress", help="the same films turned, cut off, worn and photographed badly: what is still found")
    judged_on(command)
    command.set_defaults(run=_stress)
    for command in commands.choices.values():
        _add_machine(command)
    return parser


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, DeviceError, FilmError, weights.WeightsError) as error:
        parser.exit(2, f"python -m training: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "python -m training: stopped\n")


if __name__ == "__main__":
    main()
