"""Scene code on Slicer's own MRML libraries (slicer-core); no desktop Slicer is involved."""

import gc

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="Slicer's libraries are not installed: pip install '.[slicer]'")
import vtk  # noqa: E402

from SpineLandmarksLib.core.detection import CornerStatus  # noqa: E402
from SpineLandmarksLib.core.radiograph import FilmError, Radiograph, SpacingSource  # noqa: E402
from SpineLandmarksLib.model.weights import identity  # noqa: E402
from SpineLandmarksLib.report import ours  # noqa: E402
from SpineLandmarksLib.scene import edits, view  # noqa: E402
from SpineLandmarksLib.scene.calibration import calibrate  # noqa: E402
from SpineLandmarksLib.scene.film import create_film, index_to_ras, radiograph_of  # noqa: E402
from SpineLandmarksLib.scene.logic import DetectionLogic  # noqa: E402
from SpineLandmarksLib.scene.markups import create_landmarks, position_of, read_landmarks  # noqa: E402
from SpineLandmarksLib.scene.study import Study, film_of, helpers_of, lists_of  # noqa: E402

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
    detection = read_landmarks(landmarks)
    assert measured(landmarks)["LL_L1_S1"].value != pytest.approx(60, abs=1)
    assert measured(landmarks)["LL_L1_L5"].value == pytest.approx(45, abs=1e-4)
    assert detection.facing == "left"


def test_unset_corner_is_not_measurable(landmarks):
    landmarks.SetNthControlPointPositionMissing(0)
    assert "L1 SA" in measured(landmarks)["LL_L1_S1"].reason


def lines_of(node, which):
    (model,) = [n for n in helpers_of(node) if n.GetName().endswith(which)]
    return model.GetPolyData().GetNumberOfLines()


def labels_of(node):
    (labels,) = [n for n in helpers_of(node) if n.GetName().endswith("labels")]
    return {labels.GetNthControlPointLabel(i): position_of(labels, i) for i in range(labels.GetNumberOfControlPoints())}


def test_a_study_draws_endplates_angles_and_names(landmarks):
    study = Study(landmarks)
    assert lines_of(landmarks, "endplates") == 11
    assert lines_of(landmarks, "angles") == 4  # two of the lordosis, two of the sacral slope
    assert set(labels_of(landmarks)) == {"L1", "L2", "L3", "L4", "L5", "S1", "LL 60°", "SS 40°"}
    landmarks.SetNthControlPointPositionMissing(0)
    assert study.follow()
    assert lines_of(landmarks, "endplates") == 10 and not any(text.startswith("LL") for text in labels_of(landmarks))
    assert all(node.GetHideFromEditors() for node in helpers_of(landmarks))


def test_a_study_follows_a_moved_corner(landmarks):
    study = Study(landmarks)
    before = {m.definition.id: m.value for m in study.measured}
    assert study.follow() == []
    index = [i for i in range(22) if landmarks.GetNthControlPointLabel(i) == "S1 SP"][0]
    x, y, z = position_of(landmarks, index)
    landmarks.SetNthControlPointPosition(index, x, y - 5, z)
    changed = {study.measured[i].definition.id for i in study.follow()}
    assert {"SS", "LL_L1_S1"} <= changed and "LL_L1_L5" not in changed
    after = {m.definition.id: m.value for m in study.measured}
    assert after["SS"] != pytest.approx(before["SS"], abs=1)
    assert f"SS {after['SS']:.0f}°" in labels_of(landmarks)
    study.refresh()
    assert {m.definition.id: m.value for m in study.measured} == pytest.approx(after)
    assert read_landmarks(landmarks).corners["S1"]["SP"].status is CornerStatus.EDITED
    assert read_landmarks(landmarks).corners["S1"]["SA"].status is CornerStatus.OK


def names_of(node):
    return [node.GetNthControlPointLabel(i) for i in range(node.GetNumberOfControlPoints())]


def test_reset_hide_and_nudge(landmarks):
    start = [position_of(landmarks, i) for i in range(22)]
    edits.nudge(landmarks, 4, np.array([3.0, -2.0]))
    np.testing.assert_allclose(position_of(landmarks, 4) - start[4], [-3 * 0.2, 2 * 0.3, 0], atol=1e-9)
    edits.nudge(landmarks, 5, np.array([1.0, 0]))
    edits.reset(landmarks, *edits.label_of(landmarks, 4))
    np.testing.assert_allclose(position_of(landmarks, 4), start[4], atol=1e-9)
    edits.hide(landmarks, "L2")
    assert "L2" in measured(landmarks)["SL_L2_L3"].reason
    edits.reset(landmarks, "L2")
    np.testing.assert_allclose([position_of(landmarks, i) for i in range(22)], start, atol=1e-9)
    edits.hide(landmarks, "L1", "SA")
    with pytest.raises(ValueError, match="select a corner"):
        edits.nudge(landmarks, 0, np.zeros(2))
    edits.delete_vertebra(landmarks, "L3")
    edits.reset(landmarks)
    assert names_of(landmarks)[0] == "L1 SA" and landmarks.GetNumberOfDefinedControlPoints() == 22
    np.testing.assert_allclose([position_of(landmarks, i) for i in range(22)], start, atol=1e-9)


