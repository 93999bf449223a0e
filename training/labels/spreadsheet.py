"""Tables as spreadsheets save them: commas or semicolons (then with decimal commas), a byte-order mark, empty lines."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path


class Row(dict):
    """Column -> text without blanks around it; errors name the table and the line."""

    def __init__(self, values: dict[str, str], place: str):
        super().__init__(values)
        self.place = place

    def number(self, column: str) -> float:
        """A finite number; raises ValueError."""
        try:
            value = float(self[column].replace(",", "."))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"{self.place}: {column} is {self[column]!r}, not a number")
        return value

    def one_of(self, column: str, known: Sequence[str]) -> str:
        """A text that is known; raises ValueError."""
        if self[column] not in known:
            raise ValueError(f"{self.place}: {column} is {self[column]!r}, not one of {', '.join(known)}")
        return self[column]


def rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Every line of a table that has at least these columns; raises ValueError for one that has not."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: save it as CSV UTF-8") from error
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",", skipinitialspace=True)
    names = [name.strip() for name in reader.fieldnames or ()]
    if missing := [column for column in columns if column not in names]:
        raise ValueError(f"{path} has no column {', '.join(missing)}: its first line must name {', '.join(columns)}")
    reader.fieldnames = names
    for values in reader:
        told = {name: (values[name] or "").strip() for name in names}
        if any(told.values()):
            yield Row(told, f"{path.name}, line {reader.line_num}")
