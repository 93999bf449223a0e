"""Line segments on a film, all of a kind in one model node: one node, one redraw per drag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import vtk

from ..core.anatomy import ENDPLATES
from ..core.detection import CornerStatus, Detection

Segment = tuple[np.ndarray, np.ndarray]


def endplate_segments(detection: Detection) -> list[Segment]:
    """(anterior, posterior) film pixels of every endplate with both corners on the film."""
    return [
        (corners[a].position, corners[p].position)
        for corners in (detection.corners[level] for level in detection.levels)
        for a, p in ENDPLATES.values()
        if {a, p} <= set(corners) and CornerStatus.OUTSIDE not in (corners[a].status, corners[p].status)
    ]


def create_lines(scene, name: str, colour: tuple[float, float, float]):
    """An empty model node that slice views draw as lines on the film; a helper, hidden from lists."""
    node = scene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetHideFromEditors(True)
    node.SetAndObservePolyData(vtk.vtkPolyData())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(*colour)
    display.SetVisibility2D(True)
    display.SetVisibility3D(False)
    display.SetSliceDisplayModeToProjection()
    display.SetSliceIntersectionThickness(2)
    return node


def update_lines(model, segments: Sequence[Segment], to_ras: np.ndarray) -> None:
    """Redraw a model from segments in film pixels; ``to_ras`` is 4x4, pixel (x, y, 0) -> RAS.

    As many segments as before only move: a new shape on every mouse move would make slice views build
    their pipelines anew, at ten times the cost.
    """
    ends = np.array([[*end, 0.0, 1.0] for segment in segments for end in segment]).reshape(-1, 4)
    ras = (ends @ to_ras.T)[:, :3]
    shape = model.GetPolyData()
    if shape is None or shape.GetNumberOfPoints() != len(ras):
        shape = _new_shape(len(segments))
        model.SetAndObservePolyData(shape)
    points = shape.GetPoints()
    moved = [index for index, place in enumerate(ras) if tuple(place) != points.GetPoint(index)]
    for index in moved:
        points.SetPoint(index, *ras[index])
    if moved:
        points.Modified()
        shape.Modified()


def _new_shape(count: int) -> vtk.vtkPolyData:
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
    points.SetDataTypeToDouble()
    points.SetNumberOfPoints(2 * count)
    for index in range(2 * count):
        points.SetPoint(index, 0.0, 0.0, 0.0)
    for index in range(count):
        lines.InsertNextCell(2, (2 * index, 2 * index + 1))
    shape = vtk.vtkPolyData()
    shape.SetPoints(points)
    shape.SetLines(lines)
    return shape
