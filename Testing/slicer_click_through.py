"""The whole path of a clinician, clicked in the real desktop program:

    Slicer --no-splash --testing --additional-module-paths SpineLandmarks \\
        --python-script Testing/slicer_click_through.py

(with a virtual display: put ``xvfb-run -a`` before it). The launcher may lose the exit code, so every
step's outcome is also written to ``slicer_click_through.txt`` in the current folder, with screenshots
beside it. Without torch the detection is replaced by the film's known corners, and the file says so.
"""

import csv
import importlib.util
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import qt
import slicer

OUT = Path.cwd()
RESULT = OUT / "slicer_click_through.txt"
lines = []


def say(text):
    lines.append(text)
    print(text)
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def settle(milliseconds=300):
    end = time.monotonic() + milliseconds / 1000
    while time.monotonic() < end:
        slicer.app.processEvents()


def screenshot(name):
    settle()
    slicer.util.mainWindow().grab().save(str(OUT / f"slicer_{name}.png"))


def mouse(view, kind, xy, button):
    """A real Qt mouse event on a slice view; xy in its pixels, y down."""
    event = qt.QMouseEvent(kind, qt.QPointF(*xy), button, button, qt.Qt.NoModifier)
    qt.QApplication.sendEvent(view, event)
    slicer.app.processEvents()


def on_screen(ras):
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    matrix = slicer.util.arrayFromVTKMatrix(node.GetXYToRAS())
    x, y = (np.linalg.inv(matrix) @ np.array([*ras, 1.0]))[:2]
    return x, node.GetDimensions()[1] - 1 - y


def known_detection(module, film):
    """The sample film's true corners as a detection, where there is no torch."""
    from SpineLandmarksLib.core.detection import Corner, Detection

    corners = {}
    with (Path(module.__file__).parent / "Resources" / "SampleFilm" / "corners.csv").open() as stream:
        for row in csv.DictReader(stream):
            if row["on_film"] == "yes":
                corners.setdefault(row["level"], {})[row["corner"]] = Corner(np.array([float(row["x"]), float(row["y"])]), np.eye(2))
    return Detection(corners, "left")


def run():
    slicer.util.selectModule("SpineLandmarks")
    settle()
    widget = slicer.modules.spinelandmarks.widgetRepresentation().self()
    module = sys.modules[type(widget).__module__]
    assert not widget.ui.detectButton.enabled, "Detect is off without a film"
    film = module.loadSampleFilm()
    widget._parameterNode.film = film
    settle()
    assert widget.ui.detectButton.enabled
    say("ok: film selected, view shown")
    screenshot("film")

    if all(importlib.util.find_spec(name) for name in ("torch", "safetensors")):
        started = time.monotonic()
        widget.ui.detectButton.click()
        say(f"ok: detected in {time.monotonic() - started:.1f} s")
    else:
        landmarks = widget.logic._detection.add_landmarks(film, known_detection(module, film), widget.logic._detection.radiograph(film))
        widget._parameterNode.landmarks = landmarks
        say("NOT RUN: detection (torch is not installed): the known corners stand in")
    node = widget._parameterNode.landmarks
    assert node is not None and node.GetNumberOfControlPoints() >= 20
    settle(600)
    screenshot("corners")

    def values():
        return {name: m["value"] for name, m in widget.logic.measure(node).items()}

    before = values()
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    target = view.VTKWidget() if hasattr(view, "VTKWidget") else view
    start = on_screen(widget.logic.places(node, "S1", "SP")[0])
    times = []
    mouse(target, qt.QEvent.MouseMove, start, qt.Qt.NoButton)
    mouse(target, qt.QEvent.MouseButtonPress, start, qt.Qt.LeftButton)
    for step in range(1, 11):
        began = time.perf_counter()
        mouse(target, qt.QEvent.MouseMove, (start[0], start[1] + 2.5 * step), qt.Qt.LeftButton)
        times.append(time.perf_counter() - began)
    mouse(target, qt.QEvent.MouseButtonRelease, (start[0], start[1] + 25), qt.Qt.LeftButton)
    settle()
    after = values()
    assert abs(after["SS"] - before["SS"]) > 1, f"the drag changed SS from {before['SS']} to {after['SS']}"
    say(f"ok: dragged S1 SP, SS {before['SS']:.1f} -> {after['SS']:.1f}, {1000 * np.median(times):.0f} ms a move (median of 10)")
    screenshot("dragged")

    widget.ui.undoButton.click()
    assert abs(values()["SS"] - before["SS"]) < 1e-6
    say("ok: undo")
    widget.ui.shiftUpButton.click()
    assert values()["SS"] is None
    widget.ui.resetAllButton.click()
    assert abs(values()["SS"] - before["SS"]) < 1e-6
    say("ok: levels shifted, reset")
    widget.vertebrae.select("L3", "SA")
    widget.onNudge(np.array([0.0, 5.0]))
    assert values()["VW_L3"] != before["VW_L3"]
    widget.ui.hideButton.click()
    assert values()["VW_L3"] is None
    widget.ui.resetAllButton.click()
    say("ok: nudge, not visible, reset")
    for name in ("L2",):
        place = widget.logic.places(node, name).mean(axis=0)
        widget.logic.deleteVertebra(node, name)
        widget.onVertebraShown(place)
        assert len(widget.logic.places(node, name)) == 4
    say("ok: vertebra deleted and added")
    widget.ui.copyButton.click()
    assert "Sacral slope" in slicer.app.clipboard().text()
    say("ok: measurements copied")
    scene_file = str(OUT / "slicer_click_through.mrb")
    assert slicer.util.saveScene(scene_file)
    slicer.mrmlScene.Clear()
    settle()
    assert not widget.ui.detectButton.enabled
    slicer.util.loadScene(scene_file)
    settle(600)
    (again,) = [n for n in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") if widget.logic.isLandmarks(n)]
    assert abs(widget.logic.measure(again)["SS"]["value"] - before["SS"]) < 0.05
    say("ok: scene saved, closed and restored")
    screenshot("restored")
    widget.onReload()
    settle()
    say("ok: module reloaded")


status = 1
try:
    run()
    say("PASSED")
    status = 0
except Exception:
    say("FAILED\n" + traceback.format_exc())
slicer.util.exit(status)
