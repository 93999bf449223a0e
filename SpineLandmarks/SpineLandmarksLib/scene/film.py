"""A volume node that holds a film, as a radiograph with its place in the scene."""

from __future__ import annotations

import numpy as np
import vtk

from ..core.radiograph import FilmError, Radiograph, SpacingSource, to_grey

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _matrix(m: vtk.vtkMatrix4x4) -> np.ndarray:
    return np.array([[m.GetElement(i, j) for j in range(4)] for i in range(4)])


def radiograph_of(volume) -> Radiograph:
    """Read a scalar or vector volume node of one slice; raises FilmError for anything else.

    Picture x and y are the volume's I and J (or whichever two axes are longer than one voxel);
    ``index_to_lps`` follows the node's own ijkToRAS, whatever its orientation.
    """
    from slicer.util import arrayFromVolume

    if volume is None or volume.GetImageData() is None:
        raise FilmError("the volume holds no picture: load a film and select it.")
    voxels = np.array(arrayFromVolume(volume))  # k, j, i and perhaps components
    extent = voxels.shape[:3]
    flat = [axis for axis in range(3) if extent[axis] == 1]
    if not flat:
        raise FilmError(f"the volume has {extent[2]} x {extent[1]} x {extent[0]} voxels, not one film: select a single film.")
    pixels = to_grey(voxels.squeeze(flat[0]))
    # numpy axis 0, 1, 2 is k, j, i: columns of ijkToRAS in reverse.
    rows, columns = (2 - axis for axis in range(3) if axis != flat[0])
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    m = _matrix(ijk_to_ras)
    index_to_ras = np.eye(4)
    for target, source in enumerate((columns, rows, 2 - flat[0])):
        index_to_ras[:, target] = m[:, source]
    index_to_ras[:, 3] = m[:, 3]
    spacing = tuple(float(np.linalg.norm(index_to_ras[:3, k])) for k in (0, 1))
    # A scene's spacing may come from a printing resolution or be made up: it serves for the shape
    # of the pixels, and its source says no more than "file".
    return Radiograph(pixels, spacing, SpacingSource.FILE, _RAS_TO_LPS @ index_to_ras)


def index_to_ras(radiograph: Radiograph) -> np.ndarray:
    """4x4, pixel (x, y, 0) -> RAS millimetres."""
    return _RAS_TO_LPS @ radiograph.index_to_lps