def test_levels_shift_and_come_back_with_undo(scene, landmarks):
    scene.SetUndoOn()
    study = Study(landmarks)
    edits.shift_levels(landmarks, -1)
    study.refresh()
    assert names_of(landmarks)[0] == "T12 SA" and names_of(landmarks)[-1] == "L5 SP"
    assert {m.definition.id: m.value for m in study.measured}["LL_L1_S1"] is None
    edits.delete_vertebra(landmarks, "T12")
    assert names_of(landmarks)[0] == "L1 SA"
    scene.Undo()
    assert names_of(landmarks)[0] == "T12 SA"
    scene.Undo()
    assert names_of(landmarks)[-1] == "S1 SP" and measured(landmarks)["LL_L1_S1"].value == pytest.approx(60, abs=1e-4)


def test_a_vertebra_is_added_where_the_reader_clicks(landmarks):
    detection = read_landmarks(landmarks)
    top, second = (np.mean([c.position for c in detection.corners[k].values()], axis=0) for k in ("L1", "L2"))
    state = Study(landmarks).state
    seen = []

    def read(level, pose, facing):
        seen.append((level, pose, facing))
        return {k: detection.corners["L1"][k].moved_by_reader(detection.corners["L1"][k].position + top - second) for k in ("SA", "SP", "IA", "IP")}

    assert edits.add_vertebra(landmarks, state.to_ras(2 * top - second), read) == "T12"
    ((level, pose, facing),) = seen
    assert level == "T12" and facing == "left" and pose.width == pytest.approx(100, rel=0.35)
    assert edits.add_vertebra(landmarks, state.to_ras(3 * top - 2 * second)) == "T11"  # without networks: a box
    assert measured(landmarks)["VW_T11"].status.value == "uncertain"
    with pytest.raises(ValueError, match="there already"):
        edits.add_vertebra(landmarks, state.to_ras(top))


def test_a_list_and_its_helpers_come_back_with_the_scene(scene, landmarks, tmp_path):
    study = Study(landmarks, scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    edits.nudge(landmarks, 3, np.array([4.0, 1.0]))
    study.refresh()
    values = {m.definition.id: m.value for m in study.measured}
    saved = str(tmp_path / "scene.mrml")
    scene.SetURL(saved)
    assert scene.Commit(saved)
    path = tmp_path / "list.mrk.json"
    storage = scene.AddNode(slicer.vtkMRMLMarkupsJsonStorageNode())
    storage.SetFileName(str(path))
    assert storage.WriteData(landmarks)
    scene.Clear(True)
    scene.SetURL(saved)
    scene.Import()
    (again,) = lists_of(scene, scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    storage = scene.AddNode(slicer.vtkMRMLMarkupsJsonStorageNode())
    storage.SetFileName(str(path))
    assert storage.ReadData(again)
    models = scene.GetNumberOfNodesByClass("vtkMRMLModelNode")
    restored = Study(again)
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == models, "helpers are found, not made twice"
    assert film_of(again) is not None
    assert {m.definition.id: m.value for m in restored.measured} == pytest.approx(values, abs=1e-3)


def test_a_ruler_calibrates_the_film_and_its_lists(scene, landmarks):
    film = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    Study(landmarks, film)
    assert lists_of(scene, film) == [landmarks]
    assert measured(landmarks)["DS_L3"].value is None
    ruler = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "ruler")
    with pytest.raises(ValueError, match="draw a line"):
        calibrate(film, ruler, 30.0)
    ruler.AddControlPoint(0.0, 0.0, 0.0)
    ruler.AddControlPoint(-12.0, 0.0, 0.0)  # 60 pixels of 0.2 mm
    assert calibrate(film, ruler, 30.0) == pytest.approx((0.5, 0.75))
    assert radiograph_of(film).spacing_source is SpacingSource.RULER
    # The hand-made body is 20 mm deep at the scene's 0.2 mm.
    assert measured(landmarks)["DS_L3"].value == pytest.approx(50.0) and measured(landmarks)["SS"].value == pytest.approx(40)


def test_true_spacing_comes_from_the_dicom_tags_not_from_the_loaded_volume(scene, tmp_path):
    from .films import write_dicom

    path = tmp_path / "film.dcm"
    write_dicom(path, PIXELS.astype(np.uint16), PixelSpacing=[0.15, 0.15], ImagerPixelSpacing=[0.2, 0.2])
    volume = add_volume(scene, PIXELS, spacing=(0.2, 0.2, 1.0))
    film = radiograph_of(volume, path)
    assert film.spacing == pytest.approx((0.15, 0.15)) and film.spacing_source is SpacingSource.CALIBRATED
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    volume.SetAndObserveStorageNodeID(storage.GetID())
    assert radiograph_of(volume).spacing_source is SpacingSource.CALIBRATED


def test_a_film_node_made_from_a_radiograph_reads_back(scene):
    place = np.array([[0.1, 0, 0, 5.0], [0, 0.1, 0, 6.0], [0, 0, 1, 0], [0, 0, 0, 1]])
    film = Radiograph(PIXELS.astype(np.float32), (0.2, 0.2), SpacingSource.DETECTOR, place)
    again = radiograph_of(create_film(scene, "made", film))
    np.testing.assert_array_equal(again.pixels, film.pixels)
    assert again.spacing == (0.2, 0.2) and again.spacing_source is SpacingSource.DETECTOR
    np.testing.assert_allclose(again.index_to_lps, place)


@pytest.mark.parametrize(("axis", "directions"), [(2, np.diag([-1.0, -1, 1])), (2, np.diag([1.0, 1, 1])), (1, np.diag([1.0, 1, -1]))])
def test_any_film_stands_upright_with_the_right_letters(scene, axis, directions):
    volume = add_volume(scene, PIXELS, directions, (0.2, 0.3, 0.3), axis=axis)
    node = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    to_ras = view.film_to_ras(volume)
    np.testing.assert_allclose(to_ras, index_to_ras(radiograph_of(volume)))
    view.orient(node, volume, to_ras)
    view.set_letters(node, to_ras, "left")
    m = node.GetSliceToRAS()
    right, up = (np.array([m.GetElement(i, j) for i in range(3)]) for j in (0, 1))
    assert right @ to_ras[:3, 0] > 0.19 and up @ to_ras[:3, 1] < -0.29
    # Slicer writes label 2k where the view runs to the negative end of RAS axis k, 2k + 1 at the other.
    letter = lambda v: node.GetAxisLabel(2 * int(np.argmax(abs(v))) + (v[np.argmax(abs(v))] > 0))
    assert (letter(-right), letter(right), letter(up), letter(-up)) == ("A", "P", "S", "I")
    view.set_letters(node, to_ras, None)
    assert (letter(-right), letter(up)) == ("", "S")


def test_foreign_list_is_refused(scene):
    with pytest.raises(ValueError, match="not made by SpineLandmarks"):
        read_landmarks(scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "other"))


