"""What a person waits for: the command's start, and the screen while a corner is dragged."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from SpineLandmarksLib import films
from SpineLandmarksLib.core.measurements import Evaluation
from SpineLandmarksLib.model.detector import Detector

from ..conftest import ROOT


def recompute(detector: Detector, path: Path) -> np.ndarray:
    """Seconds of recomputing what a moved corner enters, every corner of a film in turn."""
    found = detector.detect(films.read(path))
    live, times = Evaluation(found), []
    for step in range(3000):
        level = found.levels[step % len(found.levels)]
        corner = sorted(found.corners[level])[step % len(found.corners[level])]
        started = time.perf_counter()
        live.move(level, corner, found.corners[level][corner].position + (0.01 * step, 0))
        times.append(time.perf_counter() - started)
    return np.array(times)


def cold_start(*arguments: str) -> float:
    """Seconds of a Python process of its own with these arguments."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return time.perf_counter() - started


def report(detector: Detector, path: Path) -> dict[str, float]:
    """Print both; returns the ratios."""
    times = recompute(detector, path)
    typical, worst = np.percentile(times, (50, 99))
    print(f"\na corner moved: recompute median {1000 * typical:.3f} ms, 99th percentile {1000 * worst:.3f} ms")
    # A process of its own: Mesa's and triton's LLVM do not go together (see test_drag.py).
    done = subprocess.run([sys.executable, "-m", "Testing.benchmarks.frames"], cwd=ROOT, capture_output=True, text=True)
    print(done.stdout.strip() if done.returncode == 0 else "  frame times: not measured, Slicer's libraries are not installed")
    with tempfile.TemporaryDirectory() as out:
        command = ("-m", "SpineLandmarksLib.shell.main")
        usage, result = cold_start(*command, "--help"), cold_start(*command, "detect", str(path), "-o", out, "--device", str(detector.device))
    python = cold_start("-c", "pass")
    print(f"cold start: --help {usage:.2f} s ({usage / python:.1f} x python itself), command to one film's results {result:.2f} s")
    return {"--help / python": usage / python, "recompute / frame of 60 Hz": float(worst) * 60}
