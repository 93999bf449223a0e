"""Pictures of an evaluation: agreement of angles, distributions of corner errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from SpineLandmarksLib.core.anatomy import LEVELS
from SpineLandmarksLib.core.measurements.geometry import wrapped

from .compare import ANGLES, FilmErrors
from .table import angle_pairs, corner_errors


def bland_altman(errors: Sequence[FilmErrors], path: Path) -> None:
    """Difference over mean of each main angle, with bias and 95 % limits (Bland and Altman, Lancet 1986)."""
    figure = Figure(figsize=(4.2 * len(ANGLES), 3.8), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(ANGLES), squeeze=False)[0], ANGLES):
        pairs = angle_pairs(errors, name)
        difference = wrapped(pairs[:, 0] - pairs[:, 1])
        axis.scatter(pairs.mean(1), difference, s=18)
        if len(pairs) > 1:
            bias, limit = difference.mean(), 1.96 * difference.std(ddof=1)
            for level, style in ((bias, "-"), (bias - limit, "--"), (bias + limit, "--")):
                axis.axhline(level, linestyle=style, color="0.3", linewidth=1)
        axis.set(title=f"{name}, n = {len(pairs)}", xlabel="mean of found and true, °", ylabel="found - true, °")
    figure.suptitle(_title(errors))
    figure.savefig(path, dpi=110)


def corner_distributions(errors: Sequence[FilmErrors], path: Path) -> None:
    """Cumulative corner errors in both axes, and boxes by level."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    for axis_name, values in zip("xy", corner_errors(errors).T):
        left.plot(np.sort(values), np.linspace(0, 100, len(values)), label=f"{axis_name}, median {np.median(values):.2f} %" if len(values) else axis_name)
    left.axvline(5, color="0.7", linewidth=1)
    left.set(xlim=(0, 15), xlabel="error, % of width (x) or height (y)", ylabel="corners, %")
    left.legend()
    levels = [level for level in LEVELS if len(corner_errors(errors, level))]
    for offset, (name, colour) in enumerate((("x", "C0"), ("y", "C1"))):
        boxes = [corner_errors(errors, level)[:, offset] for level in levels]
        if boxes:
            drawn = right.boxplot(boxes, positions=np.arange(len(levels)) * 3 + offset, widths=0.8, showfliers=False, patch_artist=True)
            for box in drawn["boxes"]:
                box.set_facecolor(colour)
            right.plot([], [], color=colour, linewidth=6, label=name)
    right.set_xticks(np.arange(len(levels)) * 3 + 0.5, levels)
    right.set(ylabel="error, %")
    right.legend()
    figure.suptitle(_title(errors))
    figure.savefig(path, dpi=110)


def _title(errors: Sequence[FilmErrors]) -> str:
    kinds = " and ".join(sorted({film.kind for film in errors}))
    return f"{len(errors)} {kinds} films"
