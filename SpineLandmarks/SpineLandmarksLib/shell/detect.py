"""``spine-landmarks detect``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..films.find import find_films
from ..model.detector import Detector
from ..model.device import DeviceError, choose_device
from ..model.memory import keep_memory
from ..model.weights import FOLDER, WeightsError, load
from ..one_by_one import process_films
from ..report import rows
from ..report.ours import NotOursError
from ..report.result import FilmResult


class UsageError(Exception):
    """The command cannot start as it was called; one sentence that says what to do."""


def _show_progress(name: str, share: float) -> None:
    if sys.stderr.isatty():
        bar = "#" * round(20 * share)
        print(f"\r\033[K[{bar:<20}] {100 * share:3.0f} % {name[-50:]}", end="" if share < 1 else "\n", file=sys.stderr, flush=True)


def _summary(result: FilmResult) -> str:
    if result.status != "ok":
        return f"{result.film}: {result.status}: {result.message}"
    main = [m for m in result.measured if m.definition.id in ("LL_L1_S1", "LL_L1_L5", "SS")]
    values = ", ".join(
        f"{m.definition.id} not measurable" if m.value is None else f"{m.definition.id} {m.value:.1f}°{'' if m.status.value == 'ok' else '?'}"
        for m in main
    )
    levels = result.detection.levels
    return f"{result.film}: {levels[0]}-{levels[-1]}, faces {result.detection.facing}, {values}"


def detect(paths: list[Path], out: Path, device: str, as_json: bool, weights: Path | None = None) -> int:
    """Process every film and write everything; returns 0, or 1 when some film failed or was
    refused. Raises UsageError when nothing can be done at all."""
    found = find_films(paths, out)
    if not found:
        raise UsageError(f"no films found in {', '.join(str(p) for p in paths)}: name a film or a directory with films.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror}): name another folder with -o.") from error
    try:
        device = choose_device(device)
        detector = Detector(load(weights or FOLDER, device), device)
        keep_memory()
    except (DeviceError, WeightsError) as error:
        raise UsageError(str(error)) from error
    printed = []

    def done(result: FilmResult) -> None:
        if as_json:
            printed.append({**rows.film_row(result), "landmarks": rows.landmark_rows(result), "measurements": rows.measurement_rows(result)})
        else:
            print(("\r\033[K" if sys.stderr.isatty() else "") + _summary(result))

    try:
        failed = process_films(found, out, detector, done, _show_progress)
    except NotOursError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror}): free some space or name another folder with -o.") from error
    if as_json:
        json.dump(printed, sys.stdout, indent=1)
        print()
    return 1 if failed else 0
