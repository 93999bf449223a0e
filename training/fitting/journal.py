"""What a run tells: a live line, a table of its validations, and their curves."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path


class Journal:
    """``log.csv`` and ``curves.png`` in the run's folder, and a line on the terminal."""

    def __init__(self, out: Path, steps: int):
        self.out, self.steps = out, steps
        self._started, self._first, self._loss, self._last = time.monotonic(), None, None, ""
        self._log = out / "log.csv"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def step(self, step: int, loss: float) -> None:
        """After every step; the shown loss is a running mean."""
        self._first = step - 1 if self._first is None else self._first
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        if sys.stderr.isatty():
            left = (self.steps - step) * self.seconds / (step - self._first)
            print(f"\r\033[Kstep {step}/{self.steps}, loss {self._loss:.4f}, {left / 60:.0f} min left{self._last}", end="", file=sys.stderr, flush=True)

    def validated(self, row: dict[str, float | int], error: str | None) -> None:
        """A row of the table; ``error`` names the column that a live reader wants to see."""
        self._last = f", {error} {row[error]:g}" if error in row else ""
        new = not self._log.exists()
        with self._log.open("a", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(("\r\033[K" if sys.stderr.isatty() else "") + ", ".join(f"{k} {v:g}" for k, v in row.items()), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Draw the curves of the whole run, also of its parts before a resumption."""
        if self._log.exists():
            draw_curves(self._log, self.out / "curves.png")


def draw_curves(log: Path, picture: Path) -> None:
    """Every column of a log over its steps."""
    from matplotlib.figure import Figure

    with log.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = [name for name in rows[0] if name not in ("step", "seconds")]
    across = min(len(columns), 4)
    figure = Figure(figsize=(3.2 * across, 2.6 * -(-len(columns) // across)), layout="constrained")
    axes = figure.subplots(-(-len(columns) // across), across, squeeze=False).ravel()
    for axis, name in zip(axes, columns):
        axis.plot([int(row["step"]) for row in rows], [float(row[name]) for row in rows], marker="o", markersize=3)
        axis.set(title=name, xlabel="step")
    for axis in axes[len(columns):]:
        axis.remove()
    figure.savefig(picture, dpi=110)
