"""BUU-LSPINE: lateral films with a CSV of plates each.

Klinwichit et al., "BUU-LSPINE: a Thai open lumbar spine dataset for spondylolisthesis detection" (Appl
Sci 13:8646, 2023). Beside ``0001-F-037Y1.jpg`` lies ``0001-F-037Y1.csv`` with a row for each plate from
L1's superior to L5's inferior, and S1's superior where it is labelled: x1, y1, x2, y2 in pixels, and a
diagnosis that is not used here. The digit after Y tells AP (0) from lateral films (1); the leading number
is the patient.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from .facing import faces_right, named_ends
from .film import LabelledFilm, all_sure

_NAME = re.compile(r"(?P<patient>\d+)-[MF]-\d+Y(?P<view>[01])$")
_PICTURES = (".jpg", ".jpeg", ".png")
_PLATES = [(f"L{n}", side) for n in range(1, 6) for side in "SI"] + [("S1", "S")]


def _lateral(folder: Path) -> list[tuple[Path, Path, str]]:
    """(table, picture, patient) of every lateral film of a folder and those below it."""
    found = []
    for table in sorted(folder.rglob("*.csv")):
        name = _NAME.match(table.stem)
        picture = next((p for s in _PICTURES if (p := table.with_suffix(s)).is_file()), None)
        if name and name["view"] == "1" and picture:
            found.append((table, picture, name["patient"]))
    return found


def is_buu_lspine(folder: Path) -> bool:
    return bool(_lateral(folder))


def read_buu_lspine(folder: Path) -> list[LabelledFilm]:
    """Every lateral film; raises ValueError, naming the file, for a table of another shape and for a
    film whose facing its plates do not tell."""
    labelled = []
    for table, picture, patient in _lateral(folder):
        with table.open(newline="") as stream:
            rows = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
        try:
            ends = np.array([[float(cell) for cell in row[:4]] for row in rows]).reshape(-1, 2, 2)
        except ValueError:
            raise ValueError(f"{table}: expected rows of x1, y1, x2, y2") from None
        if len(ends) not in (len(_PLATES) - 1, len(_PLATES)):
            raise ValueError(f"{table}: {len(ends)} plates instead of 10 (L1 to L5) or 11 (with S1)")
        plates = {key: (a, b) for key, (a, b) in zip(_PLATES, ends)}
        try:
            right = faces_right(plates)
        except ValueError as error:
            raise ValueError(f"{table}: {error}") from None
        corners: dict[str, dict[str, np.ndarray]] = {}
        for (level, side), plate in plates.items():
            anterior, posterior = named_ends(plate, right)
            corners.setdefault(level, {}).update({f"{side}A": anterior, f"{side}P": posterior})
        labelled.append(LabelledFilm(table.stem, picture, right, corners, all_sure(corners), patient=patient))
    return labelled
