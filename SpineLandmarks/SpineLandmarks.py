"""3D Slicer module: detect vertebral corners on a lateral film, correct them, read the angles."""

from __future__ import annotations

import sys
from pathlib import Path

import qt
import slicer
import vtk
from slicer import vtkMRMLDisplayableNode, vtkMRMLScalarVolumeNode
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
            "Load a lateral spine radiograph, select it and click <b>Detect</b>. Drag a corner to correct it: "
            "endplates and angles follow. Arrow keys move the selected corner by a pixel, Ctrl+Z undoes. "
            "Green corners are sure, orange ones want a look. <b>Not a medical device.</b>"
        )
        self.parent.acknowledgementText = _(
            "Implements the two-step model of Cina et al., 2-step deep learning model for landmarks localization in "
            "spine radiographs, Scientific Reports 11:9482 (2021). Trained on films of King Abdullah University Hospital "
            "(Fraiwan et al. 2022, CC BY 4.0) and on films simulated from BodyParts3D (CC BY 4.0)."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """The bundled simulated film, in the Sample Data module; nothing is downloaded."""
    try:
        import SampleData
    except ImportError:
        return  # the user has switched that module off

    film = Path(__file__).parent / "Resources" / "SampleFilm" / "simulated_lateral.png"
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Spine Landmarks",
        sampleName="SimulatedLateralSpine",
        uris=film.as_uri(),
        fileNames=film.name,
        nodeNames=film.stem,
        customDownloader=loadSampleFilm,
        thumbnailFileName=str(Path(__file__).parent / "Resources" / "Icons" / "SpineLandmarks.png"),
    )


def loadSampleFilm(source=None):
    """Add the bundled film to the scene; returns its volume node."""
    return SpineLandmarksLogic().loadFilm(Path(__file__).parent / "Resources" / "SampleFilm" / "simulated_lateral.png")


@parameterNodeWrapper
class SpineLandmarksParameterNode:
    """film : the volume to detect on. landmarks : the list of corners in hand. compareWith : the
    list of another film of the same patient. rulerLength : the true length of the ruler, mm.

    Lists are fiducial nodes; their class is named by a core one, because this file may be imported
    before the Markups module is.
    """

    film: vtkMRMLScalarVolumeNode
    landmarks: vtkMRMLDisplayableNode
    compareWith: vtkMRMLDisplayableNode
    rulerLength: float = 100.0


class SpineLandmarksWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._study = None  # what is shown and followed
        self._other = None  # the study of another film, compared with
        self._shownFilm = None
        self._running = False
        self._cancelled = False
        self._ruler = None

    # Set-up, and the life of the scene

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from SpineLandmarksLib.widgets.measurement_table import MeasurementTable
        from SpineLandmarksLib.widgets.one_click import OneClick
        from SpineLandmarksLib.widgets.slice_view import FilmView
        from SpineLandmarksLib.widgets.vertebra_table import VertebraTable

        panel = slicer.util.loadUI(self.resourcePath("UI/SpineLandmarks.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = SpineLandmarksLogic()
        self.view = FilmView()
        self.oneClick = OneClick()
        self.measurements = MeasurementTable(self.ui.measurementTable)
        self.vertebrae = VertebraTable(self.ui.vertebraTable)
        # Only lists that were made here can be measured.
        for selector in (self.ui.landmarksSelector, self.ui.compareSelector):
            selector.addAttribute("vtkMRMLMarkupsFiducialNode", "SpineLandmarks.Detection")
        for text, device in ((_("Automatic"), "auto"), (_("CPU"), "cpu"), (_("GPU (CUDA)"), "cuda")):
            self.ui.deviceSelector.addItem(text, device)
        self.ui.progressBar.setVisible(False)
        self.ui.cancelButton.setVisible(False)
        for button, handler in (
            (self.ui.openButton, self.onOpen), (self.ui.showButton, self.onShowFilm), (self.ui.detectButton, self.onDetect),
            (self.ui.cancelButton, self.onCancel), (self.ui.rulerButton, self.onDrawRuler), (self.ui.calibrateButton, self.onCalibrate),
            (self.ui.hideButton, self.onHide), (self.ui.resetButton, self.onReset), (self.ui.resetAllButton, self.onResetAll),
            (self.ui.addButton, self.onAddVertebra), (self.ui.deleteButton, self.onDeleteVertebra),
            (self.ui.shiftUpButton, self.onShiftUp), (self.ui.shiftDownButton, self.onShiftDown),
            (self.ui.undoButton, self.onUndo), (self.ui.redoButton, self.onRedo),
            (self.ui.copyButton, self.onCopy), (self.ui.exportButton, self.onExport),
        ):
            button.connect("clicked(bool)", handler)
        self.ui.vertebraTable.connect("cellClicked(int,int)", self.onVertebraClicked)
        self.ui.measurementTable.connect("cellClicked(int,int)", self.onMeasurementClicked)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        # Lists of corners are the only nodes of ours that take part in undo.
        scene.SetUndoOn()
        self.initializeParameterNode()

    def cleanup(self):
        self._cancelled = True
        self.oneClick.cancel()
        self.view.release_keys()
        self.view.restore_letters()
        self.follow(None)
        self.setParameterNode(None)
        self.removeObservers()

    def onReload(self):
        # Reload must reach the library too: without its modules, the next import reads the files.
        for name in [name for name in sys.modules if name.split(".")[0] == "SpineLandmarksLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self):
        self._shownFilm = None  # another module may have used the view
        self.initializeParameterNode()
        self.view.take_keys(self.onNudge, self.onUndo, self.onRedo)

    def exit(self):
        # Corners stay followed when another module is open; keys and letters are given back.
        self.oneClick.cancel()
        self.view.release_keys()
        self.view.restore_letters()
        self._shownFilm = None
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self._cancelled = True
        self.oneClick.cancel()
        self.follow(None)
        self._shownFilm = self._ruler = None
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event):
        self.follow(None)
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        if slicer.mrmlScene.IsClosing() or not self.logic.isLandmarks(node):
            return
        if self._other is not None and self._other.landmarks == node:
            self.compare(None)
        if self._study is not None and self._study.landmarks == node:
            self.follow(None)
        self.logic.removeHelpers(node)

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
        self.updateButtons()

    def onParametersChanged(self, caller=None, event=None):
        """Film, list or comparison were chosen: show what belongs to them."""
        node = self._parameterNode
        if node is None:
            return
        film = node.film
        if film is not None and film.GetImageData() is not None and film != self._shownFilm:
            self._shownFilm = film
            lists = self.logic.landmarksOf(film)
            if node.landmarks not in lists:
                # Each film has its own corners: the newest list, or none yet.
                node.landmarks = lists[-1] if lists else None
            if self.parent.isEntered:
                self.view.show(film, node.landmarks)
        self.showSpacing()
        landmarks = node.landmarks if self.logic.isLandmarks(node.landmarks) else None
        if landmarks != (self._study.landmarks if self._study else None):
            self.follow(landmarks)
        other = node.compareWith if self.logic.isLandmarks(node.compareWith) and node.compareWith != landmarks else None
        if landmarks is None or other is None:
            self.compare(None)
        elif self._other is None or self._other.landmarks != other:
            self.compare(other)
        if self._study is not None:
            self.measurements.fill(self._study.measured, self._others)
        self.updateButtons()

    def updateButtons(self):
        film = self._parameterNode.film if self._parameterNode else None
        ready = film is not None and not self._running
        self.ui.detectButton.enabled = ready
        self.ui.detectButton.toolTip = _("Find the vertebrae and place their corners") if ready else _("Select a film first")
        self.ui.showButton.enabled = film is not None
        self.ui.rulerButton.enabled = self.ui.calibrateButton.enabled = film is not None
        self.ui.correctCollapsibleButton.enabled = self._study is not None and not self._running
        self.ui.copyButton.enabled = self.ui.exportButton.enabled = self._study is not None

    # Film

    def onOpen(self):
        patterns = "*.dcm *.dicom *.ima *.png *.jpg *.jpeg *.tif *.tiff *.bmp *.nrrd *.nii *.nii.gz"
        name = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Open film"), "", f"{_('Films')} ({patterns});;{_('All files')} (*)")
        if name:
            with slicer.util.tryWithErrorDisplay(_("The film cannot be opened."), waitCursor=True):
                self._parameterNode.film = self.logic.loadFilm(name)

    def onShowFilm(self):
        node = self._parameterNode
        if node is not None and node.film is not None:
            self.view.show(node.film, node.landmarks)

    def showSpacing(self):
        film = self._parameterNode.film
        text = _("no film")
        if film is not None and film.GetImageData() is not None:
            text = self.logic.spacingText(film)
        self.ui.spacingValue.setText(text)

    def onDrawRuler(self):
        """Let the user draw a line; a first one is replaced."""
        if self._ruler is not None:
            slicer.mrmlScene.RemoveNode(self._ruler)
        self._ruler = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "ruler")
        logic = slicer.app.applicationLogic()
        selection, interaction = logic.GetSelectionNode(), logic.GetInteractionNode()
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsLineNode")
        selection.SetActivePlaceNodeID(self._ruler.GetID())
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.Place)

    def onCalibrate(self):
        with slicer.util.tryWithErrorDisplay(_("The film was not calibrated."), waitCursor=False):
            self.logic.calibrate(self._parameterNode.film, self._ruler, self._parameterNode.rulerLength)
            slicer.mrmlScene.RemoveNode(self._ruler)
            self._ruler = None
            self.showSpacing()
            self.refresh()

    # Detect

    def onDetect(self):
        from SpineLandmarksLib.widgets.background import Cancelled
        from SpineLandmarksLib.widgets.packages import ensure_detection

        if self._running:
            return
        film = self._parameterNode.film
        self._running, self._cancelled = True, False
        self.updateButtons()
        self.ui.progressBar.setValue(0)
        self.ui.progressBar.setVisible(True)
        self.ui.cancelButton.setVisible(True)
        try:
            with slicer.util.tryWithErrorDisplay(_("No corners were placed."), waitCursor=False):
                ensure_detection()
                self.logic.setDevice(self.ui.deviceSelector.currentData)
                self.logic.setWeights(self.ui.weightsPath.currentPath)
                try:
                    landmarks = self.logic.detect(film, run=self.runBeside)
                except Cancelled:
                    slicer.util.showStatusMessage(_("Detection was cancelled."), 3000)
                else:
                    self._parameterNode.landmarks = landmarks
                    self.view.show(film, landmarks)
        finally:
            self._running = False
            self.ui.progressBar.setVisible(False)
            self.ui.cancelButton.setVisible(False)
            self.updateButtons()

    def runBeside(self, compute):
        """Compute in a thread; the window stays alive, and Cancel is heard."""
        from SpineLandmarksLib.widgets.background import run_beside

        return run_beside(compute, slicer.app.processEvents, self.onProgress, lambda: self._cancelled)

    def onProgress(self, step, share):
        self.ui.progressBar.setValue(round(100 * share))
        self.ui.progressBar.setFormat(f"{step} %p%")

    def onCancel(self):
        self._cancelled = True

    # Corners: one list is followed at a time

    def follow(self, landmarks):
        """Show a list of corners with its lines, labels and values, and hide the others."""
        self.compare(None)
        if self._study is not None:
            node = self._study.landmarks
            for event, handler in self._handlers():
                self.removeObserver(node, event, handler)
            self._study.show(False)
        self._study = None
        self.measurements.clear()
        self.vertebrae.fill(None)
        self.ui.remarksLabel.setText("")
        if landmarks is None:
            return
        self._study = self.logic.study(landmarks)
        self._study.show(True)
        for event, handler in self._handlers():
            self.addObserver(landmarks, event, handler)
        self.refresh()
        # The view makes its widget for the list when it is next drawn.
        qt.QTimer.singleShot(200, self.onShown)

    def compare(self, landmarks):
        """Show another film with its corners beside the one in hand, or only that one again."""
        if self._other is not None:
            self.removeObserver(self._other.landmarks, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self.onOtherMoved)
            self._other.show_only_in("")
            self._other.show(False)
            if landmarks is None and self._study is not None:
                self._study.show_only_in("")
                self._study.show(True)
                self.onShowFilm()
        self._other = None
        if landmarks is None:
            return
        self._other = self.logic.study(landmarks)
        film, other = self.logic.filmOf(self._study.landmarks), self.logic.filmOf(landmarks)
        if film is not None and other is not None:
            mine, its = self.view.show_beside(film, self._study.landmarks, other, landmarks)
            self._study.show_only_in(mine)
            self._other.show_only_in(its)
        self._other.show(True)
        self.addObserver(landmarks, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self.onOtherMoved)
        qt.QTimer.singleShot(200, self.onShown)

    @property
    def _others(self):
        return self._other.measured if self._other is not None else None

    def onOtherMoved(self, caller, event):
        changed = self._other.follow()
        self.measurements.update(changed, self._study.measured, self._others)

    def _handlers(self):
        node = slicer.vtkMRMLMarkupsNode
        return (
            (node.PointModifiedEvent, self.onPointMoved), (node.PointStartInteractionEvent, self.onDragStarted),
            (node.PointEndInteractionEvent, self.onDragEnded), (vtk.vtkCommand.ModifiedEvent, self.onListChanged),
        )

    def onShown(self):
        for study in (self._study, self._other):
            if study is not None:
                self.view.guard(study.landmarks)

    def refresh(self):
        """Read the list anew: after a drag, an edit, an undo."""
        if self._study is None:
            return
        self._study.refresh()
        self.ui.remarksLabel.setText("\n".join(self._study.detection.remarks))
        self.vertebrae.fill(self._study.detection)
        self.measurements.fill(self._study.measured, self._others)

    def onPointMoved(self, caller, event):
        changed = self._study.follow()
        self.measurements.update(changed, self._study.measured, self._others)

    def onDragStarted(self, caller, event):
        index = caller.GetDisplayNode().GetActiveControlPoint()
        if index >= 0:
            self.vertebrae.select(*caller.GetNthControlPointLabel(index).split(" "))

    def onDragEnded(self, caller, event):
        self.refresh()

    def onListChanged(self, caller, event):
        if self._study is not None and self.logic.isLandmarks(caller):
            self.refresh()

    def onVertebraClicked(self, row, column):
        """Bring the vertebra to the middle of the view."""
        level, name = self.vertebrae.selected()
        places = self.logic.places(self._study.landmarks, level, name)
        if len(places):
            self.view.centre_on(places.mean(axis=0))

    def onMeasurementClicked(self, row, column):
        """Show the vertebrae that a value was measured on."""
        index = self.measurements.index_at(row)
        if self._study is None or index is None:
            return
        needs = self._study.measured[index].definition.needs
        places = [p for key in needs for p in self.logic.places(self._study.landmarks, *key)]
        if places:
            self.view.centre_on(sum(places) / len(places))
            self.vertebrae.select(needs[0][0], None)

    # Corrections

    def _edit(self, edit):
        """Run an edit of the list in hand; what makes no sense is said in one sentence."""
        if self._study is None:
            return
        try:
            edit(self._study.landmarks)
        except ValueError as error:
            slicer.util.showStatusMessage(str(error), 5000)
            self.ui.messageLabel.setText(str(error))
        else:
            self.ui.messageLabel.setText("")
            self.refresh()

    def _selected(self):
        level, name = self.vertebrae.selected()
        if level is None:
            self.ui.messageLabel.setText(_("Click a vertebra or corner in the table or on the film first."))
        return level, name

    def onHide(self):
        level, name = self._selected()
        if level is not None:
            self._edit(lambda node: self.logic.hide(node, level, name))

    def onReset(self):
        level, name = self._selected()
        if level is not None:
            self._edit(lambda node: self.logic.resetCorners(node, level, name))

    def onResetAll(self):
        self._edit(self.logic.resetCorners)

    def onDeleteVertebra(self):
        level, _name = self._selected()
        if level is not None:
            self._edit(lambda node: self.logic.deleteVertebra(node, level))

    def onShiftUp(self):
        self._edit(lambda node: self.logic.shiftLevels(node, -1))

    def onShiftDown(self):
        self._edit(lambda node: self.logic.shiftLevels(node, 1))

    def onAddVertebra(self):
        self.ui.messageLabel.setText(_("Click the middle of the vertebra on the film (for S1, of its plate)."))
        self.oneClick.ask(self.onVertebraShown)

    def onVertebraShown(self, ras):
        self._edit(lambda node: self.logic.addVertebra(node, ras))

    def onNudge(self, pixels):
        level, name = self.vertebrae.selected()
        if self._study is not None and name is not None:
            self._edit(lambda node: self.logic.nudge(node, level, name, pixels))
            self.vertebrae.select(level, name)

    def onUndo(self):
        slicer.mrmlScene.Undo()
        self.refresh()

    def onRedo(self):
        slicer.mrmlScene.Redo()
        self.refresh()

    # Take home

    def onCopy(self):
        from SpineLandmarksLib.core.measurements.text import as_tsv

        slicer.app.clipboard().setText(as_tsv(self._study.measured, self._others))
        slicer.util.showStatusMessage(_("The measurements are in the clipboard."), 3000)

    def onExport(self):
        from SpineLandmarksLib.widgets.packages import ensure_report

        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Export report to"))
        if folder:
            with slicer.util.tryWithErrorDisplay(_("The report was not written."), waitCursor=True):
                ensure_report()
                written = self.logic.exportReport(self._study.landmarks, folder)
                slicer.util.showStatusMessage(_("Report written to {folder}").format(folder=written), 5000)


