"""One film from file to result: the path that the shell, batches and Slicer's console share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from . import films
from .core.measurements import measure
from .core.radiograph import FilmError
from .model.detector import Detector, NoSpineFound
from .report.result import FilmResult


def process(name: str, path: Path, detector: Detector, progress: Callable[[str, float], None] = lambda step, share: None) -> FilmResult:
    """Read, detect and measure one film. A film that cannot be used gives a result that says so;
    what ``progress`` raises (see ``Detector``) passes through."""
    started = time.perf_counter()

    def result(status: str, message: str = "", **parts) -> FilmResult:
        return FilmResult(name, status, message, time.perf_counter() - started, detector.version, **parts)

    try:
        progress("read", 0.0)
        radiograph = films.read(path)
    except FilmError as error:
        return result("error", str(error))
    try:
        detection = detector.detect(radiograph, progress)
    except NoSpineFound as error:
        return result("refused", str(error), radiograph=radiograph)
    return result("ok", radiograph=radiograph, detection=detection, measured=tuple(measure(detection, radiograph.spacing, radiograph.spacing_source)))
