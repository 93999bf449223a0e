"""``spine-landmarks detect``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..model.detector import Detector
from ..model.weights import WeightsError, load
from ..pipeline import process
from ..report import markups, picture, rows
from ..report.result import FilmResult
from ..report.tables import Tables
from .find import find_films


class UsageError(Exception):
    """The command cannot start as it was called; one sentence that says what to do."""


def choose_device(wanted: str) -> str:
    """A torch device name; "auto" takes a GPU when there is one. Raises UsageError."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {wanted!r} is not available here: use --device cpu.") from error
    return wanted


def _progress(done: int, total: int, name: str) -> None:
    if sys.stderr.isatty():
        bar = "#" * round(20 * done / total)
        print(f"\r\033[K[{bar:<20}] {done}/{total} {name[-50:]}", end="" if done < total else "\n", file=sys.stderr, flush=True)


def _write_film(out: Path, result: FilmResult) -> None:
    stem = out / result.film
    stem.parent.mkdir(parents=True, exist_ok=True)
    picture.write(stem.with_name(stem.name + ".png"), result.film, result.radiograph, result.detection, result.measured)
    markups.write(stem.with_name(stem.name + ".mrk.json"), result.detection, result.radiograph)


def _summary(result: FilmResult) -> str:
    if result.status != "ok":
        return f"{result.film}: {result.status}: {result.message}"
    main = {m.definition.id: m for m in result.measured if m.definition.id in ("LL_L1_S1", "LL_L1_L5", "SS")}
    values = ", ".join(f"{k} {m.value:.1f}°{'' if m.status.value == 'ok' else '?'}" if m.value is not None else f"{k} not measurable" for k, m in main.items())
    levels = result.detection.levels
    return f"{result.film}: {levels[0]}-{levels[-1]}, faces {result.detection.facing}, {values}"


def detect(paths: list[Path], out: Path, device: str, as_json: bool) -> int:
    """Process every film and write everything; returns 0, or 1 when some film failed or was
    refused. Raises UsageError when nothing can be done at all."""
    found = find_films(paths)
    if not found:
        raise UsageError(f"no films found in {', '.join(str(p) for p in paths)}: name a film or a directory with films.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        tables = Tables(out).__enter__()
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror}): name another folder with -o.") from error
    with tables:
        try:
            device = choose_device(device)
            detector = Detector(load(device=device), device)
        except WeightsError as error:
            raise UsageError(str(error)) from error
        failed, printed = 0, []
        for done, (name, path) in enumerate(found):
            _progress(done, len(found), name)
            result = process(name, path, detector)
            if result.status == "ok":
                _write_film(out, result)
            tables.add(result)
            failed += result.status != "ok"
            if as_json:
                printed.append({**rows.film_row(result), "landmarks": rows.landmark_rows(result), "measurements": rows.measurement_rows(result)})
            else:
                if sys.stderr.isatty():
                    print("\r\033[K", end="", file=sys.stderr)
                print(_summary(result))
        _progress(len(found), len(found), "done")
    if as_json:
        json.dump(printed, sys.stdout, indent=1)
        print()
    return 1 if failed else 0
