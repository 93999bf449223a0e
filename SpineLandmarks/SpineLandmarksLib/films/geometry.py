"""Where ITK's readers, and so 3D Slicer, put a film in space."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def index_to_lps(image) -> np.ndarray:
    """4x4 map from pixel (x, y, 0) to LPS millimetres; ``image`` is a SimpleITK image or header
    reader. The identity for more than three dimensions."""
    n = image.GetDimension()
    matrix = np.eye(4)
    if n > 3:
        return matrix
    matrix[:n, :n] = np.reshape(image.GetDirection(), (n, n)) * np.array(image.GetSpacing())
    matrix[:n, 3] = image.GetOrigin()
    return matrix


def header_index_to_lps(path: Path) -> np.ndarray:
    """The same from a file's header alone; the identity when ITK cannot read it."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return np.eye(4)
    return index_to_lps(reader)
