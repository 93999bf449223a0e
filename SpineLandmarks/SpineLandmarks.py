"""3D Slicer module: detect vertebral corners on a lateral film, correct them, read the angles."""

from __future__ import annotations

import sys

import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class SpineLandmarks(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Spine Landmarks")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = []
        self.parent.contributors = ["the SpineLandmarks developers"]
        self.parent.helpText = _(
            "Load a lateral spine radiograph, select it and click Detect. Drag a corner to correct it: "
            "endplates and angles follow. Not a medical device."
        )
        self.parent.acknowledgementText = _(
            "Implements the two-step model of Cina et al., Scientific Reports 11:9482 (2021)."
        )


@parameterNodeWrapper
class SpineLandmarksParameterNode:
    """film : the volume to detect on."""

    film: vtkMRMLScalarVolumeNode


class SpineLandmarksWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._landmarks = None
        self._running = False
        self._cancelled = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/SpineLandmarks.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = SpineLandmarksLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.detectButton.connect("clicked(bool)", self.onDetect)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancel)
        self.ui.landmarksSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onLandmarksSelected)
        self.ui.progressBar.setVisible(False)
        self.ui.cancelButton.setVisible(False)
        self.initializeParameterNode()

    def cleanup(self):
        self.removeObservers()

    def onReload(self):
        # Reload must reach the library too: without its modules, the next import reads the files.
        for name in [name for name in sys.modules if name.split(".")[0] == "SpineLandmarksLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self._cancelled = True
        self.showLandmarks(None)
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        self.logic.reset()
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        node = self.logic.getParameterNode()
        if not node.film:
            node.film = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        self.setParameterNode(node)

    def setParameterNode(self, node):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameterNode = node
        if node:
            self._parameterNodeGuiTag = node.connectGui(self.ui)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self.onParametersChanged()

    def onParametersChanged(self, caller=None, event=None):
        ready = bool(self._parameterNode and self._parameterNode.film) and not self._running
        self.ui.detectButton.enabled = ready
        self.ui.detectButton.toolTip = _("Detect corners on the selected film") if ready else _("Select a film first")

    def onDetect(self):
        from SpineLandmarksLib.widgets.torch_install import ensure_torch

        if self._running:
            return
        film = self._parameterNode.film
        self._running, self._cancelled = True, False
        self.onParametersChanged()
        self.ui.progressBar.setVisible(True)
        self.ui.cancelButton.setVisible(True)
        try:
            with slicer.util.tryWithErrorDisplay(_("Detection failed."), waitCursor=False):
                ensure_torch()
                try:
                    landmarks = self.logic.detect(film, self.onProgress)
                except Cancelled:
                    slicer.util.showStatusMessage(_("Detection was cancelled."), 3000)
                else:
                    self.ui.landmarksSelector.setCurrentNode(landmarks)
        finally:
            self._running = False
            self.ui.progressBar.setVisible(False)
            self.ui.cancelButton.setVisible(False)
            self.onParametersChanged()

    def onProgress(self, step, share):
        self.ui.progressBar.setValue(round(100 * share))
        self.ui.progressBar.setFormat(step)
        slicer.app.processEvents()
        if self._cancelled:
            raise Cancelled

    def onCancel(self):
        self._cancelled = True

    def onLandmarksSelected(self, node):
        self.showLandmarks(node)

    def showLandmarks(self, node):
        """Observe one list at a time, and show its values."""
        if self._landmarks is not None:
            self.removeObserver(self._landmarks, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self.onPointMoved)
        self._landmarks = node if node is not None and self.logic.isLandmarks(node) else None
        if self._landmarks is None:
            self.ui.measurementTable.setRowCount(0)
            return
        self.addObserver(self._landmarks, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self.onPointMoved)
        self.onPointMoved(self._landmarks, None)

    def onPointMoved(self, caller, event):
        from SpineLandmarksLib.widgets.measurement_table import show_measurements

        self.logic.refresh(caller)
        show_measurements(self.ui.measurementTable, self.logic.measured(caller))


class Cancelled(Exception):
    """The user clicked Cancel."""


class SpineLandmarksLogic(ScriptedLoadableModuleLogic):
    """For Slicer's Python console too::

        logic = SpineLandmarksLogic()
        node = logic.detect(slicer.util.getNode("film"))   # the fiducial list
        logic.measure(node)["LL_L1_S1"]                    # {"value": 52.1, "unit": "deg", "status": "ok", "reason": ""}
        logic.processFolder("/data/films", "/data/results")
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.reset()

    def getParameterNode(self):
        return SpineLandmarksParameterNode(super().getParameterNode())

    def reset(self):
        """Forget everything about the scene, as when it is closed."""
        from SpineLandmarksLib.scene.logic import DetectionLogic

        self._detection = DetectionLogic(slicer.mrmlScene)

    def detect(self, volumeNode, progress=lambda step, share: None):
        """Detect on a volume; returns the new fiducial list. Raises FilmError or NoSpineFound, whose
        message says what to do, and whatever ``progress`` raises to stop."""
        return self._detection.detect(volumeNode, progress)

    def isLandmarks(self, node):
        """Whether a fiducial list was made by :meth:`detect`."""
        from SpineLandmarksLib.scene.markups import is_landmarks

        return is_landmarks(node)

    def refresh(self, node):
        """Redraw the endplates of a list whose points have moved."""
        self._detection.refresh(node)

    def measured(self, node):
        """Every parameter as ``Measured``, from where the points stand now."""
        return self._detection.measure(node)

    def measure(self, node):
        """Parameter name -> {"value", "unit", "status", "reason"}; value is None when not measurable."""
        return {
            m.definition.id: {"value": m.value, "unit": m.definition.unit, "status": m.status.value, "reason": m.reason}
            for m in self.measured(node)
        }

    def processFolder(self, inputDir, outputDir, progress=lambda step, share: None):
        """Detect on every film below a folder; writes the tables, pictures and .mrk.json files that
        the shell command writes, and returns the number of films that failed or were refused."""
        return self._detection.process_folder(inputDir, outputDir, progress)


class SpineLandmarksTest(ScriptedLoadableModuleTest):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_dragging_a_corner_changes_the_angle()

    def test_dragging_a_corner_changes_the_angle(self):
        """On a hand-made detection: needs no torch."""
        import numpy as np

        from SpineLandmarksLib.core.detection import Corner, Detection
        from SpineLandmarksLib.core.radiograph import Radiograph
        from SpineLandmarksLib.scene.markups import create_landmarks

        self.delayDisplay("Making landmarks")
        corners = {
            level: {name: Corner(np.array(p, float), np.eye(2)) for name, p in points.items()}
            for level, points in {"L1": {"SA": (10, 100), "SP": (50, 100)}, "S1": {"SA": (10, 300), "SP": (50, 260)}}.items()
        }
        node = create_landmarks(slicer.mrmlScene, "test", Detection(corners, "left"), Radiograph(np.zeros((400, 100), np.float32)))
        logic = SpineLandmarksLogic()
        self.assertAlmostEqual(logic.measure(node)["LL_L1_S1"]["value"], 45.0, places=4)
        moved = np.zeros(3)
        node.GetNthControlPointPosition(3, moved)
        node.SetNthControlPointPosition(3, moved[0], moved[1] - 40, moved[2])
        self.assertAlmostEqual(logic.measure(node)["LL_L1_S1"]["value"], 0.0, places=4)
        self.delayDisplay("Test passed")
