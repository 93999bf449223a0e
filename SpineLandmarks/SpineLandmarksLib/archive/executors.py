"""Where the work is done: in this process, in processes of this machine, on a Dask cluster.

All take the same jobs and hand back their chunks as they end, keeping only a few in flight, so that
memory does not grow with the archive.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .work import Entry, Job, run

Chunk = list[Entry]


class Executor(Protocol):
    def run(self, job: Job, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, BaseException | None]]:
        """Every chunk with None, or with what went wrong with it as a whole, in any order."""


class Serial:
    """In this process, chunk after chunk."""

    def run(self, job: Job, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, BaseException | None]]:
        for chunk in chunks:
            yield chunk, _outcome(lambda chunk=chunk: run(job, chunk))


class Processes:
    """In ``count`` processes of this machine. A process that dies (out of memory, killed) takes at
    most the chunks in flight with it: they are tried again one by one in a new pool."""

    def __init__(self, count: int):
        self.count = count

    def run(self, job: Job, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, BaseException | None]]:
        from concurrent.futures.process import BrokenProcessPool

        source = iter(chunks)
        suspects: list[Chunk] = []
        while True:
            flying: dict = {}
            try:
                with self._pool() as pool:
                    for chunk in itertools.islice(source, 2 * self.count):
                        flying[pool.submit(run, job, chunk)] = chunk
                    yield from self._drain(pool, job, flying, source)
                    return
            except BrokenProcessPool:
                suspects = list(flying.values())
            for chunk in suspects:
                yield chunk, self._alone(job, chunk)

    @contextmanager
    def _pool(self) -> Iterator:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        # Spawned, not forked: torch's threads do not survive a fork.
        pool = ProcessPoolExecutor(self.count, mp_context=multiprocessing.get_context("spawn"))
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        pool.shutdown()

    def _drain(self, pool, job: Job, flying: dict, source: Iterator[Chunk]) -> Iterator[tuple[Chunk, BaseException | None]]:
        from concurrent.futures import FIRST_COMPLETED, wait
        from concurrent.futures.process import BrokenProcessPool

        while flying:
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise error
                chunk = flying.pop(future)
                for more in itertools.islice(source, 1):
                    flying[pool.submit(run, job, more)] = more
                yield chunk, error

    def _alone(self, job: Job, chunk: Chunk) -> BaseException | None:
        """A chunk that may have killed its process, in a process of its own."""
        from concurrent.futures.process import BrokenProcessPool

        try:
            with Processes(1)._pool() as pool:
                return pool.submit(run, job, chunk).exception()
        except BrokenProcessPool as error:
            return error


class Cluster:
    """On a Dask cluster. Each worker loads the weights once; what a lost worker had in hand, Dask
    gives to another."""

    def __init__(self, address: str):
        try:
            from dask.distributed import Client
        except ImportError as error:
            raise ValueError("--scheduler needs the Python package 'distributed': pip install 'spine-landmarks[batch]'.") from error
        try:
            self._client = Client(address, timeout=20)
        except (OSError, ValueError) as error:
            raise ValueError(f"no Dask scheduler answers at {address}: start one, or check the address.") from error

    def run(self, job: Job, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, BaseException | None]]:
        from dask.distributed import as_completed

        source = iter(chunks)
        in_flight = 4 * max(1, sum(self._client.nthreads().values()))
        flying = {}
        finished = as_completed()
        try:
            for chunk in itertools.islice(source, in_flight):
                future = self._client.submit(run, job, chunk, pure=False, retries=2)
                flying[future.key] = chunk
                finished.add(future)
            for future in finished:
                error = None if future.status == "finished" else future.exception()
                chunk = flying.pop(future.key)
                for more in itertools.islice(source, 1):
                    following = self._client.submit(run, job, more, pure=False, retries=2)
                    flying[following.key] = more
                    finished.add(following)
                yield chunk, error
        finally:
            self._client.close()


def _outcome(work) -> BaseException | None:
    try:
        work()
    except Exception as error:  # handed over to the one who reports
        return error
    return None
