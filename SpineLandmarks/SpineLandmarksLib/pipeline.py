"""Films from file to result: the path that the shell, batches and Slicer's console share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import films
from .core.measurements import measure
from .core.plausibility import checked
from .core.radiograph import FilmError, Radiograph
from .model.detector import Detector, NoSpineFound
from .report.result import FilmResult

Progress = Callable[[str, float], None]


def _silent(step: str, share: float) -> None:
    pass


def process(name: str, path: Path, detector: Detector, progress: Progress = _silent) -> FilmResult:
    """Read, detect and measure one film. A film that cannot be used gives a result that says so;
    what ``progress`` raises (see ``Detector``) passes through."""
    (result,) = process_many([(name, path)], detector, progress)
    return result


def process_many(items: Sequence[tuple[str, Path]], detector: Detector, progress: Progress = _silent) -> list[FilmResult]:
    """The same for some films at once, as shared batches; each film's time is its own reading and an
    equal share of the rest."""
    results: list[FilmResult | None] = []
    radiographs: list[Radiograph | None] = []
    seconds: list[float] = []
    progress("read", 0.0)
    for name, path in items:
        started = time.perf_counter()
        try:
            radiograph, result = films.read(path), None
        except FilmError as error:
            radiograph, result = None, FilmResult(name, "error", str(error), time.perf_counter() - started, detector.version)
        radiographs.append(radiograph)
        results.append(result)
        seconds.append(time.perf_counter() - started)
    usable = [i for i, radiograph in enumerate(radiographs) if radiograph is not None]
    if usable:
        started = time.perf_counter()
        outcomes = detector.detect_many([radiographs[i] for i in usable], progress)
        share = (time.perf_counter() - started) / len(usable)
        for i, outcome in zip(usable, outcomes):
            results[i] = _result(items[i][0], radiographs[i], outcome, seconds[i] + share, detector.version)
    return results


def _result(name: str, radiograph: Radiograph, outcome, seconds: float, version: str) -> FilmResult:
    if isinstance(outcome, NoSpineFound):
        return FilmResult(name, "refused", str(outcome), seconds, version, radiograph)
    radiograph = radiograph.as_read(outcome.turns, outcome.negative)
    outcome = checked(outcome, radiograph.spacing)
    measured = tuple(measure(outcome, radiograph.spacing, radiograph.spacing_source))
    return FilmResult(name, "ok", "; ".join(outcome.remarks), seconds, version, radiograph, outcome, measured)