class SpineLandmarksLogic(ScriptedLoadableModuleLogic):
    """For Slicer's Python console too, with or without a window::

        logic = SpineLandmarksLogic()
        node = logic.detect(slicer.util.getNode("film"))   # the fiducial list
        logic.measure(node)["LL_L1_S1"]                    # {"value": 52.1, "unit": "deg", "status": "ok", ...}
        logic.shiftLevels(node, -1)                        # the count was off by one
        logic.exportReport(node, "/data/reports")
        logic.processFolder("/data/films", "/data/results")
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        from SpineLandmarksLib.scene.logic import DetectionLogic

        self._detection = DetectionLogic(slicer.mrmlScene, file_of=_dicomFile)

    def getParameterNode(self):
        return SpineLandmarksParameterNode(super().getParameterNode())

    def setDevice(self, device):
        """Where the networks run: "auto" (a GPU when there is one), "cpu", "cuda" or "cuda:N"."""
        self._detection.device = device

    def setWeights(self, folder):
        """A folder of weights of your own training, with their manifest.json; "" or None for those that
        ship. Checked by SHA-256 when they are first used."""
        self._detection.weights = Path(folder) if folder else None

    def loadFilm(self, path):
        """Read a film file of any kind that the command reads, with its true spacing; returns the
        volume node. Raises FilmError, whose message says what to do."""
        from SpineLandmarksLib import films
        from SpineLandmarksLib.films.read import stem
        from SpineLandmarksLib.scene.film import create_film

        return create_film(slicer.mrmlScene, stem(Path(path).name), films.read(path))

    def detect(self, volumeNode, progress=lambda step, share: None, run=None):
        """Detect on a volume; returns the new fiducial list. Raises FilmError or NoSpineFound, whose
        message says what to do, and whatever ``progress`` raises to stop. ``run``: see ``DetectionLogic``."""
        return self._detection.detect(volumeNode, progress, run)

    def isLandmarks(self, node):
        """Whether a node is a list of corners made by :meth:`detect`."""
        from SpineLandmarksLib.scene.state import is_landmarks

        return is_landmarks(node)

    def landmarksOf(self, volumeNode):
        """All lists of corners of a film, the newest last."""
        from SpineLandmarksLib.scene.study import lists_of

        return lists_of(slicer.mrmlScene, volumeNode)

    def filmOf(self, node):
        """The volume node that a list was detected on, or None when it is gone."""
        from SpineLandmarksLib.scene.study import film_of

        return film_of(node)

    def study(self, node):
        """A list with its lines, labels and live values; see ``scene.study.Study``."""
        from SpineLandmarksLib.scene.study import Study

        return Study(node)

    def removeHelpers(self, node):
        self._detection.remove_helpers(node)

    def measured(self, node):
        """Every parameter as ``Measured``, from where the points stand now."""
        return self._detection.measure(node)

    def measure(self, node):
        """Parameter name -> {"value", "unit", "low90", "high90", "status", "reason"}; value is None
        when not measurable, and the reason says why."""
        return {
            m.definition.id: {
                "value": m.value, "unit": m.definition.unit, "low90": m.interval[0] if m.interval else None,
                "high90": m.interval[1] if m.interval else None, "status": m.status.value, "reason": m.reason,
            }
            for m in self.measured(node)
        }

    def spacingText(self, volumeNode):
        """A film's pixel spacing and where it comes from, in words."""
        from SpineLandmarksLib.scene.film import spacing_of

        spacing, source = spacing_of(volumeNode, _dicomFile(volumeNode))
        if spacing is None:
            return _("unknown: angles only; draw a ruler for millimetres")
        return f"{spacing[0]:.4g} x {spacing[1]:.4g} mm ({source.value})"

    def calibrate(self, volumeNode, lineNode, millimetres):
        """Set a film's spacing from a line markup of known length; returns (x, y) mm per pixel."""
        from SpineLandmarksLib.scene.calibration import calibrate

        return calibrate(volumeNode, lineNode, millimetres)

    def places(self, node, level, name=None):
        """RAS positions (n, 3) of a vertebra's corners, or of one of them, that stand on the film."""
        import numpy as np

        from SpineLandmarksLib.scene.markups import defined_corners, position_of

        found = [position_of(node, i) for i, its_level, its_name in defined_corners(node) if its_level == level and name in (None, its_name)]
        return np.array(found).reshape(-1, 3)

    def nudge(self, node, level, name, pixels):
        """Move a corner by film pixels (x right, y down)."""
        from SpineLandmarksLib.scene import edits

        (index,) = edits.indices(node, level, name) or (-1,)
        edits.nudge(node, index, pixels)

    def hide(self, node, level, name=None):
        """Say that a corner, or a whole vertebra, is not visible on the film."""
        from SpineLandmarksLib.scene import edits

        edits.hide(node, level, name)

    def resetCorners(self, node, level=None, name=None):
        """Put a corner, a vertebra, or without arguments everything back as it was detected."""
        from SpineLandmarksLib.scene import edits

        edits.reset(node, level, name)

    def deleteVertebra(self, node, level):
        from SpineLandmarksLib.scene import edits

        edits.delete_vertebra(node, level)

    def addVertebra(self, node, ras):
        """Add the vertebra with its centre at a RAS position and return its level. The networks place
        its corners; without torch they stand as a box to be dragged into place."""
        import importlib.util

        from SpineLandmarksLib.scene import edits

        there = all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))
        return edits.add_vertebra(node, ras, self._detection.reader(node) if there else None)

    def shiftLevels(self, node, step):
        """Rename all levels, ``step`` places caudal (negative: cranial)."""
        from SpineLandmarksLib.scene import edits

        edits.shift_levels(node, step)

    def exportReport(self, node, directory):
        """Write the tables, the annotated picture and the .mrk.json of a list as it stands now, into a
        new folder of ``directory``, whose path is returned."""
        return self._detection.export_report(node, Path(directory))

    def processFolder(self, inputDir, outputDir, progress=lambda step, share: None):
        """Detect on every film below a folder; writes the tables, pictures and .mrk.json files that
        the shell command writes, and returns the number of films that failed or were refused."""
        return self._detection.process_folder(inputDir, outputDir, progress)


