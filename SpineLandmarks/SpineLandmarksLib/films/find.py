"""From the command line's arguments to films and their names in the tables."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .read import is_film_name, stem


def find_films(arguments: list[Path], output: Path) -> list[tuple[str, Path]]:
    """(name, path) of every film: files as given, directories searched to the bottom, but not
    ``output``, where annotated pictures of an earlier run may lie.

    A name is the file's stem, or below a directory its path from there without suffix; names that
    would be the same keep their suffix, and where that does not tell them apart, a number.
    """
    short: list[tuple[str, Path]] = []
    for argument in arguments:
        if argument.is_dir():
            for path in sorted(argument.rglob("*")):
                if path.is_file() and is_film_name(path) and output.resolve() not in path.resolve().parents:
                    short.append((path.relative_to(argument).as_posix(), path))
        else:
            short.append((argument.name, argument))
    return list(zip(unique_names([full for full, _ in short]), (path for _, path in short)))


def unique_names(files: Sequence[str]) -> list[str]:
    """Names for files (paths with forward slashes): without suffix; those that would be the same keep
    it, and where that does not tell them apart, get a number."""
    short = [(posixpath.join(posixpath.dirname(file), stem(posixpath.basename(file)))) for file in files]
    counts = Counter(short)
    names, taken = [], set()
    for name, full in zip(short, files):
        candidate = base = name if counts[name] == 1 else full
        number = 2
        while candidate in taken:
            candidate, number = f"{base}~{number}", number + 1
        taken.add(candidate)
        names.append(candidate)
    return names
