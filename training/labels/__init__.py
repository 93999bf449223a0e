"""Labelled films of any format behind one function: folder -> list of :class:`LabelledFilm`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .buu_lspine import is_buu_lspine, read_buu_lspine
from .film import CONFIDENCE, LabelledFilm
from .folder import is_folder, read_folder
from .labelme import is_labelme, read_labelme
from .slicer_markups import is_slicer_markups, read_slicer_markups

__all__ = ["CONFIDENCE", "LabelledFilm", "folds", "read"]

#: The formats, asked in this order whether a folder is theirs.
_FORMATS = (
    (is_folder, read_folder),
    (is_slicer_markups, read_slicer_markups),
    (is_labelme, read_labelme),
    (is_buu_lspine, read_buu_lspine),
)


def read(*folders: Path) -> list[LabelledFilm]:
    """All films of some folders, each folder in a format of its own; films of the same name in two
    folders get the folder's name before theirs.

    Raises ValueError for a folder in no known format, and what the formats' readers raise.
    """
    parts = []
    for folder in map(Path, folders):
        reader = next((reader for is_mine, reader in _FORMATS if folder.is_dir() and is_mine(folder)), None)
        if reader is None:
            raise ValueError(f"{folder} holds no labelled films: expected films.csv and corners.csv, *.mrk.json, labelme's *.json or BUU-LSPINE's *.csv.")
        parts.append((folder, reader(folder)))
    count = Counter(film.name for _, films in parts for film in films)
    for folder, films in parts:
        for film in films:
            if count[film.name] > 1:
                film.patient = f"{folder.name}/{film.patient}" if film.patient == film.name else film.patient
                film.name = f"{folder.name}/{film.name}"
    return [film for _, films in parts for film in films]


def folds(films: Sequence[LabelledFilm], count: int, seed: int = 0) -> list[list[str]]:
    """Film names in ``count`` groups at random; all films of one patient are in one group.

    Patients of whom there is no lateral film are dealt out apart, so that they change nobody's group.
    Raises ValueError where there are more groups than patients with lateral films.
    """
    lateral = dict.fromkeys(film.patient for film in films if film.facing_right is not None)
    if count > len(lateral):
        raise ValueError(f"{len(lateral)} patients with lateral films make no {count} folds: ask for fewer, or name more films")
    groups = [set() for _ in range(count)]
    for patients in (list(lateral), [p for p in dict.fromkeys(film.patient for film in films) if p not in lateral]):
        order = np.random.default_rng(seed).permutation(len(patients))
        for k, group in enumerate(groups):
            group |= {patients[i] for i in order[k::count]}
    return [[film.name for film in films if film.patient in group] for group in groups]
