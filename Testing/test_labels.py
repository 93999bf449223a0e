"""Labels of every format become the same corners."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="training extras are not installed: pip install '.[training]'")
from SpineLandmarksLib import films
from SpineLandmarksLib.report import markups, picture
from training import labels

from .conftest import SAMPLE_FILM, make_detection


@pytest.fixture
def truth():
    (film,) = labels.read(SAMPLE_FILM.parent)
    film.corners = {level: c for level, c in film.corners.items() if level[0] in "LS"}
    return film


def _same(found, wanted, tolerance=1e-6):
    assert found.keys() == wanted.keys()
    for level in wanted:
        assert found[level].keys() == wanted[level].keys(), level
        for corner in wanted[level]:
            np.testing.assert_allclose(found[level][corner], wanted[level][corner], atol=tolerance)


def _mirrored(truth, width):
    return {level: {k: np.array([width - 1 - p[0], p[1]]) for k, p in c.items()} for level, c in truth.corners.items()}


def _write_buu(folder, truth, corners, name="0042-F-061Y1", sacrum=True):
    Image.fromarray((truth.load() * 255).astype(np.uint8)).save(folder / f"{name}.jpg")
    rng = np.random.default_rng(1)
    with (folder / f"{name}.csv").open("w", newline="") as stream:
        for level in ("L1", "L2", "L3", "L4", "L5", "S1"):
            for side in "SI" if level != "S1" else "S" * sacrum:
                ends = [corners[level][f"{side}A"], corners[level][f"{side}P"]]
                rng.shuffle(ends)  # the format does not say which end is the anterior one
                csv.writer(stream).writerow([*ends[0], *ends[1], "0"])


@pytest.mark.parametrize("side", ["left", "right"])
def test_buu_lspine_names_every_corner(tmp_path, truth, side):
    width = truth.load().shape[1]
    corners = truth.corners if side == "left" else _mirrored(truth, width)
    _write_buu(tmp_path, truth, corners)
    _write_buu(tmp_path, truth, corners, "0042-F-061Y0")  # an AP film: not read
    (film,) = labels.read(tmp_path)
    assert film.facing_right == (side == "right") and film.patient == "0042"
    _same(film.corners, corners)
    assert film.load().shape == truth.load().shape


def test_buu_lspine_of_another_shape_is_refused(tmp_path, truth):
    _write_buu(tmp_path, truth, truth.corners)
    table = tmp_path / "0042-F-061Y1.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:5]))
    with pytest.raises(ValueError, match="5 plates instead of 10"):
        labels.read(tmp_path)
    table.write_text("a,b,c,d\n")
    with pytest.raises(ValueError, match="0042.*x1, y1, x2, y2"):
        labels.read(tmp_path)


def test_a_straight_spine_does_not_tell_its_sides(tmp_path, truth):
    flat = {level: {k: np.array([100 + 40 * (k[1] == "P"), 60 * i + 30 * (k[0] == "I")]) for k in c} for i, (level, c) in enumerate(truth.corners.items())}
    _write_buu(tmp_path, truth, flat)
    with pytest.raises(ValueError, match="which side the patient faces"):
        labels.read(tmp_path)


def _labelme(folder, truth, shapes):
    Image.fromarray((truth.load() * 255).astype(np.uint8)).save(folder / "film.png")
    shapes = [{"label": label, "points": (np.array(points) + 0.5).tolist(), "shape_type": "any"} for label, points in shapes]
    (folder / "film.json").write_text(json.dumps({"version": "5.4", "shapes": shapes, "imagePath": "film.png", "imageData": None}))


def test_labelme_points(tmp_path, truth):
    _labelme(tmp_path, truth, [(f"{level}{'_ -'[i % 3]}{k}", [p]) for level, c in truth.corners.items() for i, (k, p) in enumerate(c.items())])
    (film,) = labels.read(tmp_path)
    assert not film.facing_right
    _same(film.corners, truth.corners)


@pytest.mark.parametrize("side", ["left", "right"])
def test_labelme_polygons_and_a_line(tmp_path, truth, side):
    corners = truth.corners if side == "left" else _mirrored(truth, truth.load().shape[1])
    _labelme(tmp_path, truth, [(level, np.random.default_rng(2).permutation(list(c.values()))) for level, c in corners.items()])
    (film,) = labels.read(tmp_path)
    assert film.facing_right == (side == "right")
    _same(film.corners, corners)


def test_labelme_polygons_of_a_horizontal_sacrum(tmp_path, truth):
    """L5 and S1 turned by 40 degrees more, as in a high-grade slip: the two topmost points of L5 are no plate."""
    pivot, angle = truth.corners["L4"]["IP"], np.radians(-40)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = {level: {k: pivot + turn @ (p - pivot) if level in ("L5", "S1") else p for k, p in c.items()} for level, c in truth.corners.items()}
    top = sorted(corners["L5"], key=lambda k: corners["L5"][k][1])[:2]
    assert set(top) != {"SA", "SP"}  # else this proves nothing
    _labelme(tmp_path, truth, [(level, list(c.values())) for level, c in corners.items()])
    (film,) = labels.read(tmp_path)
    _same(film.corners, corners)


def test_labelme_says_which_label_is_wrong(tmp_path, truth):
    _labelme(tmp_path, truth, [("L6 SA", [[1, 2]])])
    with pytest.raises(ValueError, match="film.json.*'L6 SA' is no vertebra"):
        labels.read(tmp_path)
    _labelme(tmp_path, truth, [("L4", [[1, 2], [3, 4], [5, 6]])])
    with pytest.raises(ValueError, match="'L4' has 3 points"):
        labels.read(tmp_path)
    (tmp_path / "film.png").unlink()
    with pytest.raises(FileNotFoundError, match="film.png"):
        labels.read(tmp_path)


def _corrected(folder, truth, spacing=None):
    """What a reader leaves: the film, and beside it the list of an exported report."""
    path = folder / "film.png"
    Image.fromarray((truth.load() * 255).astype(np.uint8)).save(path, dpi=(200, 200))
    radiograph = films.read(path)
    detection = make_detection(truth.corners)
    detection.corners["L3"]["SA"] = detection.corners["L3"]["SA"].moved_by_reader(truth.corners["L3"]["SA"])
    markups.write(folder / "film.mrk.json", detection, radiograph)
    return radiograph, detection


def test_corrected_markups_come_back_as_corners(tmp_path, truth):
    _corrected(tmp_path, truth)
    (film,) = labels.read(tmp_path)
    _same(film.corners, truth.corners, 1e-3)
    assert film.weights["L3"] == {"SA": 1.0, "SP": 0.6, "IA": 0.6, "IP": 0.6} and not film.facing_right


def test_markups_without_their_film_and_off_it(tmp_path, truth):
    radiograph, detection = _corrected(tmp_path, truth)
    (tmp_path / "film.png").unlink()
    picture.write(tmp_path / "film.png", "film", radiograph, detection, ())
    with pytest.raises(FileNotFoundError, match="annotated pictures are no films"):
        labels.read(tmp_path)
    _corrected(tmp_path, truth)
    path = tmp_path / "film.mrk.json"
    content = json.loads(path.read_text())
    for point in content["markups"][0]["controlPoints"]:
        point["position"][0] += 9000
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="off the film"):
        labels.read(tmp_path)
    path.write_text("{}")
    with pytest.raises(ValueError, match="no list of markup points"):
        labels.read(tmp_path)


def test_dicom_films_are_grouped_by_patient(tmp_path, truth):
    from .films import write_dicom

    for name, patient in (("after", "P7"), ("before", "P7"), ("other", "P8")):
        write_dicom(tmp_path / f"{name}.dcm", (truth.load() * 4000).astype(np.uint16), PatientID=patient)
        markups.write(tmp_path / f"{name}.mrk.json", make_detection(truth.corners), films.read(tmp_path / f"{name}.dcm"))
    found = labels.read(tmp_path)
    assert [film.patient for film in found] == ["P7", "P7", "P8"]
    assert sorted(map(sorted, labels.folds(found, 2))) == [["after", "before"], ["other"]]
    with pytest.raises(ValueError, match="2 patients with lateral films make no 3 folds"):
        labels.folds(found, 3)


def test_two_folders_keep_films_of_the_same_name_apart(tmp_path, truth):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        _labelme(tmp_path / folder, truth, [(level, list(c.values())) for level, c in truth.corners.items()])
    found = labels.read(tmp_path / "a", tmp_path / "b")
    assert [film.name for film in found] == ["a/film", "b/film"] and found[0].patient != found[1].patient


def test_a_folder_without_labels_says_what_is_expected(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match="holds no labelled films: expected"):
            labels.read(folder)


def test_an_annotated_picture_is_no_film(tmp_path, truth):
    picture.write(tmp_path / "x.png", "x", films.read(SAMPLE_FILM), make_detection(truth.corners), ())
    with pytest.raises(films.read.__globals__["FilmError"], match="annotated by SpineLandmarks"):
        films.read(tmp_path / "x.png")


def _tables(folder, change=lambda name, text: text.encode()):
    shutil.copy(SAMPLE_FILM, folder)
    for name in ("films.csv", "corners.csv"):
        (folder / name).write_bytes(change(name, (SAMPLE_FILM.parent / name).read_text()))


@pytest.mark.parametrize("change", [
    lambda text: "\ufeff" + text.replace("\n", "\r\n"),
    lambda text: text.replace(",", ";").replace(".", ",").replace(",png", ".png") + ";;;;\n",
    lambda text: text.replace(",", ", "),
], ids=["excel", "decimal commas", "blanks"])
def test_tables_of_spreadsheets_are_read(tmp_path, truth, change):
    _tables(tmp_path, lambda name, text: change(text).encode())
    (film,) = labels.read(tmp_path)
    film.corners = {level: c for level, c in film.corners.items() if level[0] in "LS"}
    _same(film.corners, truth.corners)


@pytest.mark.parametrize(("table", "old", "new", "told"), [
    ("corners.csv", "film,level", "Film,level", "corners.csv has no column film: its first line must name film, level, corner, x, y"),
    ("corners.csv", "L3,SA,", "L3,SA,nan", "line .*: x is 'nan.*', not a number"),
    ("corners.csv", "L3,SP", "L3,SA", "L3 SA is there twice"),
    ("corners.csv", "high", "sure", "confidence is 'sure', not one of high, medium, low"),
    ("corners.csv", "simulated_lateral,", "other,", "lacks other, of which corners.csv has corners"),
    ("films.csv", "simulated_lateral.png", "gone.png", "line 2: there is no .*gone.png"),
    ("films.csv", ",left,", ",right,", "line 2: anterior is 'right', but most anterior corners lie left"),
    ("films.csv", ",left,", ",neither,", "line 2: anterior is 'neither', but the film has corners"),
    ("films.csv", "file", "f\u00fcle", "films.csv is not UTF-8: save it as CSV UTF-8"),
])
def test_tables_say_what_is_wrong_and_where(tmp_path, table, old, new, told):
    _tables(tmp_path, lambda name, text: (text.replace(old, new) if name == table else text).encode("latin-1"))
    with pytest.raises((ValueError, FileNotFoundError), match=told):
        labels.read(tmp_path)


def test_a_film_that_is_there_twice_is_said(tmp_path):
    _tables(tmp_path, lambda name, text: (text + text.splitlines()[1] + "\n" if name == "films.csv" else text).encode())
    with pytest.raises(ValueError, match="line 3: film simulated_lateral is there twice"):
        labels.read(tmp_path)
