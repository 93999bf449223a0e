"""A corner dragged with real mouse events in an offscreen slice view of Slicer's libraries."""

import os

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="Slicer's libraries are not installed: pip install '.[slicer]'")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
from SpineLandmarksLib import films  # noqa: E402
from SpineLandmarksLib.scene.film import index_to_ras, radiograph_of  # noqa: E402
from SpineLandmarksLib.scene.logic import DetectionLogic  # noqa: E402
from SpineLandmarksLib.scene.markups import create_landmarks  # noqa: E402

from .conftest import SAMPLE_FILM, make_detection  # noqa: E402
from .test_detect import truth  # noqa: E402
from .test_scene import add_volume  # noqa: E402


@pytest.fixture(scope="module")
def app():
    from trame_slicer.core import SlicerApp

    app = SlicerApp()
    slicer.mrmlScene = app.scene
    yield app
    app.scene.Clear(True)


@pytest.fixture
def view(app):
    from trame_slicer.views import SliceView

    view = SliceView(scene=app.scene, app_logic=app.app_logic, name="Red")
    view.render_window().SetMultiSamples(0)
    view.render_window().SetOffScreenRendering(True)
    view.render_window().SetSize(600, 830)
    yield view
    view.finalize()


def picture_of(view) -> np.ndarray:
    """(height, width, 3) pixels, first row at the bottom, as VTK has them."""
    from vtk.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

    grab = vtkWindowToImageFilter()
    grab.SetInput(view.render_window())
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    w, h, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(h, w, -1)


class Mouse:
    def __init__(self, view):
        self.view, self.interactor = view, view.interactor()

    def at(self, ras) -> np.ndarray:
        """RAS -> display pixels."""
        m = self.view._logic.GetSliceNode().GetXYToRAS()  # trame-slicer has no public way to it
        matrix = np.array([[m.GetElement(i, j) for j in range(4)] for i in range(4)])
        return (np.linalg.inv(matrix) @ np.array([*ras, 1.0]))[:2]

    def event(self, name: str, xy) -> None:
        self.interactor.SetEventInformation(int(round(xy[0])), int(round(xy[1])), 0, 0, "\0", 0, None)
        self.interactor.InvokeEvent(name)

    def drag(self, start, end, steps: int = 10) -> None:
        self.event("MouseMoveEvent", start)
        self.event("LeftButtonPressEvent", start)
        for share in np.linspace(0, 1, steps + 1)[1:]:
            self.event("MouseMoveEvent", start + share * (end - start))
        self.event("LeftButtonReleaseEvent", end)


def test_dragging_a_corner_moves_its_endplate_and_the_angle(app, view):
    volume = add_volume(app.scene, films.read(SAMPLE_FILM).pixels.astype(np.int16), spacing=(0.4, 0.4, 1.0))
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    film = radiograph_of(volume)
    corners: dict = {}
    for (level, name), position in truth().items():
        corners.setdefault(level, {})[name] = position
    detection = make_detection(corners)

    logic = DetectionLogic(app.scene)
    landmarks = create_landmarks(app.scene, "corners", detection, film)
    landmarks.CreateDefaultDisplayNodes()
    model = logic.add_endplates(landmarks, "endplates")
    moves = []
    landmarks.AddObserver(landmarks.PointModifiedEvent, lambda caller, event: (moves.append(1), logic.refresh(landmarks)))

    view.set_background_volume_id(volume.GetID())
    view.set_orientation("Axial")
    view.fit_view_to_content()
    view.render()
    before = {m.definition.id: m.value for m in logic.measure(landmarks)}
    plain = picture_of(view)
    assert plain.std() > 10  # a film is shown, not an empty window

    mouse = Mouse(view)
    ras = lambda pixel: (index_to_ras(film) @ np.array([*pixel, 0.0, 1.0]))[:3]
    start = mouse.at(ras(corners["S1"]["SP"]))
    mouse.drag(start, start + np.array([0.0, -25.0]))
    view.render()
    after = {m.definition.id: m.value for m in logic.measure(landmarks)}

    assert len(moves) >= 5, "the angle must follow during the drag, not after it"
    assert abs(after["SS"] - before["SS"]) > 5
    assert after["LL_L1_L5"] == pytest.approx(before["LL_L1_L5"])
    assert np.abs(picture_of(view).astype(int) - plain).max() > 50
    ends = np.array([model.GetPolyData().GetPoint(i) for i in range(model.GetPolyData().GetNumberOfPoints())])
    labels = [landmarks.GetNthControlPointLabel(i) for i in range(landmarks.GetNumberOfControlPoints())]
    moved = np.zeros(3)
    landmarks.GetNthControlPointPosition(labels.index("S1 SP"), moved)
    assert np.linalg.norm(ends - moved, axis=1).min() < 1e-4  # mm; polydata keeps single precision
