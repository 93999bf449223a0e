"""What results may replace: results. Films, foreign tables and readers' corrections stay where they are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ..core.detection import CornerStatus
from ..films import is_annotated
from . import rows
from .markups import DISPLAY

#: The files of an output folder's tables, and their first columns: an earlier version may have had fewer of the others.
TABLE_FILES = {f"{name}.csv": ",".join(columns[:2]).encode() for name, columns in rows.TABLES.items()}

#: How descriptions of corners begin that no reader has touched.
_UNTOUCHED = {status.value for status in CornerStatus} - {CornerStatus.EDITED.value}


class NotOursError(Exception):
    """A result would replace a file that is none; the message says what to do."""


def files_of(film: str) -> tuple[str, str]:
    """The names of a film's annotated picture and its markups file."""
    return f"{film}.png", f"{film}.mrk.json"


def is_ours(name: str, content: bytes) -> bool:
    """Whether a file under the name of a result is one, and no reader's work is lost with it."""
    if name in TABLE_FILES:
        return content.startswith(TABLE_FILES[name])
    if name.endswith(".png"):
        return is_annotated(content[:132])
    try:
        (markup,) = json.loads(content)["markups"]
        # Whoever saved it again, as Slicer does with a look of its own, may have moved points.
        return markup["display"] == DISPLAY and all(point["description"].split(",")[0] in _UNTOUCHED for point in markup["controlPoints"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def refusal(name: str, out: object) -> NotOursError:
    """The error for a file that is not ours, by its name in the output folder."""
    what = {".png": "is no picture of ours", ".json": "may hold a reader's work", ".csv": "is no table of ours"}[Path(name).suffix]
    return NotOursError(f"{name} in {out} {what} and would be overwritten: name another output folder.")


def check(out: Path, films: Iterable[str]) -> None:
    """Raises NotOursError where tables, pictures or lists of some films would replace a file in ``out`` that is not ours."""
    for name in (*TABLE_FILES, *(name for film in films for name in files_of(film))):
        path = out / name
        if path.is_file():
            with path.open("rb") as stream:
                # Tables and pictures are told by how they begin.
                content = stream.read(-1 if path.suffix == ".json" else 132)
            if not is_ours(name, content):
                raise refusal(name, out)
