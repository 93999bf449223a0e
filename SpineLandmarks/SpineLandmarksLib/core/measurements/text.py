"""Measurements in words, the same in every table that a person reads."""

from __future__ import annotations

from collections.abc import Sequence

from .compare import difference
from .evaluate import Measured, MeasuredStatus

#: Column titles of a table of measurements; the two of a comparison come where there is another film.
COLUMNS = ("Measurement", "Value", "90 % interval", "Usual", "Note")
COMPARISON = ("Other film", "Other - this")


def cells(m: Measured, other: Measured | None = None) -> list[str]:
    """One row, in the order of ``COLUMNS`` with ``COMPARISON`` before the note when there is another film."""
    d = m.definition
    row = [d.name, "not measurable" if m.value is None else d.text(m.value)]
    row.append(f"{m.interval[0]:.{_digits(m)}f} to {m.interval[1]:.{_digits(m)}f}" if m.interval else "")
    row.append(f"{d.normal[0]:g} to {d.normal[1]:g}{d.unit_text}" if d.normal else "")
    if other is not None:
        change = difference(m, other)
        row.append("not measurable" if other.value is None else d.text(other.value))
        row.append("" if change is None else f"{'+' if change >= 0 else ''}{d.text(change)}")
    return [*row, m.reason]


def _digits(m: Measured) -> int:
    return 2 if m.definition.unit == "ratio" else 1


def usual(m: Measured) -> bool | None:
    """Whether a value lies within the range of healthy adults; None where there is no value or no range."""
    if m.value is None or m.definition.normal is None:
        return None
    return m.definition.normal[0] <= m.value <= m.definition.normal[1]


def as_tsv(measured: Sequence[Measured], others: Sequence[Measured] | None = None) -> str:
    """What can be measured, as text with tabs that spreadsheets take from the clipboard."""
    titles = list(COLUMNS if others is None else (*COLUMNS[:-1], *COMPARISON, COLUMNS[-1]))
    rows = [titles]
    for index, m in enumerate(measured):
        other = others[index] if others is not None else None
        if m.status is not MeasuredStatus.NOT_MEASURABLE or (other is not None and other.value is not None):
            rows.append(cells(m, other))
    return "".join("\t".join(row) + "\n" for row in rows)
