"""landmarks.csv, measurements.csv and films.csv, written film by film so that nothing is lost."""

from __future__ import annotations

import csv
from pathlib import Path

from . import rows
from .result import FilmResult


class Tables:
    """Context manager over the three tables of an output folder; replaces tables that are there."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._streams: list = []

    def __enter__(self) -> Tables:
        self._landmarks, self._measurements, self._films = (self._open(f"{name}.csv", columns) for name, columns in rows.TABLES.items())
        return self

    def _open(self, name: str, columns: tuple[str, ...]) -> csv.DictWriter:
        stream = (self._folder / name).open("w", newline="", encoding="utf-8")
        self._streams.append(stream)
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        return writer

    def add(self, result: FilmResult) -> None:
        """Append one film; its row in films.csv comes last, and says that the others are whole."""
        self._landmarks.writerows(rows.landmark_rows(result))
        self._measurements.writerows(rows.measurement_rows(result))
        self._films.writerow(rows.film_row(result))
        for stream in self._streams:
            stream.flush()

    def __exit__(self, *_) -> None:
        for stream in self._streams:
            stream.close()