def _dicomFile(volumeNode):
    """The file that a volume from Slicer's DICOM database came from, or None."""
    uids = volumeNode.GetAttribute("DICOM.instanceUIDs")
    database = getattr(slicer, "dicomDatabase", None)
    file = database.fileForInstance(uids.split()[0]) if uids and database is not None else ""
    return Path(file) if file else None


class SpineLandmarksTest(ScriptedLoadableModuleTest):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for test in (self.test_dragging_a_corner_changes_the_angle, self.test_detect_on_the_sample_film):
            self.setUp()
            test()

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
        study = logic.study(node)
        self.assertAlmostEqual(logic.measure(node)["LL_L1_S1"]["value"], 45.0, places=4)
        logic.nudge(node, "S1", "SP", np.array([0.0, 40.0]))
        study.follow()
        self.assertAlmostEqual(logic.measure(node)["LL_L1_S1"]["value"], 0.0, places=4)
        self.assertAlmostEqual({m.definition.id: m.value for m in study.measured}["LL_L1_S1"], 0.0, places=4)
        logic.resetCorners(node)
        self.assertAlmostEqual(logic.measure(node)["LL_L1_S1"]["value"], 45.0, places=4)
        self.delayDisplay("Test passed")

    def test_detect_on_the_sample_film(self):
        """The clinician's path; skipped, and said so, where torch is not installed."""
        import importlib.util

        film = loadSampleFilm()
        self.assertEqual(film.GetImageData().GetDimensions()[2], 1)
        if not all(importlib.util.find_spec(name) for name in ("torch", "safetensors")):
            self.delayDisplay("Skipped: torch is not installed")
            return
        self.delayDisplay("Detecting")
        logic = SpineLandmarksLogic()
        node = logic.detect(film)
        values = logic.measure(node)
        self.assertEqual(values["SS"]["status"], "ok")
        self.assertEqual(logic.landmarksOf(film), [node])
        logic.shiftLevels(node, -1)
        self.assertIsNone(logic.measure(node)["SS"]["value"])
        logic.resetCorners(node)
        self.assertAlmostEqual(logic.measure(node)["SS"]["value"], values["SS"]["value"], places=4)
        self.delayDisplay("Test passed")
