"""Whether a picture file is sound enough for its reader: readers fill what is missing with grey and
say nothing, and ITK's NRRD parser crashes on headers that are no text."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

from ..core.radiograph import MAX_PIXELS, FilmError

_CUT_SHORT = "the file is cut short: copy it again from its source."

#: A NIfTI header, and how far it may say that the voxels begin.
_NIFTI_HEADER = 348


def refuse_unsound(path: Path) -> None:
    """Raise FilmError when a PNG, JPEG, BMP or NIfTI file ends before it should, or a NRRD header is
    broken; other formats' readers notice by themselves."""
    with path.open("rb") as stream:
        head = stream.read(_NIFTI_HEADER)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 65536))
        tail = stream.read()
    if head.startswith(b"\x89PNG"):
        whole = b"IEND\xaeB`\x82" in tail
    elif head.startswith(b"\xff\xd8\xff"):
        whole = b"\xff\xd9" in tail
    elif head.startswith(b"BM") and len(head) >= 54:
        whole = size >= struct.unpack_from("<I", head, 2)[0]
    elif head.startswith(b"NRRD"):
        _refuse_bad_nrrd_header(path)
        return
    elif head.startswith(b"\x1f\x8b"):
        whole = _unpacks(path)
    elif len(head) == _NIFTI_HEADER and head[344:347] in (b"n+1", b"n+2"):
        whole = size >= _nifti_bytes(head)
    else:
        return
    if not whole:
        raise FilmError(_CUT_SHORT)


def _refuse_bad_nrrd_header(path: Path) -> None:
    """Lines of text up to an empty one, each a comment, "field: value" or "key:=value", with the
    fields that every header has (teem.sourceforge.net/nrrd/format.html)."""
    with path.open("rb") as stream:
        start = stream.read(1 << 16).replace(b"\r\n", b"\n")
    header, end, _ = start.partition(b"\n\n")
    lines = header.split(b"\n")[1:]
    fields = {line.partition(b":")[0].lower() for line in lines}
    text = all(byte in b"\t" or 32 <= byte != 127 for byte in b"".join(lines))
    formed = all(line.startswith(b"#") or b":" in line for line in lines)
    detached = path.suffix.lower() == ".nhdr"
    if not ((end or detached) and text and formed and {b"type", b"dimension", b"sizes", b"encoding"} <= fields):
        raise FilmError("its NRRD header is broken: export it again.")


def _nifti_bytes(header: bytes) -> int:
    """Length that a single-file NIfTI-1 must have (nifti1.h: dim, bitpix, vox_offset)."""
    order = "<" if struct.unpack_from("<i", header)[0] == _NIFTI_HEADER else ">"
    axes = struct.unpack_from(order + "8h", header, 40)
    bits = struct.unpack_from(order + "h", header, 72)[0]
    offset = struct.unpack_from(order + "f", header, 108)[0]
    voxels = 1
    for length in axes[1 : 1 + max(0, min(axes[0], 7))]:
        voxels *= max(length, 1)
    return int(offset if 0 <= offset < 1e6 else 0) + voxels * max(bits, 0) // 8


def _unpacks(path: Path) -> bool:
    """Whether a gzip file unpacks to its end and holds what its NIfTI header promises."""
    header, total = b"", 0
    try:
        with gzip.open(path) as stream:
            while block := stream.read(1 << 20):
                if total < _NIFTI_HEADER:
                    header += block[:_NIFTI_HEADER]
                total += len(block)
                if total > 16 * MAX_PIXELS:
                    raise FilmError("unpacks to more than any film holds: export it as a single picture.")
    except (EOFError, OSError, zlib.error):
        return False
    if len(header) >= _NIFTI_HEADER and header[344:347] == b"n+1":
        return total >= _nifti_bytes(header[:_NIFTI_HEADER])
    return True
