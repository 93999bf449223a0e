"""The corners of a film as one fiducial list, and read back from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..core.anatomy import CORNERS, ENDPLATES, LEVELS
from ..core.detection import Corner, CornerStatus, Detection
from ..core.radiograph import Radiograph
from .state import State

#: How far, in film pixels, a point must lie from where it was put to count as moved by a reader.
_MOVED = 0.01

#: A careful reader's error as a share of the body's width, about what two readers differ by.
_READER_SD = 0.02

#: Sure corners (markups call them selected), and uncertain ones.
_SURE = (0.2, 0.9, 0.4)
_UNSURE = (1.0, 0.65, 0.15)


def create_landmarks(scene, name: str, detection: Detection, radiograph: Radiograph):
    """Add a ``vtkMRMLMarkupsFiducialNode`` with a point per corner, labelled "L4 SA"."""
    node = scene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.UnRegister(None)  # Python holds it from here on
    node.SetName(scene.GetUniqueNameByString(name))
    state = State.of(detection, radiograph)
    # Before it joins the scene: selectors that show only such lists look at it then.
    state.save(node)
    scene.AddNode(node)
    node.SetUndoEnabled(True)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*_SURE)
    display.SetColor(*_UNSURE)
    display.SetActiveColor(1.0, 1.0, 0.3)
    display.SetGlyphTypeFromString("CrossDot2D")
    display.SetUseGlyphScale(True)
    display.SetGlyphScale(2.0)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    write_landmarks(node, detection, state)
    return node


def write_landmarks(node, detection: Detection, state: State) -> None:
    """Replace the points of a list by a detection's, in one event; ``state`` becomes the detection's."""
    was_modifying = node.StartModify()
    try:
        node.SetFixedNumberOfControlPoints(False)
        node.RemoveAllControlPoints()
        for level, name, corner in detection:
            index = node.AddControlPoint(*state.to_ras(corner.position), f"{level} {name}")
            node.SetNthControlPointDescription(index, corner.status.value)
            node.SetNthControlPointSelected(index, corner.status is not CornerStatus.UNCERTAIN)
            node.SetNthControlPointVisibility(index, corner.status is not CornerStatus.OUTSIDE)
        # The Delete key would remove the point under the cursor, and with it a measurement.
        node.SetFixedNumberOfControlPoints(True)
        state.describe(detection)
        state.save(node)
    finally:
        node.EndModify(was_modifying)


def defined_corners(node) -> Iterator[tuple[int, str, str]]:
    """(index, level, corner name) of every control point that stands somewhere and names a corner."""
    for index in range(node.GetNumberOfControlPoints()):
        level, _, name = node.GetNthControlPointLabel(index).partition(" ")
        if level in LEVELS and name in CORNERS and node.GetNthControlPointPositionStatus(index) == node.PositionDefined:
            yield index, level, name


def position_of(node, index: int) -> np.ndarray:
    """RAS (3,) of a control point."""
    position = np.zeros(3)
    node.GetNthControlPointPosition(index, position)
    return position


def read_landmarks(node, state: State | None = None) -> Detection:
    """The detection that a list shows now. A corner that does not stand where it was put is edited.

    Raises ValueError when the list is not one of ours.
    """
    state = state or State.load(node)
    pixels = {(level, name): state.to_pixels(position_of(node, index)) for index, level, name in defined_corners(node)}
    corners: dict[str, dict[str, Corner]] = {}
    for (level, name), pixel in pixels.items():
        kept = state.points.get(f"{level} {name}")
        if kept is None or np.linalg.norm(pixel - kept["position"]) > _MOVED:
            sd = _READER_SD * _width(pixels, level)
            corner = Corner(pixel, sd**2 * np.eye(2), CornerStatus.EDITED)
        else:
            corner = Corner(pixel, np.array(kept["covariance"]), CornerStatus(kept["status"]))
        corners.setdefault(level, {})[name] = corner
    return state.detection(corners)


def _width(pixels: dict[tuple[str, str], np.ndarray], level: str) -> float:
    """Length of a body's longest endplate, film pixels; 0 when neither is complete."""
    return max(
        (float(np.linalg.norm(pixels[level, a] - pixels[level, b])) for a, b in ENDPLATES.values()
         if (level, a) in pixels and (level, b) in pixels), default=0.0,
    )
