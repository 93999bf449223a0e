"""Level names and angle read-outs on a film: one locked list whose labels are all that shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Label = tuple[str, np.ndarray]  # text, film pixels


def create_labels(scene, name: str):
    """An empty list of labels; a helper, hidden from lists, that the mouse passes through."""
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.SetHideFromEditors(True)
    node.SetLocked(True)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetUseGlyphScale(False)
    display.SetGlyphSize(0.01)
    display.SetTextScale(3.0)
    display.SetPropertiesLabelVisibility(False)
    display.SetColor(1.0, 0.65, 0.75)
    display.SetSelectedColor(0.95, 0.95, 0.95)
    return node


def update_labels(node, names: Sequence[Label], angles: Sequence[Label], to_ras: np.ndarray) -> None:
    """Write the labels: names in white, angles in pink (markups call white ones selected).

    Points are reused, so that a drag costs no more than what changes.
    """
    wanted = [(text, at, True) for text, at in names] + [(text, at, False) for text, at in angles]
    was_modifying = node.StartModify()
    try:
        while node.GetNumberOfControlPoints() > len(wanted):
            node.RemoveNthControlPoint(node.GetNumberOfControlPoints() - 1)
        for index, (text, at, is_name) in enumerate(wanted):
            ras = (to_ras @ np.array([*at, 0.0, 1.0]))[:3]
            if index >= node.GetNumberOfControlPoints():
                node.AddControlPoint(*ras, text)
            if node.GetNthControlPointLabel(index) != text:
                node.SetNthControlPointLabel(index, text)
            if node.GetNthControlPointSelected(index) != is_name:
                node.SetNthControlPointSelected(index, is_name)
            here = np.zeros(3)
            node.GetNthControlPointPosition(index, here)
            if np.abs(here - ras).max() > 1e-6:
                node.SetNthControlPointPosition(index, *ras)
    finally:
        node.EndModify(was_modifying)
