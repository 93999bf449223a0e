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
    """Redraw a model from segments in film pixels; ``to_ras`` is 4x4, pixel (x, y, 0) -> RAS."""
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
    points.SetDataTypeToDouble()
    for ends in segments:
        lines.InsertNextCell(2)
        for end in ends:
            lines.InsertCellPoint(points.InsertNextPoint(*(to_ras @ np.array([*end, 0.0, 1.0]))[:3]))
    shape = vtk.vtkPolyData()
    shape.SetPoints(points)
    shape.SetLines(lines)
    model.SetAndObservePolyData(shape)
