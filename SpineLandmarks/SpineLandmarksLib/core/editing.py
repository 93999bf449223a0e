"""What a reader does to a detection beside dragging: rename levels, add and delete vertebrae.

Every function returns a new detection; all raise :class:`EditError`, with a sentence for the user,
when the edit makes no sense.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import takewhile

import numpy as np

from . import column
from .anatomy import LEVELS, corners_of, neighbour
from .column import Pose
from .detection import Corner, Detection

#: Reads the corners of one vertebra on the film: (level, rough pose, facing) -> corner name -> Corner.
Reader = Callable[[str, Pose, str], dict[str, Corner]]


class EditError(ValueError):
    """An edit that makes no sense, such as a level above T1; says why in a sentence for the user."""


def shift_levels(detection: Detection, step: int) -> Detection:
    """Rename every level ``step`` places caudal (negative: cranial), when the count was off.

    A vertebra that becomes S1 keeps its superior plate; what would lie below S1 is dropped; one
    that was S1 has no inferior corners. Names are then the reader's: their confidence is 1.
    Raises EditError when a level would lie above T1.
    """
    if step < 0 and LEVELS.index(detection.levels[0]) + step < 0:
        raise EditError(f"{detection.levels[0]} is the topmost level that has a name: it cannot be shifted up.")
    renamed = {level: neighbour(level, step) for level in detection.levels}
    corners = {
        new: {name: corner for name, corner in detection.corners[old].items() if name in corners_of(new)}
        for old, new in renamed.items() if new is not None
    }
    unseen = frozenset(renamed[level] for level in detection.unseen if renamed[level] is not None)
    return replace(detection, corners=corners, unseen=unseen, naming_confidence=1.0)


def delete_vertebra(detection: Detection, level: str) -> Detection:
    """Without one vertebra; the others keep their names."""
    if level not in detection.corners:
        raise EditError(f"{level} is not on this film.")
    if len(detection.corners) == 1:
        raise EditError(f"{level} is the last vertebra: remove the whole list instead.")
    return replace(
        detection, corners={k: v for k, v in detection.corners.items() if k != level}, unseen=detection.unseen - {level}
    )


def make_room(detection: Detection, point: np.ndarray) -> tuple[Detection, str]:
    """The name of a vertebra whose centre a reader has shown (film pixels), and the detection with
    that name free.

    Above all others, or below them, it takes the next name. Between two neighbours it was
    overlooked: it takes the upper one's name, and everything above is shifted up.
    """
    point = np.asarray(point, float)
    levels = detection.levels
    centres = {level: _centre(detection, level) for level in levels}
    for level in levels:
        extent = max(float(np.linalg.norm(c.position - centres[level])) for c in detection.corners[level].values())
        if np.linalg.norm(point - centres[level]) < 0.4 * extent:
            raise EditError(f"{level} is there already: click in a body without corners.")
    # From the top down to the first one that is not: a misread vertebra at the other end may seem to lie above too.
    above = list(takewhile(lambda level: _is_above(detection, centres, level, point), levels))
    if not above:
        level = neighbour(levels[0], -1)
        if level is None:
            raise EditError("there is no level above T1.")
        return detection, level
    if len(above) == len(levels):
        level = neighbour(levels[-1], 1)
        if level is None:
            raise EditError("there is no level below S1: shift the levels up first.")
        return detection, level
    upper, lower = above[-1], levels[len(above)]
    if neighbour(upper, 1) != lower:
        return detection, neighbour(upper, 1)
    return room_below(detection, upper), upper


def room_below(detection: Detection, upper: str) -> Detection:
    """With the name of ``upper`` free for a vertebra that was overlooked below it: it and everything above are shifted
    up. Raises EditError where T1 is among them."""
    levels = detection.levels
    above = levels[: levels.index(upper) + 1]
    if above[0] == LEVELS[0]:
        raise EditError("the levels above cannot be shifted up: T1 is the topmost name.")
    shifted = shift_levels(replace(detection, corners={k: detection.corners[k] for k in above}, unseen=detection.unseen & set(above)), -1)
    kept = {k: detection.corners[k] for k in levels if k not in above}
    return replace(detection, corners={**shifted.corners, **kept}, unseen=shifted.unseen | detection.unseen - set(above))


def _centre(detection: Detection, level: str) -> np.ndarray:
    return np.mean([corner.position for corner in detection.corners[level].values()], axis=0)


def _is_above(detection: Detection, centres: Mapping[str, np.ndarray], level: str, point: np.ndarray) -> bool:
    """Whether a vertebra lies on the cranial side of a point, along its own stretch of the column."""
    levels = detection.levels
    if len(levels) == 1:
        return bool(point[1] > centres[level][1])
    i = levels.index(level)
    down = centres[levels[min(i + 1, len(levels) - 1)]] - centres[levels[max(i - 1, 0)]]
    return bool((point - centres[level]) @ down > 0)


def pose_at(detection: Detection, level: str, point: np.ndarray) -> Pose:
    """A rough pose for a new vertebra: its centre as shown, size and direction of its neighbours."""
    index = LEVELS.index(level)
    near = sorted(detection.levels, key=lambda other: abs(LEVELS.index(other) - index))
    poses = []
    for other in near:
        positions = {name: corner.position for name, corner in detection.corners[other].items()}
        if set(corners_of(other)) <= set(positions) and abs(LEVELS.index(other) - index) <= 2:
            poses.append(column.pose_from_corners(positions, other))
    if not poses:
        raise EditError("no neighbouring vertebra has all its corners: place them first.")
    direction = np.sum([pose.posterior for pose in poses[:2]], axis=0)
    return Pose(np.asarray(point, float), direction / max(float(np.linalg.norm(direction)), 1e-9), float(np.mean([p.width for p in poses[:2]])))


def corners_from_pose(pose: Pose, level: str, facing: str) -> dict[str, np.ndarray]:
    """A plain box in place of a vertebra, 0.8 widths high, for a reader to drag into shape."""
    posterior = pose.posterior * pose.width / 2
    # Caudal is posterior turned by a right angle, which way depends on the side that the patient faces.
    turn = 1.0 if facing == "left" else -1.0
    caudal = turn * np.array([-pose.posterior[1], pose.posterior[0]]) * pose.width * (0.0 if level == "S1" else 0.4)
    places = {"SA": -posterior - caudal, "SP": posterior - caudal, "IA": -posterior + caudal, "IP": posterior + caudal}
    return {name: pose.centre + places[name] for name in corners_of(level)}


def add_vertebra(detection: Detection, level: str, corners: Mapping[str, Corner]) -> Detection:
    """With one more vertebra under a name that is free (see :func:`make_room`)."""
    if level in detection.corners:
        raise EditError(f"{level} is there already.")
    return replace(detection, corners={**detection.corners, level: dict(corners)})
