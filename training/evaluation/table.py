"""The paper's table from the errors of some films, to read and as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from SpineLandmarksLib.core.anatomy import LEVELS
from SpineLandmarksLib.core.detection import MIN_NAMING_CONFIDENCE
from SpineLandmarksLib.core.measurements.geometry import wrapped

from .compare import ANGLES, FilmErrors

_CORNER_HEAD = ("median", "25 %", "75 %", "90 %")


def corner_errors(errors: Iterable[FilmErrors], level: str | None = None) -> np.ndarray:
    """(n, 2) errors in x and y, per cent, of one level or of all."""
    found = [e for film in errors for name, some in film.corners.items() if level in (None, name) for e in some]
    return np.array(found).reshape(-1, 2)


def angle_pairs(errors: Iterable[FilmErrors], name: str) -> np.ndarray:
    """(n, 2) found and true values in degrees."""
    return np.array([film.angles[name] for film in errors if name in film.angles]).reshape(-1, 2)


def _spread(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.percentile(values, (50, 25, 75, 90)))


def by_level(errors: Sequence[FilmErrors]) -> list[dict]:
    """Rows of corner errors: level, axis, n, median, quartiles, 90th percentile (per cent)."""
    rows = []
    for level in (*LEVELS, "all"):
        found = corner_errors(errors, None if level == "all" else level)
        for axis, values in zip("xy", found.T):
            if len(values):
                rows.append({"level": level, "axis": axis, "n": len(values), **dict(zip(_CORNER_HEAD, _spread(values)))})
    return rows


def by_angle(errors: Sequence[FilmErrors]) -> list[dict]:
    """Rows of angle errors in degrees: absolute error, Pearson's r, bias and limits of agreement (Bland
    and Altman, Lancet 1986); endplate slopes have absolute errors only."""
    rows = []
    for name in ANGLES:
        pairs = angle_pairs(errors, name)
        if len(pairs) > 1:
            d = wrapped(pairs[:, 0] - pairs[:, 1])
            rows.append({
                "angle": name, "n": len(d), "not measured": sum(name in film.angles_missing for film in errors),
                **dict(zip(_CORNER_HEAD, _spread(abs(d)))), "bias": d.mean(), "limits": 1.96 * d.std(ddof=1), "r": np.corrcoef(pairs.T)[0, 1],
            })
    slopes = np.array([slope for film in errors for slope in film.slopes])
    if len(slopes):
        rows.append({"angle": "endplate slope", "n": len(slopes), **dict(zip(_CORNER_HEAD, _spread(slopes)))})
    return rows


def by_group(errors: Sequence[FilmErrors], column: str) -> list[dict]:
    """Rows of a group's values: films, found, refused, shifted, median errors."""
    rows = []
    for value in sorted({film.groups.get(column, "") for film in errors}):
        some = [film for film in errors if film.groups.get(column, "") == value]
        corners, slopes = corner_errors(some), [slope for film in some for slope in film.slopes]
        rows.append({
            column: value or "-", "films": len(some), "vertebrae": sum(f.vertebrae for f in some), "right level": sum(f.found for f in some),
            "any level": sum(f.any_level for f in some), "shifted": sum(f.shift != 0 for f in some), "refused": sum(f.refused for f in some),
            "x": np.median(corners[:, 0]) if len(corners) else np.nan, "y": np.median(corners[:, 1]) if len(corners) else np.nan,
            "slope": np.median(slopes) if slopes else np.nan,
        })
    return rows


def names(errors: Sequence[FilmErrors]) -> str:
    """Are wrong names called uncertain? In words: films named wrong that were not, and films named right that were."""
    wrong, right = [f for f in errors if f.shift], [f for f in errors if not f.shift and not f.refused]
    doubted = lambda film: film.naming_confidence < MIN_NAMING_CONFIDENCE
    sure = Counter(film.film for film in wrong if not doubted(film))
    which = "".join(f", {film} {count}" for film, count in sure.most_common())
    return (
        f"{len(wrong)} named wrong, {sure.total()} of them not called uncertain{which}; "
        f"{len(right)} named right, {sum(map(doubted, right))} of them called uncertain"
    )


def text(rows: Sequence[dict]) -> str:
    """Rows under each other, numbers with two digits."""
    if not rows:
        return "(nothing to compare)"
    head = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(key, "")) for key in head] for row in rows]
    widths = [max(len(key), *(len(line[i]) for line in cells)) for i, key in enumerate(head)]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths)) for line in [head, *cells])


def _cell(value) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def film_line(film: FilmErrors) -> str:
    """One film in a line."""
    if film.refused:
        return f"{film.film:8} refused"
    corners = corner_errors([film])
    medians = "x {:.1f} y {:.1f}".format(*np.median(corners, axis=0)) if len(corners) else "-"
    told = ", ".join(f"{name} {wrapped(found - true):+.1f}" for name, (found, true) in film.angles.items())
    return f"{film.film:8} {film.found}/{film.vertebrae} shift {film.shift:+d} naming {film.naming_confidence:.2f}  {medians}  {told}"


def summary(errors: Sequence[FilmErrors], groups: Sequence[str] = ()) -> str:
    """Everything about films of one kind; raises ValueError for films of several."""
    kinds = {film.kind for film in errors}
    if len(kinds) > 1:
        raise ValueError(f"{' and '.join(sorted(kinds))} films are never judged in one table")
    vertebrae = sum(film.vertebrae for film in errors)
    named = lambda some: f"{len(some)} {[film.film for film in some]}" if some else "0"
    parts = [
        f"{kinds.pop().upper()}, n = {len(errors)} films", *map(film_line, errors), "",
        "corner errors, % of width (x) and height (y)", text(by_level(errors)), "", "angle errors, degrees", text(by_angle(errors)), "",
        f"L1-S1 found at the right level {sum(f.found for f in errors)}/{vertebrae} ({100 * sum(f.found for f in errors) / max(vertebrae, 1):.1f} %), "
        f"at any level {sum(f.any_level for f in errors)}/{vertebrae}; films shifted {named([f for f in errors if f.shift])}, "
        f"refused {named([f for f in errors if f.refused])}, facing wrong {named([f for f in errors if f.facing_wrong])}",
    ]
    for column in groups:
        parts += ["", text(by_group(errors, column))]
    return "\n".join(parts)


def write(rows: Sequence[dict], path: Path) -> None:
    """Rows as CSV."""
    head = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=head)
        writer.writeheader()
        writer.writerows({k: round(float(v), 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows)
