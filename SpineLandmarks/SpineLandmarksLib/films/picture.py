"""PNG, JPEG, TIFF, BMP, NRRD and NIfTI films, through SimpleITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.radiograph import FilmError, Radiograph, SpacingSource, refuse_huge, to_grey
from .geometry import index_to_lps
from .sound import refuse_unsound

#: Formats that were made to carry a physical spacing. In PNG, JPEG and TIFF it is a printing
#: resolution, which says nothing about the patient.
WITH_SPACING = (".nrrd", ".nhdr", ".nii", ".nii.gz")


def read(path: Path) -> Radiograph:
    """Read a picture or a volume of one slice; raises FilmError."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    _refuse_animation(head)
    refuse_unsound(path)
    try:
        header = sitk.ImageFileReader()
        header.SetFileName(str(path))
        header.ReadImageInformation()
        # Before any pixel is unpacked: a few bytes may promise gigabytes.
        refuse_huge(header.GetSize())
        if head.startswith(b"\xff\xd8\xff"):
            return Radiograph(to_grey(_pillow_pixels(path)), index_to_lps=index_to_lps(header))
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return Radiograph(to_grey(_pillow_pixels(path)))
    pixels = sitk.GetArrayFromImage(image)
    spacing = image.GetSpacing()
    scalar = image.GetNumberOfComponentsPerPixel() == 1
    # Volumes of one slice: drop every axis of length one that is not a picture axis.
    axes = pixels.ndim if scalar else pixels.ndim - 1
    place = index_to_lps(image)
    while axes > 2 and 1 in pixels.shape[:axes]:
        axis = pixels.shape[:axes].index(1)
        dropped = axes - 1 - axis  # ITK counts axes from the fastest
        spacing = tuple(s for i, s in enumerate(spacing) if i != dropped)
        if axes == 3:
            # The flat axis becomes the third one: x and y of the picture are the other two.
            place = place[:, [i for i in range(3) if i != dropped] + [dropped, 3]]
        pixels = pixels.squeeze(axis)
        axes -= 1
    if axes != 2:
        raise FilmError(f"holds {' x '.join(str(n) for n in image.GetSize())} voxels, not one film: export a single picture.")
    grey = to_grey(pixels)
    if path.name.lower().endswith(WITH_SPACING):
        return Radiograph(grey, (float(spacing[0]), float(spacing[1])), SpacingSource.FILE, place)
    return Radiograph(grey, index_to_lps=place)


def _refuse_animation(head: bytes) -> None:
    """ITK would take an animated PNG's first frame without a word; raises FilmError."""
    if head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0]:
        raise FilmError("is an animation, not one film: export a single picture.")


def _pillow_pixels(path: Path) -> np.ndarray:
    """JPEG, and what ITK does not know: grey PNG with alpha, rarer TIFF; raises FilmError."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise FilmError(f"holds {image.n_frames} frames, not one film: export a single picture.")
            refuse_huge(image.size)
            # A JPEG's luma (ITU-R BT.601) is stored apart from its colours: unpack nothing else, in a
            # fifth of the time. Says nothing to other formats.
            image.draft("L", None)
            return np.asarray(image if image.mode in ("L", "LA", "RGB", "RGBA", "I;16", "F", "I") else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FilmError("cannot be read as DICOM, PNG, JPEG, TIFF, NRRD or NIfTI: the file is broken or of another kind.") from error
