"""The main job on the bundled film, with the shipped weights. The film is simulated: what holds
here says that the parts fit together, not how good the networks are on real films."""

import csv
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from SpineLandmarksLib import films
from SpineLandmarksLib.core.detection import CornerStatus
from SpineLandmarksLib.core.naming import Chain
from SpineLandmarksLib.core.radiograph import Radiograph
from SpineLandmarksLib.films.find import find_films
from SpineLandmarksLib.model import detector as detector_module
from SpineLandmarksLib.model.detector import Detector, NoSpineFound
from SpineLandmarksLib.model.locate import Located
from SpineLandmarksLib.model.sampling import Pyramid
from SpineLandmarksLib.report import markups
from SpineLandmarksLib.shell.main import main

from .conftest import SAMPLE_FILM


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def truth():
    rows = table(SAMPLE_FILM.parent / "corners.csv")
    return {(r["level"], r["corner"]): np.array([float(r["x"]), float(r["y"])]) for r in rows if r["on_film"] == "yes"}


def landmarks(folder):
    """(film, level, corner) -> pixel of the picture in its file."""
    return {(r["film"], r["level"], r["corner"]): np.array([float(r["x_px"]), float(r["y_px"])]) for r in table(folder / "landmarks.csv")}


def errors_over_width(detection, shift=lambda p: p):
    true = truth()
    width = np.linalg.norm(true["L3", "SA"] - true["L3", "SP"])
    return {(level, name): np.linalg.norm(shift(corner.position) - true[level, name]) / width for level, name, corner in detection if (level, name) in true}


def test_bundled_film_is_named_right_and_corners_are_near_the_truth(detector, sample_film):
    detection = detector.detect(films.read(sample_film))
    assert detection.facing == "left"
    assert {"L1", "L2", "L3", "L4", "L5", "S1"} <= set(detection.levels)
    errors = errors_over_width(detection)
    assert np.median(list(errors.values())) < 0.08


def test_mirrored_film_gives_the_mirrored_corners(detector, sample_film):
    film = films.read(sample_film)
    mirrored = detector.detect(Radiograph(np.ascontiguousarray(film.pixels[:, ::-1])))
    assert mirrored.facing == "right"
    w = film.size[0]
    errors = errors_over_width(mirrored, lambda p: np.array([w - 1 - p[0], p[1]]))
    assert np.median(list(errors.values())) < 0.08


def test_corners_where_the_film_is_burnt_out_are_uncertain(detector, sample_film):
    film, true = films.read(sample_film), truth()
    x, y = true["L4", "IP"]
    reach = int(0.4 * np.linalg.norm(true["L4", "IA"] - true["L4", "IP"]))
    pixels = film.pixels.copy()
    pixels[int(y) - reach : int(y) + reach, int(x) - reach : int(x) + reach] = pixels.max()
    found = detector.detect(Radiograph(pixels))
    assert found.corners["L4"]["IP"].status is CornerStatus.UNCERTAIN
    assert found.corners["L2"]["SA"].status is CornerStatus.OK


def test_a_vertebra_that_stands_elsewhere_is_read_again(detector, sample_film, monkeypatch):
    """A rough pose that is far off is found by two reads of step 1b, and one that is right by one."""
    from SpineLandmarksLib.core import column, frames
    from SpineLandmarksLib.model.crops import Site, read_corners

    batches = []

    def counted(network, shape, sites):
        batches.append([site.level for site in sites])
        return read_corners(network, shape, sites)

    monkeypatch.setattr(detector_module, "read_corners", counted)
    true, film = truth(), Pyramid(films.read(sample_film).pixels)
    corners = {level: {name: true[level, name] for name in ("SA", "SP", "IA", "IP")} for level in ("L2", "L4")}
    poses = {level: column.pose_from_corners(c, level) for level, c in corners.items()}
    turned = frames.rotation_about(np.zeros(2), 25)[:2, :2] @ poses["L4"].posterior
    poses["L4"] = column.Pose(poses["L4"].centre, turned, poses["L4"].width)
    read = detector.read([Site(film, level, pose, False) for level, pose in poses.items()])
    assert batches == [["L2", "L4"], ["L4"], ["L2", "L4"]]
    for level, found, _ in read:
        errors = [np.linalg.norm(found[name].position - p) / poses[level].width for name, p in corners[level].items()]
        assert np.median(errors) < 0.08