@pytest.mark.parametrize("negative", [False, True])
def test_detects_the_bundled_film_in_a_scene(scene, sample_film, detector, negative):
    from SpineLandmarksLib import films

    pixels = films.read(sample_film).pixels.astype(np.int16)
    pixels = pixels.max() - pixels if negative else pixels
    logic = DetectionLogic(scene, "cpu")
    logic._detectors["cpu", identity()] = detector  # the session's, already loaded
    steps = []
    node = logic.detect(add_volume(scene, pixels, spacing=(0.4, 0.4, 1.0)), lambda step, share: steps.append(step))
    assert "find vertebrae" in steps
    values = {m.definition.id: m for m in logic.measure(node)}
    assert values["LL_L1_S1"].value is not None
    assert len(helpers_of(node)) == 3 and film_of(node).GetName() == "film"
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert tree.GetItemName(tree.GetItemParent(tree.GetItemByDataNode(node))) == "film spine landmarks"
    detection = read_landmarks(node)
    assert detection.negative == negative == any("negative" in remark for remark in detection.remarks)
    edits.delete_vertebra(node, "L2")
    centre = np.mean([c.position for c in detection.corners["L2"].values()], axis=0)
    assert edits.add_vertebra(node, Study(node).state.to_ras(centre + 4), logic.reader(node)) == "L2"
    again = read_landmarks(node)
    for name, corner in detection.corners["L2"].items():
        assert np.linalg.norm(again.corners["L2"][name].position - corner.position) < 5  # pixels; the body is about 110 wide


def test_markups_file_opens_on_the_film(scene, landmarks, tmp_path):
    """Our .mrk.json, written without Slicer, is read by Slicer to the same positions."""
    import json

    from SpineLandmarksLib.report import markups as report

    film = radiograph_of(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    detection = read_landmarks(landmarks)
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
    assert ours.is_ours(path.name, path.read_bytes())
    # Saved by Slicer again it may hold a reader's corrections.
    assert storage.WriteData(node) and not ours.is_ours(path.name, path.read_bytes())


def test_weights_that_have_changed_are_loaded_again(scene, copy):
    logic = DetectionLogic(scene, "cpu")
    logic.weights = copy
    first = logic.detector
    assert logic.detector is first
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"version": "{first.version}"', '"version": "trained again"'))
    assert logic.detector is not first and logic.detector.version == "trained again"
