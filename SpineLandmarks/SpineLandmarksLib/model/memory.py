"""Freed memory kept by the process: what repeated network passes on a CPU wait for otherwise."""

from __future__ import annotations

import ctypes


def keep_memory() -> None:
    """Tell glibc to keep freed memory: giving it back and asking again costs a fifth of an
    inference and a third of a training step. For processes that do nothing else."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # not glibc: nothing to tune
    mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
