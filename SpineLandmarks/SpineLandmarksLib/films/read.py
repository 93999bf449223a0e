"""One door for every file format."""

from __future__ import annotations

from pathlib import Path, PurePath

from ..core.radiograph import FilmError, Radiograph, SpacingSource
from . import dicom, picture

#: Suffixes that are taken for films when a directory is searched.
SUFFIXES = (*dicom.SUFFIXES, ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nrrd", ".nhdr", ".nii", ".nii.gz", ".bmp")

#: Key and text that every annotated picture of ours carries, so that none is ever measured as a film.
ANNOTATED = ("Software", "SpineLandmarks")


def is_annotated(head: bytes) -> bool:
    """Whether a file's first 132 bytes are those of an annotated picture of ours."""
    return head.startswith(b"\x89PNG") and "\0".join(ANNOTATED).encode() in head


def read(path: str | Path) -> Radiograph:
    """Read a film: DICOM (by content, whatever the suffix), PNG, JPEG, TIFF, BMP, NRRD or NIfTI.

    Raises FilmError, one sentence, when the file is missing, empty, broken or not a single film.
    """
    path = Path(path)
    if path.is_dir():
        raise FilmError(f"{path.name} is a directory: name the film's file.")
    try:
        with path.open("rb") as stream:
            head = stream.read(132)
    except OSError as error:
        raise FilmError(f"cannot open the file ({error.strerror}): check its path and permissions.") from error
    if not head:
        raise FilmError("the file is empty: copy it again from its source.")
    if is_annotated(head):
        raise FilmError("is a picture annotated by SpineLandmarks: give the film that it was made from.")
    try:
        return _read(path, head)
    except MemoryError as error:
        raise FilmError("the picture does not fit into this machine's memory: export it smaller.") from error


def _read(path: Path, head: bytes) -> Radiograph:
    if head[128:132] == b"DICM":
        return dicom.read(path)
    try:
        return picture.read(path)
    except FilmError:
        # Old DICOM files have no preamble: their name is the only hint.
        if path.suffix.lower() in dicom.SUFFIXES or not path.suffix:
            return dicom.read(path)
        raise


def read_spacing(path: str | Path) -> tuple[tuple[float, float] | None, SpacingSource]:
    """(x, y) mm per pixel and their source, from a DICOM header; unknown for any other file, whose
    spacing says nothing about the patient or is what Slicer has loaded already."""
    path = Path(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(132)
    except OSError:
        return None, SpacingSource.UNKNOWN
    if head[128:132] == b"DICM" or path.suffix.lower() in dicom.SUFFIXES:
        return dicom.read_spacing(path)
    return None, SpacingSource.UNKNOWN


def is_film_name(path: PurePath) -> bool:
    """Whether a file below a searched directory is tried: by suffix, or without one (DICOM exports)."""
    name = path.name.lower()
    if name.startswith(".") or name == "dicomdir":
        return False
    return name.endswith(SUFFIXES) or "." not in name


def stem(name: str) -> str:
    """File name without its film suffix (``.nii.gz`` counts as one)."""
    lower = name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name
