"""What is done: one part a chunk of films, each whole or not there. Nothing is ever appended to, so
nothing is ever torn; tables are made from the parts, and where a film is in two, the newer counts."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .store import Store

_FOLDER, _SUFFIX = "parts/", ".json.gz"


@dataclass(frozen=True)
class Done:
    """What a part says of a film, in short."""

    fingerprint: str
    status: str
    when: float
    part: str


def write_part(out: Store, films: Sequence[dict]) -> str:
    """Write what was found on some films; each holds "film", "fingerprint", "status" and its rows."""
    text = "\0".join(f"{film['film']}\0{film['fingerprint']}" for film in films)
    name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    when = time.time()
    out.write(f"{_FOLDER}{name}{_SUFFIX}", gzip.compress(json.dumps([{**film, "when": when} for film in films]).encode(), 1))
    return name


def read_parts(out: Store) -> Iterator[tuple[str, list[dict]]]:
    """(part, its films) of every part that is there, by name."""
    for name in sorted(name for name, _ in out.files() if name.startswith(_FOLDER) and name.endswith(_SUFFIX)):
        yield name, json.loads(gzip.decompress(out.read(name)))


def what_is_done(out: Store) -> dict[str, Done]:
    """Film -> the newest that is known of it."""
    done: dict[str, Done] = {}
    for part, films in read_parts(out):
        for film in films:
            if film["film"] not in done or done[film["film"]].when < film["when"]:
                done[film["film"]] = Done(film["fingerprint"], film["status"], film["when"], part)
    return done
