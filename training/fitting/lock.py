"""One run, one process: two that write into the same folder would spoil each other's checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Holds a folder for this process, until it ends in whatever way. Raises ValueError where another one holds it."""
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ValueError(f"another process trains into {folder}: wait until it ends, or name another folder") from error
    try:
        yield
    finally:
        lock.release()
