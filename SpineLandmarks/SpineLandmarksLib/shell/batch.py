"""``spine-landmarks batch``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ..archive import executors
from ..archive.process import BatchError, gather, plan, process
from ..archive.work import Job
from ..films import unknown_keywords
from ..model.device import DeviceError, choose_device
from ..model.weights import FOLDER, WeightsError, identity
from .detect import UsageError

#: Films that share a batch of the networks: on a GPU it wants many, a CPU's cache wants one.
_CHUNK = {"cpu": 1, "cuda": 16}


class _Progress:
    """One line that says how far, how fast, how long still; plain lines where nobody watches."""

    def __init__(self, total: int):
        self.total, self.count, self.started, self._told = total, 0, time.monotonic(), 0.0

    def __call__(self, films: int) -> None:
        self.count += films
        now = time.monotonic()
        watched = sys.stderr.isatty()
        if self.count < self.total and now - self._told < (0.2 if watched else 30):
            return
        self._told = now
        rate = self.count / max(now - self.started, 1e-9)
        left = (self.total - self.count) / rate
        line = f"{self.count} of {self.total} films, {rate:.2f} a second, {_duration(left)} left"
        print(f"\r\033[K{line}" if watched else line, end="" if watched and self.count < self.total else "\n", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def batch(
    source: str, out: str, device: str, weights: Path | None, workers: int | None, scheduler: str | None,
    retry_failed: bool, ids: tuple[str, ...], pictures: bool,
) -> int:
    """Process an archive, going on where an earlier run has stopped; returns 0, or 1 when some film
    failed or was refused. Raises UsageError, and KeyboardInterrupt after the tables are written."""
    if unknown := unknown_keywords(ids):
        raise UsageError(f"--keep-ids: {', '.join(unknown)} is no DICOM keyword: write them as PatientID, StudyDate, AccessionNumber.")
    folder = weights or FOLDER
    try:
        model = identity(folder)
        device = choose_device(device)
        on_gpu = not device.startswith("cpu")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # On a GPU some processes read and write films while another has the card.
        workers = workers or (min(4, cores) if on_gpu else cores)
        # Workers share the cores among them: one thread each, however many torch would take.
        job = Job(source, out, str(folder), device, None if on_gpu and scheduler is None else 1, ids, pictures)
        todo = plan(job, model, retry_failed)
        executor = executors.Cluster(scheduler) if scheduler else executors.Processes(workers)
    except (BatchError, DeviceError, WeightsError, ValueError) as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot use {source} and {out} ({error.strerror or error}): check both places.") from error
    print(f"{len(todo.todo)} films to do, {todo.done} done before, {todo.skipped} other files skipped", file=sys.stderr)
    try:
        process(job, todo.todo, executor, _CHUNK["cuda" if on_gpu else "cpu"], _Progress(len(todo.todo)))
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror or error}): free some space; the same command goes on where it stopped.") from error
    finally:
        # Also after Ctrl-C: what is done is in the tables.
        counts = gather(job)
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())) + f": tables and summary.html are in {out}")
    return 0 if set(counts) <= {"ok"} else 1
