"""A Slicer markups file (.mrk.json) of the corners, without Slicer.

Format: 3D Slicer's markups JSON schema 1.0.3; positions are LPS millimetres of the film as Slicer
loads it, which is what ``Radiograph.index_to_lps`` holds.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..core.detection import CornerStatus, Detection
from ..core.radiograph import Radiograph

_SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"

#: How the list looks until somebody changes it.
DISPLAY = {
    "visibility": True, "opacity": 1.0, "glyphType": "CrossDot2D", "glyphScale": 1.5,
    "textScale": 2.0, "propertiesLabelVisibility": False, "pointLabelsVisibility": True,
    "color": [0.2, 0.9, 0.4], "selectedColor": [0.2, 0.9, 0.4],
}


def markups(detection: Detection, radiograph: Radiograph) -> dict:
    """One fiducial list with a point per corner, labelled "L4 SA"; uncertain ones say so."""
    points = []
    for number, (level, name, corner) in enumerate(detection, start=1):
        position = radiograph.index_to_lps @ np.array([*corner.position, 0.0, 1.0])
        points.append({
            "id": str(number),
            "label": f"{level} {name}",
            "description": f"{corner.status.value}, sd {corner.sd:.1f} px",
            "position": [round(float(v), 6) for v in position[:3]],
            "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
            "selected": corner.status is CornerStatus.OK,
            "locked": False,
            "visibility": corner.status is not CornerStatus.OUTSIDE,
            "positionStatus": "defined",
        })
    return {
        "@schema": _SCHEMA,
        "markups": [{
            "type": "Fiducial",
            "coordinateSystem": "LPS",
            "coordinateUnits": "mm",
            "locked": False,
            "fixedNumberOfControlPoints": True,
            "labelFormat": "%N-%d",
            "lastUsedControlPointNumber": len(points),
            "controlPoints": points,
            "display": DISPLAY,
        }],
    }


def write(path: Path, detection: Detection, radiograph: Radiograph) -> None:
    path.write_text(json.dumps(markups(detection, radiograph), indent=1), encoding="utf-8")
