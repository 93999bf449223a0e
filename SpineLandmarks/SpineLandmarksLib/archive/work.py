"""What a worker does, in this process, another one, or on another machine: some films, whole."""

from __future__ import annotations

import functools
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import films
from ..model.detector import Detector
from ..pipeline import process_many
from ..report import markups, ours, picture, rows
from ..report.result import FilmResult
from .parts import write_part
from .store import SCRATCH, Store, open_store

#: Height of a refused film's thumbnail on the summary page, pixels.
_THUMBNAIL = 160


@dataclass(frozen=True)
class Job:
    """What is the same for all films. ``ids``: DICOM keywords that the user asked to keep."""

    source: str
    out: str
    weights: str
    device: str
    threads: int | None
    ids: tuple[str, ...] = ()
    pictures: bool = True


@dataclass(frozen=True)
class Entry:
    """One film: its name in the tables, its file in the source, and the file's fingerprint."""

    film: str
    file: str
    fingerprint: str


@functools.lru_cache(maxsize=1)
def _detector(weights: str, device: str, threads: int | None) -> Detector:
    """Loaded once in a worker's life."""
    import torch

    from ..model.memory import keep_memory
    from ..model.weights import load

    if threads is not None:
        torch.set_num_threads(threads)
        keep_memory()
    return Detector(load(Path(weights), device), device)


_LOADING = threading.Lock()


def use_detector(job: Job, detector: Detector) -> None:
    """Work in this process with a detector that is there already."""
    _GIVEN.clear()
    _GIVEN[job] = detector


_GIVEN: dict[Job, Detector] = {}


@contextmanager
def private_files() -> Iterator[None]:
    """Films are of patients: what is written meanwhile is the user's alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def run(job: Job, entries: list[Entry]) -> str:
    """Detect on some films, write their pictures and markups, and last their part, a file of its own
    with every row of theirs; returns the part's name. A film counts as done when its part is there,
    so a worker may be killed at any moment."""
    with _LOADING:
        detector = _GIVEN.get(job) or _detector(job.weights, job.device, job.threads)
    source, out = open_store(job.source), open_store(job.out)
    kept = []
    with private_files(), _local_files(source, entries) as paths:
        for entry, path, result in zip(entries, paths, process_many([(e.film, p) for e, p in zip(entries, paths)], detector)):
            result = _write_film(out, job, result)
            kept.append({
                "film": result.film, "file": entry.file, "fingerprint": entry.fingerprint, "status": result.status,
                "films": rows.film_row(result), "landmarks": rows.landmark_rows(result), "measurements": rows.measurement_rows(result),
                "ids": films.read_tags(path, job.ids) if job.ids else {},
            })
        return write_part(out, kept)


class _local_files:
    """Paths of some films on this machine, for as long as the context lasts. A file that cannot be
    fetched gives a path where nothing is, and reading it says so."""

    def __init__(self, source: Store, entries: list[Entry]):
        self._source, self._entries, self._open = source, entries, []

    def __enter__(self) -> list[Path]:
        paths = []
        for entry in self._entries:
            context = self._source.local(entry.file)
            try:
                paths.append(context.__enter__())
                self._open.append(context)
            except OSError:
                paths.append(Path(entry.file))
        return paths

    def __exit__(self, *_) -> None:
        for context in self._open:
            context.__exit__(None, None, None)


def _write_film(out: Store, job: Job, result: FilmResult) -> FilmResult:
    """Write a result's files; returns it, or an error where they would overwrite what is not ours."""
    annotated, listed = ours.files_of(result.film)
    if result.status == "ok":
        try:
            ours.check((listed, annotated) if job.pictures else (listed,), out.beginning, job.out)
        except ours.NotOursError as error:
            return FilmResult(result.film, "error", str(error), result.seconds, result.model)
    with tempfile.TemporaryDirectory(dir=job.out if Path(job.out).is_dir() else None, prefix=SCRATCH) as folder:
        scratch = Path(folder, "file")
        if result.status == "ok":
            markups.write(scratch, result.detection, result.radiograph)
            out.put(listed, scratch)
            if job.pictures:
                picture.write(scratch, result.film, result.radiograph, result.detection, result.measured)
                out.put(annotated, scratch)
        elif result.radiograph is not None:
            picture.thumbnail(result.radiograph, _THUMBNAIL).save(scratch, format="JPEG", quality=70)
            out.put(f"refused/{result.film}.jpg", scratch)
    return result
