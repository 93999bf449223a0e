"""One run, one process: two that write into the same folder would spoil each other's checkpoints."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout


def alone_in(folder: Path) -> AbstractContextManager:
    """Holds a folder for this process until the context ends, or the process. Raises ValueError where another one holds it."""
    try:
        return FileLock(folder / "lock").acquire(blocking=False)
    except Timeout as error:
        raise ValueError(f"another process trains into {folder}: wait until it ends, or name another folder") from error
