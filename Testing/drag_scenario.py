"""A corner dragged with real mouse events in an offscreen slice view of Slicer's libraries."""

import os

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="Slicer's libraries are not installed: pip install '.[slicer]'")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
from SpineLandmarksLib import films  # noqa: E402
from SpineLandmarksLib.scene import view as scene_view  # noqa: E402
from SpineLandmarksLib.scene.film import create_film, radiograph_of  # noqa: E402
from SpineLandmarksLib.scene.logic import DetectionLogic  # noqa: E402
from SpineLandmarksLib.scene.markups import position_of, read_landmarks  # noqa: E402
from SpineLandmarksLib.scene.study import Study, helpers_of  # noqa: E402

from .conftest import ROOT, SAMPLE_FILM, make_detection  # noqa: E402
from .test_detect import truth  # noqa: E402


@pytest.fixture(scope="module")
def app():
    from trame_slicer.core import SlicerApp

    app = SlicerApp()
    slicer.mrmlScene = app.scene
    yield app
    app.scene.Clear(True)


def offscreen_view(app):
    from trame_slicer.views import SliceView

    view = SliceView(scene=app.scene, app_logic=app.app_logic, name="Red")
    view.render_window().SetMultiSamples(0)
    view.render_window().SetOffScreenRendering(True)
    view.render_window().SetSize(600, 830)
    return view


@pytest.fixture(scope="module")
def view(app):
    view = offscreen_view(app)
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

    def drag(self, start, end, steps: int = 10, button: str = "Left") -> None:
        self.event("MouseMoveEvent", start)
        self.event(f"{button}ButtonPressEvent", start)
        for share in np.linspace(0, 1, steps + 1)[1:]:
            self.event("MouseMoveEvent", start + share * (end - start))
        self.event(f"{button}ButtonReleaseEvent", end)

    def key(self, name: str, at) -> None:
        self.event("MouseMoveEvent", at)
        self.interactor.SetEventInformation(int(round(at[0])), int(round(at[1])), 0, 0, "\0", 0, name)
        for event in ("KeyPressEvent", "CharEvent", "KeyReleaseEvent"):
            self.interactor.InvokeEvent(event)


class Scene:
    """The bundled film with its true corners, as the module shows it, and somebody who follows the mouse."""

    def __init__(self, app, view):
        radiograph = films.read(SAMPLE_FILM)
        self.film = create_film(app.scene, "simulated_lateral", radiograph)
        corners: dict = {}
        for (level, name), position in truth().items():
            corners.setdefault(level, {})[name] = position
        self.logic = DetectionLogic(app.scene)
        self.landmarks = self.logic.add_landmarks(self.film, make_detection(corners), radiograph_of(self.film))
        self.study = Study(self.landmarks)
        self.moves: list[list[int]] = []
        self.tag = self.landmarks.AddObserver(self.landmarks.PointModifiedEvent, self.on_moved)
        self.view = view
        slice_node = view._logic.GetSliceNode()  # trame-slicer has no public way to it
        view.set_background_volume_id(self.film.GetID())
        scene_view.orient(slice_node, self.film, scene_view.film_to_ras(self.film))
        scene_view.set_letters(slice_node, scene_view.film_to_ras(self.film), "left")
        view.fit_view_to_content()
        view.render()
        self.mouse = Mouse(view)

    def on_moved(self, caller, event):
        self.moves.append(self.study.follow())

    def values(self) -> dict:
        return {m.definition.id: m.value for m in self.study.measured}

    def index(self, label: str) -> int:
        return [self.landmarks.GetNthControlPointLabel(i) for i in range(self.landmarks.GetNumberOfControlPoints())].index(label)

    def on_screen(self, label: str) -> np.ndarray:
        return self.mouse.at(position_of(self.landmarks, self.index(label)))


@pytest.fixture
def shown(app, view):
    shown = Scene(app, view)
    yield shown
    shown.landmarks.RemoveObserver(shown.tag)
    shown.logic.remove_helpers(shown.landmarks)
    for node in (shown.landmarks, shown.film):
        app.scene.RemoveNode(node)


def test_dragging_a_corner_moves_its_endplate_and_the_angle(shown):
    view, before = shown.view, shown.values()
    plain = picture_of(view)
    assert plain.std() > 10  # a film is shown, not an empty window
    _keep_picture("corners", plain)

    start = shown.on_screen("S1 SP")
    others = []
    tag = shown.landmarks.AddObserver("ModifiedEvent", lambda caller, event: others.append(event))
    shown.mouse.drag(start, start + np.array([0.0, -25.0]))
    shown.landmarks.RemoveObserver(tag)
    assert len(others) <= 2, "the panel reads everything anew on ModifiedEvent: not on every move, please"
    view.render()
    after = shown.values()

    assert len([m for m in shown.moves if m]) >= 5, "the angle must follow during the drag, not after it"
    assert abs(after["SS"] - before["SS"]) > 5
    assert after["LL_L1_L5"] == pytest.approx(before["LL_L1_L5"])
    assert np.abs(picture_of(view).astype(int) - plain).max() > 50
    _keep_picture("dragged", picture_of(view))
    (model,) = [n for n in helpers_of(shown.landmarks) if n.GetName().endswith("endplates")]
    ends = np.array([model.GetPolyData().GetPoint(i) for i in range(model.GetPolyData().GetNumberOfPoints())])
    moved = position_of(shown.landmarks, shown.index("S1 SP"))
    assert np.linalg.norm(ends - moved, axis=1).min() < 1e-4  # mm
    assert read_landmarks(shown.landmarks).corners["S1"]["SP"].status.value == "edited"


def _manager(view):
    return view.get_displayable_manager_by_class("vtkMRMLMarkupsDisplayableManager")


def test_middle_drag_and_delete_do_no_harm(shown):
    display = shown.landmarks.GetDisplayNode()
    before = [position_of(shown.landmarks, i) for i in range(shown.landmarks.GetNumberOfControlPoints())]
    start = shown.on_screen("L3 SA")
    shown.mouse.key("Delete", start)
    assert shown.landmarks.GetNumberOfDefinedControlPoints() == len(before)
    assert scene_view.forbid_moving_all(_manager(shown.view), display)
    shown.mouse.drag(start, start + np.array([30.0, 20.0]), button="Middle")
    after = [position_of(shown.landmarks, i) for i in range(len(before))]
    np.testing.assert_array_equal(after, before)
    # The guard of the line above: the left button does move this corner.
    start = shown.on_screen("L3 SA")
    shown.mouse.drag(start, start + np.array([30.0, 20.0]))
    assert np.abs(position_of(shown.landmarks, shown.index("L3 SA")) - before[shown.index("L3 SA")]).max() > 1


def test_a_drag_is_one_step_of_undo(app, shown):
    app.scene.SetUndoOn()
    before = shown.values()
    start = shown.on_screen("L1 SA")
    shown.mouse.drag(start, start + np.array([0.0, 20.0]))
    assert shown.values()["LL_L1_S1"] != pytest.approx(before["LL_L1_S1"], abs=2)
    app.scene.Undo()
    shown.study.refresh()
    assert shown.values() == pytest.approx(before)
    app.scene.SetUndoOff()


def _keep_picture(name: str, pixels: np.ndarray) -> None:
    """Screenshots for the README: run the tests with SPINE_LANDMARKS_SCREENSHOTS=1 to renew them."""
    if os.environ.get("SPINE_LANDMARKS_SCREENSHOTS"):
        from PIL import Image

        Image.fromarray(pixels[::-1, :, :3]).save(ROOT / "Resources" / "Screenshots" / f"slice_{name}.png")