def test_a_film_whose_names_are_not_sure_gets_a_second_look(detector, sample_film, monkeypatch):
    from SpineLandmarksLib.model import locate as module

    network, film = detector.networks.locator, Pyramid(films.read(sample_film).pixels)
    found = {}
    for needed in (0.0, 1.1):
        monkeypatch.setattr(module, "SURE_NAMES", needed)
        first, also = module.locate(network, [film, film])
        assert first.looks == also.looks == (2 if needed > 1 else 1)
        found[needed] = first
        np.testing.assert_allclose(first.chain.centres, also.chain.centres, atol=0.1)
    one, two = found.values()
    assert one.chain.levels[-6:] == two.chain.levels[-6:]
    apart = np.linalg.norm(one.chain.centres[-6:] - two.chain.centres[-6:], axis=1)
    assert 0.1 < apart.max() < 12  # the bodies are a hundred pixels wide


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_film_on_its_head_or_side_is_turned_and_flagged(detector, sample_film, tmp_path, turns):
    film = films.read(sample_film)
    lying = tmp_path / "lying.png"
    Image.fromarray(np.rot90(film.pixels, turns).astype(np.uint8)).save(lying)
    assert main(["detect", str(lying), str(sample_film), "-o", str(tmp_path / "out")]) == 0
    row, upright = table(tmp_path / "out" / "films.csv")
    assert row["status"] == "ok" and "turned by" in row["message"] and upright["message"] == ""
    points = landmarks(tmp_path / "out")
    # Corners are pixels of the picture in the file: turning them with it brings them onto the upright film's.
    back = Radiograph(np.rot90(film.pixels, turns)).turned(4 - turns)
    for (name, level, corner), point in points.items():
        if name != "lying" and level[0] in "LS":
            assert np.linalg.norm(back.in_file(point) - points["lying", level, corner]) < 4
    values = {(r["film"], r["measurement"]): float(r["value"]) for r in table(tmp_path / "out" / "measurements.csv") if r["value"]}
    for name in ("LL_L1_S1", "SS"):
        assert values["lying", name] == pytest.approx(values["simulated_lateral", name], abs=2)


def test_a_negative_is_read_as_its_film_and_flagged(tmp_path, sample_film, float_weights):
    pixels = films.read(sample_film).pixels
    negative = tmp_path / "negative.png"
    Image.fromarray((255 - pixels).astype(np.uint8)).save(negative)
    assert main(["detect", str(negative), str(sample_film), "-o", str(tmp_path / "out"), "--weights", str(float_weights)]) == 0
    row, bright = table(tmp_path / "out" / "films.csv")
    assert row["status"] == "ok" and "negative" in row["message"] and bright["message"] == ""
    points = landmarks(tmp_path / "out")
    there = [key for key in points if key[0] == "negative"]
    assert 2 * len(there) == len(points)
    for _, level, corner in there:
        np.testing.assert_allclose(points["negative", level, corner], points["simulated_lateral", level, corner], atol=0.5)
    # The picture shows the film as it was read.
    pictures = [np.asarray(Image.open(tmp_path / "out" / f"{name}.png").convert("L"), float) for name in ("negative", "simulated_lateral")]
    assert np.corrcoef(*[picture[200:].ravel() for picture in pictures])[0, 1] > 0.9


@pytest.mark.parametrize(("log_odds", "evidence", "inverted", "negative"), [
    (-5.0, 10.0, 30.0, False),  # not even looked at
    (-1.0, 20.0, 15.0, False),
    (2.0, 20.0, 15.0, False),
    (2.0, 15.0, 18.0, True),
    (7.0, 20.0, 18.0, True),
])
def test_a_negative_is_told_by_its_greys_and_by_what_shows_when_they_are_inverted(monkeypatch, log_odds, evidence, inverted, negative):
    def located(evidence, log_odds):
        return Located(Chain(("L1", "L2"), np.zeros((2, 2)), np.ones(2, bool), 1.0, evidence), True, 1.0, log_odds)

    detector = Detector(SimpleNamespace(locator=None))
    film = Pyramid(np.random.default_rng(0).random((64, 64)))
    monkeypatch.setattr(detector_module, "locate", lambda network, films: [located(inverted, -log_odds) for _ in films])
    reading = detector._bone_bright(detector_module._Reading(film, located(evidence, log_odds)))
    assert reading.negative == negative and reading.found.evidence == (inverted if negative else evidence)
    assert (reading.film is film) != negative


def test_blank_noise_is_refused_or_uncertain_but_never_measured_silently(detector):
    noise = Radiograph(np.random.default_rng(0).random((800, 500)).astype(np.float32))
    with pytest.raises(NoSpineFound, match="lateral"):
        detector.detect(noise)


def test_progress_is_told_and_can_stop(detector, sample_film):
    class Stop(Exception):
        pass

    steps = []

    def progress(step, share):
        steps.append(share)
        if share >= 0.5:
            raise Stop

    with pytest.raises(Stop):
        detector.detect(films.read(sample_film), progress)
    assert steps == sorted(steps) and len(steps) >= 3


