"""Many films, one after the other, into one output folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from .model.detector import Detector
from .pipeline import process
from .report import markups, ours, picture
from .report.result import FilmResult
from .report.tables import Tables


def write_film(out: Path, result: FilmResult) -> None:
    """The annotated picture and the markups file of one good film."""
    annotated, listed = (out / name for name in ours.files_of(result.film))
    annotated.parent.mkdir(parents=True, exist_ok=True)
    picture.write(annotated, result.film, result.radiograph, result.detection, result.measured)
    markups.write(listed, result.detection, result.radiograph)


def process_films(
    films: Iterable[tuple[str, Path]], out: Path, detector: Detector,
    done: Callable[[FilmResult], None] = lambda result: None,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> int:
    """Process (name, path) pairs and write tables, pictures and markups; returns how many were not ok.

    ``done`` hears of every result, after its files are written. ``progress`` is called before each
    film with its name and the share of films done, and may raise to stop: what is done is kept.
    Raises OSError when ``out`` cannot be written, NotOursError before anything is where a film, a foreign
    table or a reader's corrections would be overwritten.
    """
    films = list(films)
    results = (*ours.TABLE_FILES, *(result for name, _ in films for result in ours.files_of(name)))
    ours.check(results, lambda name, size: ours.beginning(out / name, size), out)
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with Tables(out) as tables:
        for number, (name, path) in enumerate(films):
            progress(name, number / len(films))
            result = process(name, path, detector)
            if result.status == "ok":
                write_film(out, result)
            tables.add(result)
            done(result)
            failed += result.status != "ok"
        progress("done", 1.0)
    return failed
