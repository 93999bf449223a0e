"""Folders on this machine or behind an fsspec URL (s3://, memory://, ...), the same to their users."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..report.ours import beginning

#: Scratch folders of workers begin so.
SCRATCH = ".spine-landmarks-"


class Store(Protocol):
    """A folder. Names are relative to it, with forward slashes."""

    url: str

    def prepare(self) -> None:
        """Make the folder, and remove what a killed run has left half done."""

    def files(self) -> Iterator[tuple[str, str]]:
        """(name, fingerprint) of every file below, in order; a fingerprint changes when the file does."""

    def local(self, name: str):
        """Context manager: a path on this machine where the file can be read."""

    def read(self, name: str) -> bytes: ...

    def beginning(self, name: str, size: int) -> bytes | None:
        """So many first bytes of a file, all of them for -1; None where there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Whole or not at all: nobody ever sees half a file."""

    def put(self, name: str, path: Path) -> None:
        """The same from a file of this machine, which may be moved away."""

    def exists(self, name: str) -> bool: ...


def open_store(place: str | Path) -> Store:
    """The store at a path or URL. Raises ValueError when fsspec, or its package for the URL, is missing."""
    if "://" not in str(place):
        return LocalStore(Path(place))
    if str(place).startswith("file://"):
        return LocalStore(Path(str(place)[len("file://") :]))
    return RemoteStore(str(place))


class LocalStore:
    def __init__(self, folder: Path):
        self.folder = folder
        self.url = str(folder)

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for scratch in self.folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(scratch, ignore_errors=True)
        for part in self.folder.rglob(".*.part"):
            if part.stem.rpartition(".")[2].isdigit():  # named as ``write`` does, with a process's number
                part.unlink(missing_ok=True)

    def files(self) -> Iterator[tuple[str, str]]:
        for directory, folders, names in os.walk(self.folder):
            folders.sort()
            for name in sorted(names):
                path = Path(directory, name)
                try:
                    status = path.stat()
                except OSError:
                    continue  # a broken link: it is no film
                yield path.relative_to(self.folder).as_posix(), f"{status.st_size}-{status.st_mtime_ns}"

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        yield self.folder / name

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def beginning(self, name: str, size: int) -> bytes | None:
        return beginning(self.folder / name, size)

    def write(self, name: str, data: bytes) -> None:
        path = self._made(name)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        with part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)

    def put(self, name: str, path: Path) -> None:
        target = self._made(name)
        if os.stat(path).st_dev == os.stat(target.parent).st_dev:
            Path(path).replace(target)
        else:
            self.write(name, Path(path).read_bytes())

    def _made(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def exists(self, name: str) -> bool:
        return (self.folder / name).is_file()


class RemoteStore:
    def __init__(self, url: str):
        try:
            import fsspec

            self._system, self._root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise ValueError(f"{url} needs the Python package fsspec and the one for its kind of storage (s3fs for s3): {error}.") from error
        except ValueError as error:
            raise ValueError(f"{url} is no place that fsspec knows: {error}.") from error
        self._root = self._root.rstrip("/")
        self.url = url

    def prepare(self) -> None:
        self._system.makedirs(self._root, exist_ok=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def files(self) -> Iterator[tuple[str, str]]:
        # Page after page, as the storage lists them: a million files are never in memory at once.
        for directory, _, found in self._system.walk(self._root, detail=True):
            for base in sorted(found):
                entry = found[base]
                mark = next((entry[k] for k in ("ETag", "etag", "mtime", "LastModified", "last_modified", "created") if entry.get(k)), "")
                inner = f"{directory}/{base}".lstrip("/")[len(self._root.lstrip("/")) :].lstrip("/")
                yield inner, f"{entry.get('size')}-{mark}"

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, Path(name).name)
            self._system.get_file(self._path(name), str(path))
            yield path

    def read(self, name: str) -> bytes:
        return self._system.cat_file(self._path(name))

    def beginning(self, name: str, size: int) -> bytes | None:
        return self._system.cat_file(self._path(name), end=None if size < 0 else size) if self.exists(name) else None

    def write(self, name: str, data: bytes) -> None:
        self._system.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
        self._system.pipe_file(self._path(name), data)

    def put(self, name: str, path: Path) -> None:
        self._system.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
        self._system.put_file(str(path), self._path(name))

    def exists(self, name: str) -> bool:
        return self._system.exists(self._path(name))
