"""A single place that the user clicks in a view, without leaving a point behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import qt
import slicer
from slicer.util import VTKObservationMixin


class OneClick(VTKObservationMixin):
    """Waits for one click on a film; a new request replaces one that still waits."""

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self._node = None
        self._then: Callable[[np.ndarray], None] | None = None

    def ask(self, then: Callable[[np.ndarray], None]) -> None:
        """Call ``then`` with the RAS position (3,) of the user's next click; Esc gives up."""
        self.cancel()
        self._then = then
        self._node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "click")
        self._node.SetHideFromEditors(True)
        self._node.SetSaveWithScene(False)
        self._node.CreateDefaultDisplayNodes()
        self._node.GetDisplayNode().SetPointLabelsVisibility(False)
        self.addObserver(self._node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._on_defined)
        logic = slicer.app.applicationLogic()
        selection, interaction = logic.GetSelectionNode(), logic.GetInteractionNode()
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
        selection.SetActivePlaceNodeID(self._node.GetID())
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.Place)

    def _on_defined(self, caller, event):
        # Not from within the event: the widget that raised it still uses the node.
        qt.QTimer.singleShot(0, self._finish)

    def _finish(self):
        if self._node is None:
            return
        position = np.zeros(3)
        self._node.GetNthControlPointPositionWorld(0, position)
        then = self._then
        self.cancel()
        then(position)

    def cancel(self) -> None:
        """Stop waiting."""
        self.removeObservers()
        self._then = None
        if self._node is not None:
            slicer.mrmlScene.RemoveNode(self._node)
            self._node = None
            interaction = slicer.app.applicationLogic().GetInteractionNode()
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
