"""What results may replace: results. Films, foreign tables and readers' corrections stay where they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
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


def beginning(path: Path, size: int) -> bytes | None:
    """So many first bytes of a file, all of them for -1; None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return stream.read(size)


def check(names: Iterable[str], read: Callable[[str, int], bytes | None], out: object) -> None:
    """Raises NotOursError where results under these names would replace a file in ``out`` that is not ours.

    ``read`` is :func:`beginning` of a file by its name there.
    """
    for name in names:
        # Tables and pictures are told by how they begin.
        content = read(name, -1 if name.endswith(".json") else 132)
        if content is not None and not is_ours(name, content):
            what = {".png": "is no picture of ours", ".json": "may hold a reader's work", ".csv": "is no table of ours"}[Path(name).suffix]
            raise NotOursError(f"{name} in {out} {what} and would be overwritten: name another output folder.")
