"""A batch: films a second against cores, and memory against the number of films."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from SpineLandmarksLib import films
from SpineLandmarksLib.model.detector import Detector


def _run(source: Path, workers: int, device: str, more: tuple[str, ...]) -> tuple[float, float]:
    """(seconds, peak memory in MB of all processes together) of one batch."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "SpineLandmarksLib.shell.main", "batch", str(source), "-o", f"{out}/o", "--device", device]
        started = time.perf_counter()
        process = subprocess.Popen([*command, "--workers", str(workers), *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        most = 0.0
        while process.poll() is None:
            most = max(most, _memory(process.pid))
            time.sleep(0.2)
        if process.returncode:
            raise RuntimeError("the batch has failed: run it by hand to see why")
        return time.perf_counter() - started, most


def _memory(pid: int) -> float:
    """Resident MB of a process and all below it (Linux)."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            waiting += [int(child) for task in Path(f"/proc/{one}/task").iterdir() for child in (task / "children").read_text().split()]
        except OSError:
            continue
        total += next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)
    return total


def report(detector: Detector, path: Path, count: int) -> dict[str, float]:
    """Print rates and memory over copies of one film; returns the ratios.

    Starting up is taken out of the rates: each is the difference of two batches, of ``count`` and of
    a quarter of that.
    """
    device = str(detector.device)
    film = films.read(path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(2):
        detector.detect(film)
    started = time.perf_counter()
    for _ in range(10):
        detector.detect(film)
    alone = 10 / (time.perf_counter() - started)
    torch.set_num_threads(threads)
    print(f"\nbatches of {count} films, {device}: inference alone in one thread {alone:.2f} films/s")
    cores = len(os.sched_getaffinity(0))
    ratios = {}
    with tempfile.TemporaryDirectory() as scratch:
        many, few = Path(scratch, "many"), Path(scratch, "few")
        for folder, n in ((many, count), (few, count // 4)):
            folder.mkdir()
            for i in range(n):
                shutil.copyfile(path, folder / f"{i:05}{path.suffix}")
        for more, kind in ((("--no-pictures",), "without pictures"), ((), "with pictures")):
            for workers in sorted({1, cores}):
                (short, small), (long, large) = (_run(folder, workers, device, more) for folder in (few, many))
                rate = (count - count // 4) / (long - short)
                print(f"  {kind}, {workers} worker(s): {rate:.2f} films/s, {rate / (workers * alone):.2f} x (workers x inference alone); "
                      f"memory {large:.0f} MB, {large / small:.2f} x that of {count // 4} films")
                ratios[f"batch {kind}, {workers} workers: share of inference alone lost"] = 1 - rate / (workers * alone)
                ratios[f"batch {kind}, {workers} workers: memory of 4 n / n films"] = large / small
    return ratios
