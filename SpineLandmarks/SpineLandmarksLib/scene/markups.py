"""The corners of a film as one fiducial list, and read back from it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from ..core.anatomy import CORNERS, LEVELS
from ..core.detection import Corner, CornerStatus, Detection
from ..core.radiograph import Radiograph
from .film import index_to_ras

#: Node attribute with what a fiducial list cannot say by itself, as JSON.
_ATTRIBUTE = "SpineLandmarks.Detection"


def create_landmarks(scene, name: str, detection: Detection, radiograph: Radiograph):
    """Add a ``vtkMRMLMarkupsFiducialNode`` with a point per corner, labelled "L4 SA"."""
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    update_landmarks(node, detection, radiograph)
    return node


def update_landmarks(node, detection: Detection, radiograph: Radiograph) -> None:
    """Replace the points of ``node`` by the detection's, in one event."""
    to_ras = index_to_ras(radiograph)
    was_modifying = node.StartModify()
    try:
        node.SetFixedNumberOfControlPoints(False)
        node.RemoveAllControlPoints()
        details = {}
        for level, corner_name, corner in detection:
            position = (to_ras @ np.array([*corner.position, 0.0, 1.0]))[:3]
            label = f"{level} {corner_name}"
            index = node.AddControlPoint(*position, label)
            node.SetNthControlPointDescription(index, corner.status.value)
            node.SetNthControlPointVisibility(index, corner.status is not CornerStatus.OUTSIDE)
            details[label] = {"status": corner.status.value, "covariance": corner.covariance.tolist()}
        # The Delete key would remove the point under the cursor, and with it a measurement.
        node.SetFixedNumberOfControlPoints(True)
        node.SetAttribute(_ATTRIBUTE, json.dumps({
            "facing": detection.facing,
            "facing_confidence": detection.facing_confidence,
            "naming_confidence": detection.naming_confidence,
            "unseen": sorted(detection.unseen),
            "points": details,
            "spacing": radiograph.spacing,
            "index_to_ras": to_ras.tolist(),
        }))
    finally:
        node.EndModify(was_modifying)


def defined_corners(node) -> Iterator[tuple[int, str, str]]:
    """(index, level, corner name) of every control point that stands somewhere and names a corner."""
    for index in range(node.GetNumberOfControlPoints()):
        level, _, name = node.GetNthControlPointLabel(index).partition(" ")
        if level in LEVELS and name in CORNERS and node.GetNthControlPointPositionStatus(index) == node.PositionDefined:
            yield index, level, name


def is_landmarks(node) -> bool:
    """Whether a node was made by :func:`create_landmarks`."""
    return node is not None and bool(node.GetAttribute(_ATTRIBUTE))


def read_landmarks(node) -> tuple[Detection, tuple[float, float]]:
    """The detection that a list shows now, and its film's spacing; points may have been dragged.

    Raises ValueError when the list is not one of ours.
    """
    if not is_landmarks(node):
        raise ValueError("this list was not made by SpineLandmarks: select one that Detect has made.")
    kept = json.loads(node.GetAttribute(_ATTRIBUTE))
    to_pixels = np.linalg.inv(np.array(kept["index_to_ras"]))
    corners: dict[str, dict[str, Corner]] = {}
    for index, level, name in defined_corners(node):
        position = np.zeros(3)
        node.GetNthControlPointPosition(index, position)
        pixel = (to_pixels @ np.array([*position, 1.0]))[:2]
        details = kept["points"].get(f"{level} {name}", {"status": "ok", "covariance": np.zeros((2, 2)).tolist()})
        corners.setdefault(level, {})[name] = Corner(pixel, np.array(details["covariance"]), CornerStatus(details["status"]))
    detection = Detection(corners, kept["facing"], kept["facing_confidence"], kept["naming_confidence"], frozenset(kept["unseen"]))
    return detection, tuple(kept["spacing"])
