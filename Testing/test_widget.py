"""The panel's logic on Slicer's real scene library, with stand-ins for Qt (see desktop_stand_ins.py).

What only the desktop program can show is in slicer_click_through.py, to be run there.
"""

import gc

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="Slicer's libraries are not installed: pip install '.[slicer]'")

from SpineLandmarksLib.model.weights import identity  # noqa: E402
from SpineLandmarksLib.scene.markups import position_of  # noqa: E402

from .conftest import SAMPLE_FILM  # noqa: E402
from .desktop_stand_ins import load_module, write_text  # noqa: E402


@pytest.fixture
def scene():
    from slicer import vtkMRMLScene

    scene = vtkMRMLScene()
    slicer.mrmlScene = scene
    yield scene
    scene.Clear(True)
    gc.collect()


@pytest.fixture
def panel(monkeypatch, scene, detector):
    module, app = load_module(monkeypatch, scene)
    widget = module.SpineLandmarksWidget()
    widget.setup()
    widget.logic._detection._detectors["auto", identity()] = detector  # the session's, already loaded
    widget.app = app
    yield widget
    widget.cleanup()
    del widget
    gc.collect()


@pytest.fixture
def detected(panel):
    panel._parameterNode.film = panel.logic.loadFilm(SAMPLE_FILM)
    panel.ui.detectButton.click()
    return panel


def value(panel, name):
    rows = {panel.ui.measurementTable.item(r, 0).text(): panel.ui.measurementTable.item(r, 1).text() for r in range(panel.ui.measurementTable.rowCount)}
    return rows[name]


SS, LL5 = "Sacral slope, needs a level film", "Lordosis L1-L5, superior L1 to inferior L5"


def test_nothing_can_be_clicked_before_there_is_a_film(panel):
    assert not panel.ui.detectButton.enabled and "Select a film" in panel.ui.detectButton.toolTip
    assert not panel.ui.correctCollapsibleButton.enabled and not panel.ui.copyButton.enabled


def test_detect_shows_corners_values_and_spacing(detected):
    assert detected.ui.detectButton.enabled and not detected.ui.progressBar.visible
    node = detected._parameterNode.landmarks
    assert detected.logic.landmarksOf(detected._parameterNode.film) == [node]
    assert detected.ui.vertebraTable.texts(0)[-6:] == ["L1", "L2", "L3", "L4", "L5", "S1"]
    assert value(detected, SS).endswith("°")
    assert value(detected, "L3 anterior height") == "not measurable"
    assert detected.ui.spacingValue.text.startswith("unknown")


def test_a_second_click_while_running_is_harmless_and_cancel_stops(panel, monkeypatch):
    panel._parameterNode.film = panel.logic.loadFilm(SAMPLE_FILM)
    clicks = []

    def impatient():
        clicks.append(1)
        panel.onDetect()
        panel.ui.cancelButton.click()

    monkeypatch.setattr(panel.app, "processEvents", impatient)
    panel.ui.detectButton.click()
    assert clicks and panel._parameterNode.landmarks is None and not panel._running and panel.app.shown_errors == []


