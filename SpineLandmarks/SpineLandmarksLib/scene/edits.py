"""Corrections of a list of corners beside dragging. Each is one step of the scene's undo.

All raise EditError, with a sentence for the user, when the edit makes no sense.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..core import editing
from ..core.anatomy import CORNERS, LEVELS
from ..core.detection import Corner, CornerStatus, Detection
from ..core.editing import EditError, Reader
from .markups import position_of, read_landmarks, write_landmarks
from .state import State


def _checkpoint(node) -> None:
    if node.GetScene() is not None:
        node.GetScene().SaveStateForUndo()


def _rewrite(node, change: Callable[[Detection], Detection]) -> None:
    state = State.load(node)
    changed = change(read_landmarks(node, state))  # before the checkpoint: it may refuse
    _checkpoint(node)
    write_landmarks(node, changed, state)


def shift_levels(node, step: int) -> None:
    """Rename all levels, ``step`` places caudal; see ``core.editing.shift_levels``."""
    _rewrite(node, lambda detection: editing.shift_levels(detection, step))


def delete_vertebra(node, level: str) -> None:
    """Take one vertebra off the list."""
    _rewrite(node, lambda detection: editing.delete_vertebra(detection, level))


def add_vertebra(node, ras: np.ndarray, read: Reader | None = None) -> str:
    """Add the vertebra whose centre was clicked and return its level; ``read`` finds its corners.
    Without it they stand as a plain box, marked uncertain, to be dragged into place."""
    level = ""

    def change(detection: Detection) -> Detection:
        nonlocal level
        detection, level = editing.make_room(detection, State.load(node).to_pixels(ras))
        pose = editing.pose_at(detection, level, State.load(node).to_pixels(ras))
        if read is not None:
            corners = read(level, pose, detection.facing)
        else:
            doubt = (0.1 * pose.width) ** 2 * np.eye(2)
            corners = {k: Corner(p, doubt, CornerStatus.UNCERTAIN) for k, p in editing.corners_from_pose(pose, level, detection.facing).items()}
        return editing.add_vertebra(detection, level, corners)

    _rewrite(node, change)
    return level


def label_of(node, index: int) -> tuple[str, str]:
    """(level, corner name) of a control point."""
    level, _, name = node.GetNthControlPointLabel(index).partition(" ")
    return level, name


def indices(node, level: str | None = None, name: str | None = None) -> list[int]:
    """Control points of a level, of one of its corners, or of all; also those that are hidden."""
    every = [(index, *label_of(node, index)) for index in range(node.GetNumberOfControlPoints())]
    return [i for i, its_level, its_name in every if its_level in LEVELS and its_name in CORNERS and level in (None, its_level) and name in (None, its_name)]


def reset(node, level: str | None = None, name: str | None = None) -> None:
    """Put a corner, a vertebra's corners, or without arguments everything back as it was detected.

    A corner or vertebra goes back to where it stood before it was dragged or hidden; everything
    also gets back its levels and the vertebrae that were deleted, and loses those that were added.
    """
    state = State.load(node)
    if level is None:
        original = replace(state, **state.detected)
        _checkpoint(node)
        write_landmarks(node, original.detection(_corners(original.points)), state)
        return
    _checkpoint(node)
    was_modifying = node.StartModify()
    try:
        for index in indices(node, level, name):
            kept = state.points.get(node.GetNthControlPointLabel(index))
            if kept is not None:
                node.SetNthControlPointPosition(index, *state.to_ras(np.array(kept["position"])))
                node.SetNthControlPointVisibility(index, kept["status"] != CornerStatus.OUTSIDE)
    finally:
        node.EndModify(was_modifying)


def _corners(points: dict[str, dict]) -> dict[str, dict[str, Corner]]:
    corners: dict[str, dict[str, Corner]] = {}
    for label, kept in points.items():
        level, name = label.split(" ")
        corners.setdefault(level, {})[name] = Corner(np.array(kept["position"]), np.array(kept["covariance"]), CornerStatus(kept["status"]))
    return corners


def hide(node, level: str, name: str | None = None) -> None:
    """Say that a corner, or a whole vertebra, is not visible on the film: it enters no measurement."""
    _checkpoint(node)
    was_modifying = node.StartModify()
    try:
        for index in indices(node, level, name):
            node.SetNthControlPointPositionMissing(index)
    finally:
        node.EndModify(was_modifying)


def nudge(node, index: int, pixels: np.ndarray) -> None:
    """Move a corner by film pixels (x right, y down)."""
    if not 0 <= index < node.GetNumberOfControlPoints() or node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
        raise EditError("select a corner that stands on the film first.")
    state = State.load(node)
    _checkpoint(node)
    node.SetNthControlPointPosition(index, *state.to_ras(state.to_pixels(position_of(node, index)) + pixels))
