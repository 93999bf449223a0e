"""From the command line's arguments to films and their names in the tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .read import is_film_name, stem


def find_films(arguments: list[Path], output: Path) -> list[tuple[str, Path]]:
    """(name, path) of every film: files as given, directories searched to the bottom, but not
    ``output``, where annotated pictures of an earlier run may lie.

    A name is the file's stem, or below a directory its path from there without suffix; names that
    would be the same keep their suffix, and where that does not tell them apart, a number.
    """
    short: list[tuple[str, str, Path]] = []
    for argument in arguments:
        if argument.is_dir():
            for path in sorted(argument.rglob("*")):
                if path.is_file() and is_film_name(path) and output.resolve() not in path.resolve().parents:
                    inner = path.relative_to(argument)
                    short.append((inner.with_name(stem(inner.name)).as_posix(), inner.as_posix(), path))
        else:
            short.append((stem(argument.name), argument.name, argument))
    counts = Counter(name for name, _, _ in short)
    films, taken = [], set()
    for name, full, path in short:
        candidate = base = name if counts[name] == 1 else full
        number = 2
        while candidate in taken:
            candidate, number = f"{base}~{number}", number + 1
        taken.add(candidate)
        films.append((candidate, path))
    return films
