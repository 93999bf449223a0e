"""An archive from start to end: what is to do, done by an executor, gathered into tables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..films.find import unique_names
from ..films.read import is_film_name
from ..report.ours import TABLE_FILES, NotOursError, check
from .executors import Executor
from .parts import what_is_done, write_part
from .store import Store, open_store
from .summary import page
from .tables import films_of, write_tables
from .work import Entry, Job, private_files

_STATE = "batch.json"


class BatchError(Exception):
    """The batch cannot go on as it was asked for; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """``todo``: films to do now. ``done``: how many need nothing. ``skipped``: files that are no films."""

    todo: list[Entry]
    done: int
    skipped: int


def plan(job: Job, model: str, retry_failed: bool = False) -> Plan:
    """Compare an archive with what its output folder holds already.

    Films whose file has changed are done again. Raises BatchError when there are no films, when the
    folder's results came from other weights than ``model`` names, and when it holds the archive or foreign
    tables: results would overwrite them.
    """
    source, out = open_store(job.source), open_store(job.out)
    if _root(source) == _root(out) or _inside(out, source):
        raise BatchError(f"{job.out} holds the archive itself, whose films pictures might overwrite: name a folder of its own, or one below it.")
    if out.exists(_STATE):
        before = json.loads(out.read(_STATE))["model"]
        if before != model:
            raise BatchError(f"{job.out} holds results of other weights ({before} instead of {model}): name another output folder.")
    else:
        try:
            check(TABLE_FILES, out.beginning, job.out)
        except NotOursError as error:
            raise BatchError(str(error)) from error
    inside = _inside(source, out)
    found, skipped = [], 0
    for name, fingerprint in source.files():
        if inside and name.startswith(inside):
            continue
        if is_film_name(PurePosixPath(name)):
            found.append((name, fingerprint))
        elif not name.rpartition("/")[2].startswith("."):
            skipped += 1
    if not found:
        raise BatchError(f"no films found in {job.source}: name a directory with DICOM files or pictures.")
    with private_files():
        out.prepare()
        out.write(_STATE, json.dumps({"model": model}).encode())
    done = what_is_done(out)
    todo = []
    for film, (name, fingerprint) in zip(unique_names([name for name, _ in found]), found):
        known = done.get(film)
        if known is None or known.fingerprint != fingerprint or (retry_failed and known.status != "ok"):
            todo.append(Entry(film, name, fingerprint))
    return Plan(todo, len(found) - len(todo), skipped)


def _root(store: Store) -> str:
    return store.url.rstrip("/") if "://" in store.url else os.path.realpath(store.url)


def _inside(outer: Store, store: Store) -> str:
    """Where a store lies below another one, as a prefix; "" when it does not."""
    root, inner = _root(outer), _root(store)
    return inner[len(root) + 1 :] + "/" if inner.startswith(root + "/") else ""


def process(job: Job, todo: Iterable[Entry], executor: Executor, chunk: int, told: Callable[[int], None] = lambda count: None) -> None:
    """Do what is to do; ``told`` hears of every few films that are done. A chunk that fails as a whole
    (its worker died twice, the disk is full) leaves its films with the status "error"; an output that
    cannot be written raises OSError."""
    out = open_store(job.out)
    for films, error in executor.run(job, _chunks(todo, chunk)):
        if isinstance(error, OSError):
            raise error
        if error is not None:
            with private_files():
                write_part(out, [_failed(entry, error) for entry in films])
        told(len(films))


def _chunks(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    held: list[Entry] = []
    for entry in entries:
        held.append(entry)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def _failed(entry: Entry, error: BaseException) -> dict:
    from ..report import rows
    from ..report.result import FilmResult

    result = FilmResult(entry.film, "error", f"the program failed on it ({type(error).__name__}): report it, and use --retry-failed after an update.")
    return {
        "film": entry.film, "file": entry.file, "fingerprint": entry.fingerprint, "status": "error",
        "films": rows.film_row(result), "landmarks": [], "measurements": [], "ids": {},
    }


def gather(job: Job) -> dict[str, int]:
    """Write the tables and the summary page of everything that is done; returns films by status."""
    out = open_store(job.out)
    done = what_is_done(out)
    title = f"SpineLandmarks: {Path(job.source).name or job.source}"
    with private_files():
        write_tables(out, done, job.ids)
        out.write("summary.html", page(out, films_of(out, done), title).encode("utf-8", "replace"))
    counts: dict[str, int] = {}
    for film in done.values():
        counts[film.status] = counts.get(film.status, 0) + 1
    return counts