def test_an_error_is_one_sentence_and_the_panel_lives_on(panel, scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    panel._parameterNode.film = node
    with pytest.raises(Exception, match="load a film"):
        panel.ui.detectButton.click()
    assert len(panel.app.shown_errors) == 1 and "holds no picture" in panel.app.shown_errors[0]
    assert panel.ui.detectButton.enabled and not panel.ui.cancelButton.visible


def drag(panel, label, dy):
    """What the view's widget does to a list while a corner is dragged."""
    node = panel._parameterNode.landmarks
    index = [node.GetNthControlPointLabel(i) for i in range(node.GetNumberOfControlPoints())].index(label)
    node.GetDisplayNode().SetActiveControlPoint(index)
    node.InvokeEvent(node.PointStartInteractionEvent)
    for _ in range(5):
        x, y, z = position_of(node, index)
        node.SetNthControlPointPosition(index, x, y + dy / 5, z)
    return node, index


def test_values_follow_a_dragged_corner_and_undo_brings_them_back(detected, scene):
    before = value(detected, SS), value(detected, LL5)
    scene.SaveStateForUndo()  # as the view's widget does when a drag starts
    node, _ = drag(detected, "S1 SP", -20.0)
    assert value(detected, SS) != before[0] and value(detected, LL5) == before[1]
    node.InvokeEvent(node.PointEndInteractionEvent)
    row = detected.ui.vertebraTable.texts(0).index("S1")
    assert detected.ui.vertebraTable.item(row, 2).text().startswith("edited")
    assert detected.vertebrae.selected() == ("S1", "SP")
    detected.ui.undoButton.click()
    assert (value(detected, SS), value(detected, LL5)) == before
    detected.ui.redoButton.click()
    assert value(detected, SS) != before[0]


def test_corrections_from_the_panel(detected):
    table = detected.ui.vertebraTable
    before = value(detected, SS)
    detected.ui.hideButton.click()
    assert "Click a vertebra" in detected.ui.messageLabel.text
    table.pick(table.texts(0).index("S1"), 1)
    detected.onNudge(np.array([0.0, 12.0]))
    assert value(detected, SS) != before
    detected.ui.resetButton.click()
    assert value(detected, SS) == before
    table.pick(table.texts(0).index("S1"), 1)
    detected.ui.hideButton.click()
    assert value(detected, SS) == "not measurable" and table.item(table.texts(0).index("S1"), 1).text() == "not visible"
    detected.ui.resetAllButton.click()
    assert value(detected, SS) == before
    detected.ui.shiftUpButton.click()
    assert table.texts(0)[-1] == "L5"
    detected.ui.shiftDownButton.click()
    assert table.texts(0)[-1] == "S1"
    table.pick(table.texts(0).index("L2"), 0)
    detected.ui.deleteButton.click()
    assert "L2" not in table.texts(0)
    detected.ui.undoButton.click()
    assert "L2" in table.texts(0)


def test_a_vertebra_is_added_with_a_click(detected):
    logic, node = detected.logic, detected._parameterNode.landmarks
    centre = logic.places(node, "L2").mean(axis=0)
    detected.logic.deleteVertebra(node, "L2")
    detected.refresh()
    assert "L2" not in detected.ui.vertebraTable.texts(0)
    detected.onVertebraShown(centre)
    assert "L2" in detected.ui.vertebraTable.texts(0)
    detected.onVertebraShown(centre)
    assert "L2 is there already" in detected.ui.messageLabel.text


def test_each_film_keeps_its_own_corners_and_two_are_compared(detected, scene):
    first, one = detected._parameterNode.film, detected._parameterNode.landmarks
    detected._parameterNode.film = second = detected.logic.loadFilm(SAMPLE_FILM)
    assert detected._parameterNode.landmarks is None and detected.ui.measurementTable.rowCount == 0
    assert not one.GetDisplayVisibility()
    detected.ui.detectButton.click()
    two = detected._parameterNode.landmarks
    assert two != one and detected.logic.landmarksOf(first) == [one] and detected.logic.landmarksOf(second) == [two]
    drag(detected, "S1 SP", -20.0)
    detected._parameterNode.compareWith = one
    table = detected.ui.measurementTable
    row = table.texts(0).index(SS)
    this, other, change = (float(table.item(row, c).text().rstrip("°")) for c in (1, 4, 5))
    assert change == pytest.approx(other - this, abs=0.11) and abs(change) > 3
    assert one.GetDisplayVisibility() and two.GetDisplayVisibility()
    index = one.GetNumberOfControlPoints() - 1  # S1 SP of the other film
    one.SetNthControlPointPosition(index, *(position_of(one, index) + (0, -15, 0)))
    assert float(table.item(row, 4).text().rstrip("°")) != other
    detected._parameterNode.compareWith = None
    assert not one.GetDisplayVisibility() and table.columnCount == 5
    detected._parameterNode.compareWith = one
    detected._parameterNode.film = first
    assert detected._parameterNode.landmarks == one and one.GetDisplayVisibility() and not two.GetDisplayVisibility()


def test_copy_and_export(detected, tmp_path):
    detected.ui.copyButton.click()
    lines = detected.app.copied.splitlines()
    assert lines[0].startswith("Measurement\tValue") and any(line.startswith(SS) for line in lines)
    assert not any("not measurable" in line for line in lines)
    node = detected._parameterNode.landmarks
    (tmp_path / "simulated_lateral").mkdir()
    write_text(tmp_path / "simulated_lateral" / "kept.txt", "kept")
    out = detected.logic.exportReport(node, tmp_path)
    assert out.name == "simulated_lateral_2" and (tmp_path / "simulated_lateral" / "kept.txt").read_text() == "kept"
    assert {f.name for f in out.iterdir()} == {
        "films.csv", "landmarks.csv", "measurements.csv", "simulated_lateral.png", "simulated_lateral.mrk.json"}


def test_a_ruler_gives_millimetres(detected, scene):
    film = detected._parameterNode.film
    detected._ruler = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "ruler")
    a, b = (detected.logic.places(detected._parameterNode.landmarks, "L3", name)[0] for name in ("SA", "SP"))
    detected._ruler.AddControlPoint(*a)
    detected._ruler.AddControlPoint(*b)
    detected._parameterNode.rulerLength = 35.0
    detected.ui.calibrateButton.click()
    assert detected.ui.spacingValue.text.endswith("(ruler)") and value(detected, "L3 superior endplate depth") == "35.0 mm"
    assert detected._parameterNode.film == film and scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 0


