"""All endplates of a film as line segments of one model node: one node, one redraw per drag."""

from __future__ import annotations

import numpy as np
import vtk

from ..core.anatomy import ENDPLATES, LEVELS
from .markups import defined_corners


def endplate_segments(node) -> list[tuple[np.ndarray, np.ndarray]]:
    """(anterior, posterior) RAS positions of every endplate whose corners a list holds."""
    points = {}
    for index, level, name in defined_corners(node):
        position = np.zeros(3)
        node.GetNthControlPointPositionWorld(index, position)
        points[level, name] = position
    return [
        (points[level, a], points[level, p])
        for level in LEVELS for a, p in ENDPLATES.values()
        if (level, a) in points and (level, p) in points
    ]


def create_endplates(scene, name: str):
    """An empty model node that slice views draw as lines on the film."""
    node = scene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetHideFromEditors(True)
    node.SetAndObservePolyData(vtk.vtkPolyData())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(0.37, 0.84, 1.0)
    display.SetVisibility2D(True)
    display.SetSliceDisplayModeToProjection()
    display.SetSliceIntersectionThickness(2)
    return node


def update_endplates(model, landmarks) -> int:
    """Redraw the model from a fiducial list; returns the number of segments."""
    segments = endplate_segments(landmarks)
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
    for anterior, posterior in segments:
        lines.InsertNextCell(2)
        for end in (anterior, posterior):
            lines.InsertCellPoint(points.InsertNextPoint(*end))
    shape = vtk.vtkPolyData()
    shape.SetPoints(points)
    shape.SetLines(lines)
    model.SetAndObservePolyData(shape)
    return len(segments)
