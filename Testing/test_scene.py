"""Scene code on Slicer's own MRML libraries (slicer-core); no desktop Slicer is involved."""

import gc

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="Slicer's libraries are not installed: pip install '.[slicer]'")
import vtk  # noqa: E402

from SpineLandmarksLib.core.radiograph import FilmError  # noqa: E402
from SpineLandmarksLib.scene.endplates import create_endplates, update_endplates  # noqa: E402
from SpineLandmarksLib.scene.film import index_to_ras, radiograph_of  # noqa: E402
from SpineLandmarksLib.scene.logic import DetectionLogic  # noqa: E402
from SpineLandmarksLib.scene.markups import create_landmarks, read_landmarks  # noqa: E402

from .conftest import make_detection  # noqa: E402
from .test_measurements import lumbar, on_film  # noqa: E402


@pytest.fixture
def scene():
    from slicer import vtkMRMLScene

    scene = vtkMRMLScene()
    slicer.mrmlScene = scene
    yield scene
    scene.Clear(True)
    gc.collect()


def add_volume(scene, pixels, directions=np.diag([-1.0, -1, 1]), spacing=(0.2, 0.3, 1.0), vector=False, axis=2):
    """A volume node of one slice; ``axis`` is the IJK axis of length one."""
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    h, w = pixels.shape[:2]
    size = [w, h]
    size.insert(axis, 1)
    image.SetDimensions(*size)
    flat = np.ascontiguousarray(pixels.reshape(-1, 3) if vector else pixels.ravel())
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True))
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode" if vector else "vtkMRMLScalarVolumeNode", "film")
    node.SetAndObserveImageData(image)
    m = vtk.vtkMatrix4x4()
    for i in range(3):
        for j in range(3):
            m.SetElement(i, j, directions[i, j] * spacing[j])
    m.SetElement(0, 3, 11.0), m.SetElement(1, 3, -7.0)
    node.SetIJKToRASMatrix(m)
    return node


PIXELS = np.random.default_rng(0).integers(0, 4000, (120, 90)).astype(np.int16)


def test_volume_becomes_a_radiograph_with_its_geometry(scene):
    film = radiograph_of(add_volume(scene, PIXELS))
    np.testing.assert_array_equal(film.pixels, PIXELS)
    assert film.spacing == pytest.approx((0.2, 0.3))
    np.testing.assert_allclose(index_to_ras(film) @ [10, 20, 0, 1], [11 - 2, -7 - 6, 0, 1])


def test_rgb_volume_and_coronal_volume(scene):
    rgb = np.stack([PIXELS % 256] * 3, -1).astype(np.uint8)
    np.testing.assert_allclose(radiograph_of(add_volume(scene, rgb, vector=True)).pixels, PIXELS % 256, atol=0.01)
    film = radiograph_of(add_volume(scene, PIXELS, spacing=(0.2, 1.0, 0.3), axis=1))
    np.testing.assert_array_equal(film.pixels, PIXELS)
    assert film.spacing == pytest.approx((0.2, 0.3))


def test_a_real_volume_is_refused(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "ct")
    with pytest.raises(FilmError, match="no picture"):
        radiograph_of(node)
    image = vtk.vtkImageData()
    image.SetDimensions(70, 80, 90)
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    node.SetAndObserveImageData(image)
    with pytest.raises(FilmError, match="70 x 80 x 90"):
        radiograph_of(node)


@pytest.fixture
def landmarks(scene):
    film = radiograph_of(add_volume(scene, PIXELS))
    return create_landmarks(scene, "corners", make_detection(on_film(lumbar(), "left", film.spacing)), film)


def measured(node):
    return {m.definition.id: m for m in DetectionLogic(slicer.mrmlScene).measure(node)}


def test_landmarks_are_read_back_and_measured(landmarks):
    assert landmarks.GetNumberOfControlPoints() == 22 and landmarks.GetFixedNumberOfControlPoints()
    assert landmarks.GetNthControlPointLabel(0) == "L1 SA"
    values = measured(landmarks)
    assert values["LL_L1_S1"].value == pytest.approx(60, abs=1e-4)
    assert values["SS"].value == pytest.approx(40, abs=1e-4)


def test_moving_a_corner_changes_the_angle_in_one_event_per_move(landmarks):
    events = []
    landmarks.AddObserver(landmarks.PointModifiedEvent, lambda caller, event: events.append(event))
    labels = [landmarks.GetNthControlPointLabel(i) for i in range(22)]
    index = labels.index("S1 SP")
    position = np.zeros(3)
    landmarks.GetNthControlPointPosition(index, position)
    landmarks.SetNthControlPointPosition(index, position[0], position[1] - 5, position[2])
    assert len(events) == 1
    detection, _ = read_landmarks(landmarks)
    assert measured(landmarks)["LL_L1_S1"].value != pytest.approx(60, abs=1)
    assert measured(landmarks)["LL_L1_L5"].value == pytest.approx(45, abs=1e-4)
    assert detection.facing == "left"


def test_unset_corner_is_not_measurable(landmarks):
    landmarks.SetNthControlPointPositionMissing(0)
    assert "L1 SA" in measured(landmarks)["LL_L1_S1"].reason


def test_all_endplates_are_one_model(scene, landmarks):
    model = create_endplates(scene, "endplates")
    assert update_endplates(model, landmarks) == 11
    assert model.GetPolyData().GetNumberOfLines() == 11
    landmarks.SetNthControlPointPositionMissing(0)
    assert update_endplates(model, landmarks) == 10


def test_foreign_list_is_refused(scene):
    with pytest.raises(ValueError, match="not made by SpineLandmarks"):
        read_landmarks(scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "other"))


def test_detects_the_bundled_film_in_a_scene(scene, sample_film, detector):
    from SpineLandmarksLib import films

    pixels = films.read(sample_film).pixels.astype(np.int16)
    logic = DetectionLogic(scene)
    logic._detector = detector  # the session's, already loaded
    steps = []
    node = logic.detect(add_volume(scene, pixels, spacing=(0.4, 0.4, 1.0)), lambda step, share: steps.append(step))
    assert "find vertebrae" in steps
    values = {m.definition.id: m for m in logic.measure(node)}
    assert values["LL_L1_S1"].value is not None
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 1


def test_markups_file_opens_on_the_film(scene, landmarks, tmp_path):
    """Our .mrk.json, written without Slicer, is read by Slicer to the same positions."""
    import json

    from SpineLandmarksLib.report import markups as report

    film = radiograph_of(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    detection, _ = read_landmarks(landmarks)
    path = tmp_path / "film.mrk.json"
    report.write(path, detection, film)
    assert json.loads(path.read_text())["markups"]
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "loaded")
    storage = scene.AddNode(slicer.vtkMRMLMarkupsJsonStorageNode())
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    assert node.GetNumberOfControlPoints() == 22
    for i in (0, 7, 21):
        a, b = np.zeros(3), np.zeros(3)
        landmarks.GetNthControlPointPosition(i, a)
        node.GetNthControlPointPosition(i, b)
        np.testing.assert_allclose(a, b, atol=1e-4)
        assert landmarks.GetNthControlPointLabel(i) == node.GetNthControlPointLabel(i)
