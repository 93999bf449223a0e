"""DICOM films: pixels bright-bone, spacing with its provenance."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.radiograph import FilmError, Radiograph, SpacingSource, refuse_huge, to_grey
from .geometry import header_index_to_lps

_BROKEN = "is not a readable DICOM file: it is broken or of another kind."

#: Suffixes that DICOM files usually have, when they have one.
SUFFIXES = (".dcm", ".dicom", ".ima")


def spacing_of(dataset) -> tuple[tuple[float, float] | None, SpacingSource]:
    """(x, y) millimetres per pixel and where they come from (DICOM PS3.3, 10.7.1.3).

    PixelSpacing that differs from ImagerPixelSpacing was corrected for magnification, as is one
    that PixelSpacingCalibrationType says so of. ImagerPixelSpacing is measured at the detector;
    dividing it by EstimatedRadiographicMagnificationFactor would be an estimate, so it is not done.
    """

    def pair(keyword: str) -> tuple[float, float] | None:
        try:
            row, column = (float(v) for v in dataset.get(keyword))
        except (TypeError, ValueError):
            return None
        # Rows first in DICOM: the first number is the distance in y.
        return (column, row) if np.isfinite([row, column]).all() and min(row, column) > 0 else None

    patient = pair("PixelSpacing")
    detector = pair("ImagerPixelSpacing") or pair("NominalScannedPixelSpacing")
    calibrated = dataset.get("PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL")
    if patient and (calibrated or (detector and not np.allclose(patient, detector, rtol=1e-3))):
        return patient, SpacingSource.CALIBRATED
    if detector:
        return detector, SpacingSource.DETECTOR
    if patient:
        return patient, SpacingSource.FILE
    return None, SpacingSource.UNKNOWN


def read_spacing(path: Path) -> tuple[tuple[float, float] | None, SpacingSource]:
    """Spacing and its source from a file's header alone; unknown when it is not readable DICOM."""
    import pydicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return spacing_of(pydicom.dcmread(path, force=True, stop_before_pixels=True))
    except Exception:  # what pydicom raises on arbitrary bytes has no common kind
        return None, SpacingSource.UNKNOWN


def unknown_keywords(keywords: Sequence[str]) -> list[str]:
    """Those that the DICOM dictionary does not have."""
    from pydicom.datadict import tag_for_keyword

    return [keyword for keyword in keywords if tag_for_keyword(keyword) is None]


def read_tags(path: Path, keywords: Sequence[str]) -> dict[str, str]:
    """DICOM keyword -> its value as text, "" where the file has none or is not DICOM."""
    import pydicom

    try:
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        return {keyword: str(dataset.get(keyword, "")) for keyword in keywords}
    except Exception:  # as above
        return dict.fromkeys(keywords, "")


def _stored_pixels(dataset) -> np.ndarray:
    """Pixels through pydicom: values as stored for grey films, RGB for coloured ones."""
    try:
        from pydicom.pixels import apply_color_lut, apply_modality_lut
        converted = True
    except ImportError:  # pydicom 2, which Slicer 5.10 bundles, leaves YBR as it is
        from pydicom.pixel_data_handlers.util import apply_color_lut, apply_modality_lut
        converted = False

    pixels = dataset.pixel_array
    photometric = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        return apply_color_lut(pixels, dataset)
    if photometric.startswith("MONOCHROME"):
        return apply_modality_lut(pixels, dataset)
    if photometric.startswith("YBR") and not converted:
        return pixels[..., 0]  # luma
    return pixels


def _itk_pixels(path: Path) -> np.ndarray:
    """Pixels through ITK's GDCM, which knows the JPEG variants that pydicom needs plugins for.
    GDCM has inverted MONOCHROME1 and applied the modality LUT already."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return pixels[0] if pixels.ndim > 2 and pixels.shape[0] == 1 else pixels


def read(path: Path) -> Radiograph:
    """Read a DICOM file of one frame, with or without a preamble; raises FilmError."""
    import pydicom

    try:
        # Values are decoded when they are first asked for: broken ones show up here, not later.
        with warnings.catch_warnings():
            # pydicom warns of every oddity, and quotes it: a patient's data could come into a log.
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True)
            dataset.decode()
        known = "Rows" in dataset or "PixelData" in dataset or "SOPClassUID" in dataset
        size = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
        frames = int(dataset.get("NumberOfFrames") or 1)
        spacing, source = spacing_of(dataset)
    except Exception as error:  # what pydicom raises on arbitrary bytes has no common kind
        raise FilmError(_BROKEN) from error
    if not known:
        raise FilmError(_BROKEN)
    if "PixelData" not in dataset:
        raise FilmError("holds no pixel data (tag 7FE0,0010): export the image object itself, not a report or directory.")
    if frames > 1:
        raise FilmError(f"holds {frames} frames, not one film (tag 0028,0008): export a single frame.")
    refuse_huge(size)
    inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    try:
        pixels = _stored_pixels(dataset)
    except Exception:  # pydicom's pixel plugins raise every kind; ITK gets the second try
        try:
            pixels, inverted = _itk_pixels(path), False
        except RuntimeError as error:
            syntax = getattr(dataset.file_meta.get("TransferSyntaxUID"), "name", "unknown")
            raise FilmError(f"its pixels cannot be decoded (transfer syntax {syntax}, tag 0002,0010): save it uncompressed.") from error
    grey = to_grey(pixels)
    if inverted:
        grey = grey.max() + grey.min() - grey
    return Radiograph(grey, spacing, source, header_index_to_lps(path))
