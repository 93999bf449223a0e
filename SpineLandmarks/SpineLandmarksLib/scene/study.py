"""One film's list of corners with all that belongs to it: lines, labels, live values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core.construction import constructions, level_name_place
from ..core.measurements import Evaluation, Measured
from ..core.plausibility import findings
from .labels import create_labels, update_labels
from .lines import create_lines, endplate_segments, update_lines
from .markups import defined_corners, position_of, read_landmarks
from .state import State

#: Node references of a list: its film, and its helpers with how they are made.
_FILM = "SpineLandmarks.Film"
_HELPERS = {
    "SpineLandmarks.Endplates": lambda scene, name: create_lines(scene, f"{name} endplates", (0.37, 0.84, 1.0)),
    "SpineLandmarks.Angles": lambda scene, name: create_lines(scene, f"{name} angles", (1.0, 0.51, 0.67)),
    "SpineLandmarks.Labels": lambda scene, name: create_labels(scene, f"{name} labels"),
}


def film_of(landmarks):
    """The volume node that a list was detected on, or None when it is gone."""
    return landmarks.GetNodeReference(_FILM)


def helpers_of(landmarks) -> list:
    """The nodes that show a list's lines and labels, as far as they exist."""
    nodes = [landmarks.GetNodeReference(role) for role in _HELPERS]
    return [node for node in nodes if node is not None]


def lists_of(scene, film) -> list:
    """All lists of corners of a film, the newest last."""
    nodes = [scene.GetNthNodeByClass(i, "vtkMRMLMarkupsFiducialNode") for i in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode"))]
    return [node for node in nodes if film is not None and film_of(node) is not None and film_of(node).GetID() == film.GetID()]


class Study:
    """Keeps lines, labels and values of one list current. Owners tell it when points have moved:

    :meth:`follow` on every move, which costs what the moved corner enters, :meth:`refresh` when a
    drag has ended or anything else has changed. No view, no observer of its own.
    """

    def __init__(self, landmarks, film=None):
        self.landmarks = landmarks
        scene = landmarks.GetScene()
        if film is not None:
            landmarks.SetNodeReferenceID(_FILM, film.GetID())
        for role, create in _HELPERS.items():
            # A list from a saved scene finds the helpers that were saved with it.
            if landmarks.GetNodeReference(role) is None:
                landmarks.SetNodeReferenceID(role, create(scene, landmarks.GetName()).GetID())
        self.refresh()

    @property
    def measured(self) -> list[Measured]:
        """Every parameter, in the table's order."""
        return self.evaluation.measured

    def refresh(self) -> None:
        """Read everything anew and redraw; raises ValueError when the list is not one of ours."""
        self.state = State.load(self.landmarks)
        self._to_ras = np.array(self.state.index_to_ras)
        spacing = self.state.spacing and tuple(self.state.spacing)
        detection = read_landmarks(self.landmarks, self.state)
        # Doubts are told, but a reader's own corners stay the reader's.
        self.detection = replace(detection, implausible=tuple(finding.text for finding in findings(detection, spacing)))
        self.evaluation = Evaluation(self.detection, spacing, self.state.source)
        self._keys = {index: (level, name) for index, level, name in defined_corners(self.landmarks)}
        self._positions = {index: position_of(self.landmarks, index) for index in self._keys}
        self._draw()

    def follow(self) -> list[int]:
        """Catch up with points that have moved; returns the places in :attr:`measured` that changed."""
        if {index for index, _, _ in defined_corners(self.landmarks)} != set(self._keys):
            self.refresh()
            return list(range(len(self.measured)))
        changed: dict[int, None] = {}
        moved = {}
        for index, key in self._keys.items():
            position = position_of(self.landmarks, index)
            if (position != self._positions[index]).any():
                self._positions[index] = position
                moved[key] = self.state.to_pixels(position)
                changed |= dict.fromkeys(self.evaluation.move(*key, moved[key]))
        if moved:
            self._move(moved)
            self._draw()
        return list(changed)

    def _move(self, moved: dict[tuple[str, str], np.ndarray]) -> None:
        corners = {level: dict(named) for level, named in self.detection.corners.items()}
        for (level, name), position in moved.items():
            corners[level][name] = corners[level][name].moved_by_reader(position)
        self.detection = replace(self.detection, corners=corners)

    def _draw(self) -> None:
        endplates, angles, labels = (self.landmarks.GetNodeReference(role) for role in _HELPERS)
        drawn = constructions(self.detection, tuple(self.state.size), self.measured)
        names = [(level, level_name_place(self.detection, level)) for level in self.detection.levels]
        if endplates is not None:
            update_lines(endplates, endplate_segments(self.detection), self._to_ras)
        if angles is not None:
            update_lines(angles, [line for angle in drawn for line in angle.lines], self._to_ras)
        if labels is not None:
            update_labels(labels, [(n, at) for n, at in names if at is not None], [(a.text, a.at) for a in drawn], self._to_ras)

    def show(self, visible: bool) -> None:
        """Show or hide the corners with their lines and labels."""
        for node in (self.landmarks, *helpers_of(self.landmarks)):
            node.SetDisplayVisibility(visible)

    def show_only_in(self, view_id: str) -> None:
        """Show them in one view alone, or, for an empty id, in all."""
        for node in (self.landmarks, *helpers_of(self.landmarks)):
            node.GetDisplayNode().RemoveAllViewNodeIDs()
            if view_id:
                node.GetDisplayNode().AddViewNodeID(view_id)
