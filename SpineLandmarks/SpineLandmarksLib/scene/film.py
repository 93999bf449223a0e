"""A volume node that holds a film, as a radiograph with its place in the scene, and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import vtk

from ..core.radiograph import FilmError, Radiograph, SpacingSource, to_grey
from ..films import read_spacing

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

#: Attribute of a film's node: its true spacing and where that comes from, as JSON. The node's own
#: spacing says where Slicer has put the film, which is not always a length in the patient.
_SPACING = "SpineLandmarks.Spacing"


def _matrix(m: vtk.vtkMatrix4x4) -> np.ndarray:
    return np.array([[m.GetElement(i, j) for j in range(4)] for i in range(4)])


def _vtk_matrix(m: np.ndarray) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(m, float).ravel())
    return matrix


def _voxels(volume) -> tuple[np.ndarray, int]:
    """Voxels in k, j, i order and perhaps components, and the numpy axis of length one."""
    from slicer.util import arrayFromVolume

    if volume is None or volume.GetImageData() is None:
        raise FilmError("the volume holds no picture: load a film and select it.")
    voxels = np.array(arrayFromVolume(volume))
    extent = voxels.shape[:3]
    flat = [axis for axis in range(3) if extent[axis] == 1]
    if not flat:
        raise FilmError(f"the volume has {extent[2]} x {extent[1]} x {extent[0]} voxels, not one film: select a single film.")
    return voxels, flat[0]


def index_to_ras_of(volume, flat: int = 0) -> np.ndarray:
    """4x4, picture pixel (x, y, 0) -> RAS: the node's own ijkToRAS with its two picture axes first.
    ``flat`` is the numpy axis (k, j, i) of length one."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    # numpy axis 0, 1, 2 is k, j, i: columns of ijkToRAS in reverse.
    rows, columns = (2 - axis for axis in range(3) if axis != flat)
    return _matrix(ijk_to_ras)[:, [columns, rows, 2 - flat, 3]]


def radiograph_of(volume, dicom_file: Path | None = None) -> Radiograph:
    """Read a scalar or vector volume node of one slice; raises FilmError for anything else.

    Picture x and y are the volume's I and J (or whichever two axes are longer than one voxel);
    ``index_to_lps`` follows the node's own ijkToRAS, whatever its orientation. ``dicom_file``: where
    a film from Slicer's DICOM database came from; a film loaded from a file knows it by itself.
    """
    voxels, flat = _voxels(volume)
    index_to_ras = index_to_ras_of(volume, flat)
    spacing, source = spacing_of(volume, dicom_file)
    if spacing is None:
        # For the shape of the pixels; whether it is a length, nobody knows.
        spacing, source = tuple(float(np.linalg.norm(index_to_ras[:3, k])) for k in (0, 1)), SpacingSource.FILE
    return Radiograph(to_grey(voxels.squeeze(flat)), spacing, source, _RAS_TO_LPS @ index_to_ras)


def spacing_of(volume, dicom_file: Path | None = None) -> tuple[tuple[float, float] | None, SpacingSource]:
    """A film's true spacing: as set by :func:`set_spacing`, or from its DICOM file's tags."""
    kept = volume.GetAttribute(_SPACING)
    if kept:
        x, y, source = json.loads(kept)
        return (x, y), SpacingSource(source)
    storage = volume.GetStorageNode()
    file = dicom_file or (storage.GetFileName() if storage is not None else None)
    return read_spacing(file) if file else (None, SpacingSource.UNKNOWN)


def set_spacing(volume, spacing: tuple[float, float], source: SpacingSource) -> None:
    """Keep a film's true spacing with its node; the node's own geometry stays as it is."""
    volume.SetAttribute(_SPACING, json.dumps([*spacing, source.value]))


def create_film(scene, name: str, radiograph: Radiograph):
    """Add a scalar volume node that shows a radiograph where Slicer's own readers would put it."""
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*radiograph.size, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(radiograph.pixels).ravel(), deep=True))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(_vtk_matrix(index_to_ras(radiograph)))
    if radiograph.spacing is not None:
        set_spacing(node, radiograph.spacing, radiograph.spacing_source)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    set_window(node)
    return node


def set_window(volume) -> None:
    """Window and level from the darkest and brightest half per cent, which are borders and markers."""
    from slicer.util import arrayFromVolume

    display = volume.GetDisplayNode()
    if display is None or not hasattr(display, "SetWindowLevelMinMax") or volume.GetImageData().GetNumberOfScalarComponents() > 1:
        return
    low, high = np.percentile(arrayFromVolume(volume)[..., ::3, ::3], (0.5, 99.5))
    if high > low:
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(float(low), float(high))


def index_to_ras(radiograph: Radiograph) -> np.ndarray:
    """4x4, pixel (x, y, 0) -> RAS millimetres."""
    return _RAS_TO_LPS @ radiograph.index_to_lps
