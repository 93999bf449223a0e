"""Frames of a slice view while a corner is dragged, with us and without; offscreen, drawn by the CPU."""

from __future__ import annotations

import os
import time

import numpy as np

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
import slicer  # noqa: E402
from trame_slicer.core import SlicerApp  # noqa: E402

from Testing.drag_scenario import Scene, offscreen_view  # noqa: E402


def _frames(shown: Scene, steps: int = 200) -> np.ndarray:
    """Milliseconds of each mouse move with its picture."""
    start, times = shown.on_screen("L5 IP"), []
    shown.mouse.event("MouseMoveEvent", start)
    shown.mouse.event("LeftButtonPressEvent", start)
    for step in range(steps):
        begun = time.perf_counter()
        shown.mouse.event("MouseMoveEvent", start + 15 * np.array([np.sin(step / 9), np.cos(step / 9)]))
        shown.view.render()
        times.append(1000 * (time.perf_counter() - begun))
    shown.mouse.event("LeftButtonReleaseEvent", start)
    return np.array(times)


def main() -> None:
    app = SlicerApp()
    slicer.mrmlScene = app.scene
    view = offscreen_view(app)
    shown = Scene(app, view)
    with_us = _frames(shown)
    shown.landmarks.RemoveObserver(shown.tag)
    list_alone = _frames(shown)
    shown.logic.remove_helpers(shown.landmarks)
    app.scene.RemoveNode(shown.landmarks)
    times = []
    for _ in range(200):
        begun = time.perf_counter()
        view.render()
        times.append(1000 * (time.perf_counter() - begun))
    print("frame while dragging (median, 99th percentile): {:.1f}, {:.1f} ms with everything that follows; {:.1f}, {:.1f} ms with nothing "
          "that follows; the film alone {:.1f}, {:.1f} ms".format(*(v for t in (with_us, list_alone, times) for v in np.percentile(t, (50, 99)))))
    app.scene.Clear(True)


if __name__ == "__main__":
    main()
