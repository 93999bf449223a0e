import csv
import json

import numpy as np
import pytest

from SpineLandmarksLib.core.detection import CornerStatus
from SpineLandmarksLib.core.measurements import measure
from SpineLandmarksLib.core.radiograph import Radiograph, SpacingSource
from SpineLandmarksLib.report import markups, picture, rows
from SpineLandmarksLib.report.result import FilmResult
from SpineLandmarksLib.report.tables import Tables

from .conftest import make_detection
from .test_measurements import lumbar, on_film


@pytest.fixture
def result():
    spacing = (0.2, 0.25)
    detection = make_detection(on_film(lumbar(), "left", spacing))
    pixels = np.random.default_rng(0).random((1600, 900)).astype(np.float32)
    radiograph = Radiograph(pixels, spacing, SpacingSource.DETECTOR, np.diag([0.5, 0.6, 1.0, 1.0]))
    return FilmResult("a/b", "ok", "", 1.25, "0.1", radiograph, detection, tuple(measure(detection, spacing)))


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_tables_hold_every_film_corner_and_parameter(tmp_path, result):
    with Tables(tmp_path) as tables:
        tables.add(result)
        tables.add(FilmResult("bad,\nname", "error", "the file is empty", 0.01, "0.1"))
    films, landmarks, measurements = (read(tmp_path / f"{n}.csv") for n in ("films", "landmarks", "measurements"))
    assert [f["film"] for f in films] == ["a/b", "bad,\nname"]
    assert films[0] | {"facing": "left", "spacing_mm_x": "0.2", "spacing_source": "detector", "message": ""} == films[0]
    assert films[1]["status"] == "error" and films[1]["facing"] == ""
    assert len(landmarks) == 5 * 4 + 2
    assert list(landmarks[0]) == ["film", "level", "corner", "x_px", "y_px", "sd_px", "status"]
    by_name = {m["measurement"]: m for m in measurements}
    m = by_name["LL_L1_S1"]
    assert m["value"] == "60.0" and float(m["low90"]) < 60 < float(m["high90"])
    assert by_name["TK_T4_T12"]["value"] == "" and by_name["TK_T4_T12"]["status"] == "not measurable"
    assert "T4" in by_name["TK_T4_T12"]["reason"]


def test_rows_are_plain_json(result):
    json.dumps([rows.film_row(result), rows.landmark_rows(result), rows.measurement_rows(result)], allow_nan=False)


def test_markups_are_lps_millimetres_of_slicers_own_geometry(result):
    points = markups.markups(result.detection, result.radiograph)["markups"][0]["controlPoints"]
    assert len(points) == 22
    x, y = result.detection.corners["L1"]["SA"].position
    assert points[0]["label"] == "L1 SA"
    np.testing.assert_allclose(points[0]["position"], [0.5 * x, 0.6 * y, 0], atol=1e-5)


def test_picture_has_true_proportions_and_marks_corners(result):
    image = picture.annotate("a/b", result.radiograph, result.detection, result.measured)
    w, h = image.size
    film_width = w - 480
    assert h == picture.HEIGHT
    assert film_width / h == pytest.approx(900 * 0.2 / (1600 * 0.25), rel=0.01)
    x, y = (result.detection.corners["L3"]["SA"].position + 0.5) * (film_width / 900, h / 1600)
    # A green dot stands where the corner is.
    r, g, b = image.getpixel((round(x), round(y)))
    assert g > r + 60 and g > b + 60


def test_picture_of_a_film_with_doubts_and_parallel_plates():
    corners = {"L1": lumbar()["L3"], "S1": {"SA": np.array([10.0, -150]), "SP": np.array([-10.0, -150])}}
    detection = make_detection(on_film(corners, "right", (1, 1)), "right", CornerStatus.UNCERTAIN)
    radiograph = Radiograph(np.random.default_rng(0).random((1200, 1100)).astype(np.float32))
    image = picture.annotate("x" * 80, radiograph, detection, tuple(measure(detection)))
    assert image.size[1] == picture.HEIGHT


@pytest.mark.parametrize("shape", [(700, 401), (1500, 900), (3023, 1427), (6001, 2999)])
def test_films_of_any_size_are_shown_in_place(shape):
    h, w = shape
    x, y, side = int(0.8 * w), int(0.9 * h), h // 50
    pixels = np.zeros(shape, np.float32)
    pixels[y : y + side, x : x + side] = 1000
    pixels[:, :5] = 1000  # else so few bright pixels would not count
    shown = np.asarray(picture.thumbnail(Radiograph(pixels), 1400), float)
    shown[:, : shown.shape[1] // 2] = 0
    scale = 1400 / h
    spot = np.array([(shown.sum(axis) * np.arange(shown.shape[1 - axis])).sum() / shown.sum() for axis in (0, 1)])
    np.testing.assert_allclose(spot + 0.5, (np.array([x, y]) + side / 2) * scale, atol=0.6)
    assert shown.max() > 250
