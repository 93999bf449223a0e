"""Writers of small films in every format, for the reader's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


def picture(bits: int = 16, shape=(90, 120)) -> np.ndarray:
    """A ramp with a bright bar ("bone") in the upper left quarter."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    values = 0.2 + 0.3 * x / shape[1] + 0.5 * ((x > 20) & (x < 40) & (y > 10) & (y < 40))
    return (values / values.max() * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def write_dicom(path: Path, pixels: np.ndarray, photometric: str = "MONOCHROME2", bits: int = 16, **tags) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    d.SOPClassUID, d.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    d.Modality, d.PatientID, d.PatientName = "OT", "", ""
    d.StudyInstanceUID, d.SeriesInstanceUID = generate_uid(), generate_uid()
    d.Rows, d.Columns = pixels.shape[:2]
    d.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    d.PhotometricInterpretation = photometric
    if pixels.ndim == 3:
        d.PlanarConfiguration = 0
    d.BitsAllocated = 8 if pixels.dtype == np.uint8 else 16
    d.BitsStored, d.HighBit, d.PixelRepresentation = bits, bits - 1, 0
    d.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        setattr(d, keyword, value)
    d.save_as(path, enforce_file_format=True)
    return path


def write_itk(path: Path, pixels: np.ndarray, spacing=None) -> Path:
    image = sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 3)
    if spacing:
        image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def compress(source: Path, target: Path, compressor: str) -> Path:
    """Copy a DICOM film with ITK's "JPEG" (lossless) or "JPEG2000" compression."""
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(target))
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.Execute(sitk.ReadImage(str(source)))
    return target


def is_compressed(path: Path) -> bool:
    return pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_compressed
