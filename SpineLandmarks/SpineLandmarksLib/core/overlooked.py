"""Vertebrae that were passed over: where two neighbours leave room for another one, it is looked for there.

Step 1a may see no vertebra where one has slipped far or the film is burnt out, and names all above it wrong. Corners
show it: no disc is as high as a body.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import editing
from .anatomy import neighbour
from .detection import CornerStatus, Detection
from .editing import EditError, Reader
from .naming import SURE_NAMES
from .plausibility import findings, room_for_another


def with_overlooked(detection: Detection, read: Reader) -> Detection:
    """The detection with what ``read`` finds in such rooms, where its corners are sure, all but one, and nothing is
    implausible about it or its neighbours.

    Names below an added vertebra stay, those above move up. It counts as inferred (``Detection.unseen``). Where names
    are sure nothing is looked for: they were weighed against those that one vertebra more would give.
    """
    if detection.naming_confidence >= SURE_NAMES:
        return detection
    refused: set[str] = set()  # by the vertebra below: from there on down no name changes any more
    while rooms := [pair for pair in room_for_another(detection) if pair[1] not in refused]:
        upper, lower = rooms[-1]
        more = _with_one_between(detection, upper, lower, read)
        if more is None:
            refused.add(lower)
        else:
            detection = more
    return detection


def _with_one_between(detection: Detection, upper: str, lower: str, read: Reader) -> Detection | None:
    """The new one is called as the upper one was. None when what is read there is uncertain or implausible, or there is no name for it."""
    plates = [detection.corners[upper][name] for name in ("IA", "IP")] + [detection.corners[lower][name] for name in ("SA", "SP")]
    middle = np.mean([corner.position for corner in plates], axis=0)
    try:
        roomy = editing.room_below(detection, upper)
        pose = editing.pose_at(roomy, upper, middle)
    except EditError:
        return None
    corners = read(upper, pose, detection.facing)
    # One vague corner is common where a vertebra has slipped far.
    if sum(corner.status is not CornerStatus.OK for corner in corners.values()) > 1:
        return None
    more = editing.add_vertebra(roomy, upper, corners)
    concerned = {neighbour(upper, -1), upper, lower}
    if any(concerned & set(finding.levels) for finding in findings(more)):
        return None
    return replace(more, unseen=more.unseen | {upper})