def test_command_writes_everything(tmp_path, capsys):
    out = tmp_path / "out"
    broken = tmp_path / "broken film.png"
    broken.write_bytes(b"not a picture")
    assert main(["detect", str(SAMPLE_FILM), str(broken), "-o", str(out)]) == 1
    told = capsys.readouterr().out
    assert "simulated_lateral: " in told and "broken film: error" in told
    rows = table(out / "films.csv")
    assert [(r["film"], r["status"]) for r in rows] == [("simulated_lateral", "ok"), ("broken film", "error")]
    assert Image.open(out / "simulated_lateral.png").size[1] == 1400
    points = json.loads((out / "simulated_lateral.mrk.json").read_text())["markups"][0]["controlPoints"]
    assert [p["label"] for p in points] == [f"{r['level']} {r['corner']}" for r in table(out / "landmarks.csv")]
    assert not (out / "broken film.png").exists()


def test_command_succeeds_on_good_films_and_prints_json(tmp_path, capsys):
    assert main(["detect", str(SAMPLE_FILM), "-o", str(tmp_path), "--json", "--device", "cpu"]) == 0
    (film,) = json.loads(capsys.readouterr().out)
    assert film["film"] == "simulated_lateral" and film["landmarks"] and film["measurements"]


@pytest.mark.parametrize("arguments", [[], ["detect"], ["detect", "film.png"], ["nonsense"], ["detect", "x.png", "-o", "out", "--device", "warp9"]])
def test_wrong_usage_leaves_with_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert capsys.readouterr().err


def test_output_that_cannot_be_written_is_said(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["detect", str(SAMPLE_FILM), "-o", str(tmp_path / "file" / "out")]) == 2
    assert "cannot write" in capsys.readouterr().err


def _labels(folder):
    shutil.copy(SAMPLE_FILM.parent / "films.csv", folder)
    return folder / "films.csv"


def _corrected(folder):
    path = folder / "film.mrk.json"
    path.write_text(json.dumps({"markups": [{"display": markups.DISPLAY, "controlPoints": [{"description": "edited, sd 0.0 px"}]}]}))
    return path


def _saved_by_slicer(folder):
    path = folder / "film.mrk.json"
    points = [{"description": "ok, sd 1.2 px"}]
    path.write_text(json.dumps({"markups": [{"display": {**markups.DISPLAY, "lineThickness": 0.2}, "controlPoints": points}]}))
    return path


@pytest.mark.parametrize("theirs", [lambda folder: folder / "film.png", _labels, _corrected, _saved_by_slicer])
def test_no_film_label_or_correction_is_overwritten(tmp_path, capsys, theirs):
    film = shutil.copy(SAMPLE_FILM, tmp_path / "film.png")
    out = tmp_path if theirs(tmp_path) == film else tmp_path / "out"
    out.mkdir(exist_ok=True)
    kept = theirs(out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert main(["detect", str(film), "-o", str(out)]) == 2
    told = capsys.readouterr().err
    assert f"{kept.name} in {out}" in told and "would be overwritten: name another output folder" in told
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


def test_results_replace_results(tmp_path):
    for _ in range(2):
        assert main(["detect", str(SAMPLE_FILM), "-o", str(tmp_path)]) == 0
    assert len(table(tmp_path / "films.csv")) == 1


def test_empty_directory_is_wrong_usage(tmp_path, capsys):
    (tmp_path / "films").mkdir()
    assert main(["detect", str(tmp_path / "films"), "-o", str(tmp_path / "out")]) == 2
    assert "no films" in capsys.readouterr().err


def test_installed_command_answers(tmp_path):
    done = subprocess.run([sys.executable, "-m", "SpineLandmarksLib.shell.main", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("spine-landmarks ")


def test_names_of_films(tmp_path):
    for name in ("a/x.png", "a/x.dcm", "a/y.nii.gz", "b/x.png", "b/IM1", "b/notes.txt", ".hidden.png", "DICOMDIR"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    out = tmp_path / "b"
    assert {n for n, _ in find_films([tmp_path], tmp_path / "out")} == {"a/x.png", "a/x.dcm", "a/y", "b/x", "b/IM1"}
    # An output folder inside the archive holds pictures of an earlier run, not films.
    assert {n for n, _ in find_films([tmp_path], out)} == {"a/x.png", "a/x.dcm", "a/y"}
    assert [n for n, _ in find_films([tmp_path / "a" / "x.png", out / "x.png"], tmp_path / "out")] == ["x.png", "x.png~2"]