def test_closing_the_scene_leaves_nothing_behind(detected, scene):
    node = detected._parameterNode.landmarks
    scene.Clear(False)
    assert detected._study is None and detected.ui.measurementTable.rowCount == 0
    assert not node.HasObserver(node.PointModifiedEvent) or node.GetScene() is None
    assert not [o for o in detected.Observations if o[0].IsA("vtkMRMLMarkupsNode")]
    assert not detected.ui.detectButton.enabled


def test_removing_the_list_removes_its_lines_and_labels(detected, scene):
    scene.RemoveNode(detected._parameterNode.landmarks)
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0
    assert detected._study is None


def test_cleanup_takes_every_observer_along(detected, scene):
    detected.cleanup()
    assert detected.Observations == []


def test_weights_of_ones_own_are_checked_before_use(panel, tmp_path):
    panel._parameterNode.film = panel.logic.loadFilm(SAMPLE_FILM)
    panel.ui.weightsPath.currentPath = str(tmp_path)
    with pytest.raises(Exception, match="manifest"):
        panel.ui.detectButton.click()
    assert panel._parameterNode.landmarks is None and len(panel.app.shown_errors) == 1
    panel.ui.weightsPath.currentPath = ""
    panel.ui.detectButton.click()
    assert panel._parameterNode.landmarks is not None


def test_a_folder_is_processed_from_the_console(panel, tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.png").write_bytes(SAMPLE_FILM.read_bytes())
    (tmp_path / "films" / "b.png").write_bytes(b"broken")
    told = []
    assert panel.logic.processFolder(tmp_path / "films", tmp_path / "out", lambda text, share: told.append((text, share))) == 1
    assert told[-1] == ("2 of 2 films", 1.0) and (tmp_path / "out" / "summary.html").exists()
    assert (tmp_path / "out" / "films.csv").read_text().count("\n") == 3


def test_the_modules_own_self_test(panel):
    import SpineLandmarks

    test = SpineLandmarks.SpineLandmarksTest()
    test.runTest()
