"""A film in a slice view: upright, with the right letters, and without the traps of markups."""

from __future__ import annotations

import numpy as np
import vtk

from .film import index_to_ras_of

#: What Slicer's slice nodes call the ends of the RAS axes: -R, +R, -A, +A, -S, +S.
_AXIS_LABELS = ("L", "R", "P", "A", "I", "S")


def film_to_ras(volume) -> np.ndarray:
    """4x4, picture pixel (x, y, 0) -> RAS of a film as it was loaded."""
    dimensions = volume.GetImageData().GetDimensions()
    return index_to_ras_of(volume, 2 - (dimensions.index(1) if 1 in dimensions[:2] else 2))


def orient(slice_node, volume, to_ras: np.ndarray) -> None:
    """Turn a slice view so that the film's rows run down and its columns to the right. ``to_ras``:
    4x4, pixel (x, y, 0) -> RAS, of the film as loaded or as turned upright."""
    x, y = _axes(to_ras)
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = x, -y, np.cross(x, -y), bounds.reshape(3, 2).mean(axis=1)
    slice_node.GetSliceToRAS().DeepCopy(matrix.ravel())
    slice_node.UpdateMatrices()


def set_letters(slice_node, to_ras: np.ndarray, facing: str | None) -> None:
    """Letters of a lateral film at the view's edges: cranial, caudal, and once ``facing`` ("left" or
    "right" of the picture) is known, anterior and posterior. Slicer's own would be those of an
    axial slice, because that is how films are loaded."""
    x, y = _axes(to_ras)
    front = {"left": -1.0, "right": 1.0}.get(facing or "")
    letters = {}
    for direction, (back_end, front_end) in ((x * (front or 1.0), ("P", "A") if front else ("", "")), (-y, ("I", "S"))):
        axis = int(np.argmax(np.abs(direction)))
        low, high = (back_end, front_end) if direction[axis] > 0 else (front_end, back_end)
        letters[2 * axis], letters[2 * axis + 1] = low, high
    for index in range(6):
        slice_node.SetAxisLabel(index, letters.get(index, ""))


def _axes(to_ras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit RAS vectors of a picture's x (right) and y (down)."""
    x, y = to_ras[:3, 0], to_ras[:3, 1]
    return x / np.linalg.norm(x), y / np.linalg.norm(y)


def restore_letters(slice_node) -> None:
    """Slicer's own letters again."""
    for index, letter in enumerate(_AXIS_LABELS):
        slice_node.SetAxisLabel(index, letter)


def centre_on(slice_node, ras: np.ndarray) -> None:
    """Pan a view, without zooming, until a point lies in its middle."""
    slice_node.JumpSliceByCentering(*ras)


def forbid_moving_all(displayable_manager, display_node) -> bool:
    """Take the middle button's "move the whole list" from a list's widget in one view; returns
    whether there was a widget. It moves locked points too (Slicer issue 9303)."""
    widget = displayable_manager.GetWidget(display_node) if displayable_manager is not None else None
    if widget is None:
        return False
    for state in (widget.WidgetStateOnWidget, widget.WidgetStateIdle):
        widget.SetEventTranslation(state, vtk.vtkCommand.MiddleButtonPressEvent, vtk.vtkEvent.NoModifier, widget.WidgetEventNone)
    return True
