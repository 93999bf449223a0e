"""The simulator on boxes, whose every path length, corner and angle is known."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

trimesh = pytest.importorskip("trimesh", reason="training extras are not installed: pip install '.[training]'")
from SpineLandmarksLib.core.anatomy import LEVELS  # noqa: E402
from training import labels  # noqa: E402
from training.perspective import through  # noqa: E402
from training.simulate import __main__ as shell  # noqa: E402
from training.simulate import finish, hardware, marks, meshes, patient  # noqa: E402
from training.simulate.bodies import Frame, Shape  # noqa: E402
from training.simulate.exposure import METAL  # noqa: E402
from training.simulate.film import largest_slip, simulate, simulate_many  # noqa: E402
from training.simulate.meshes import load  # noqa: E402
from training.simulate.pathology import Pathology  # noqa: E402
from training.simulate.projection import Beam, Surface, path_lengths  # noqa: E402

from .conftest import ROOT, SAMPLE_FILM  # noqa: E402


def box(size, centre):
    mesh = trimesh.creation.box(size).subdivide().subdivide().subdivide()
    mesh.apply_translation(centre)
    return mesh


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A straight column of boxes, 40 wide, 30 deep, 25 high, discs of 8 mm, on two round hips."""
    folder = tmp_path_factory.mktemp("meshes")
    for i, level in enumerate(LEVELS[:-1]):
        box((40, 30, 25), (0, -60, 900 + 33 * (16 - i))).export(folder / f"{level}.stl")
    box((40, 30, 8), (0, -60, 883.5)).export(folder / "disc_below_L5.stl")
    box((60, 30, 90), (0, -60, 834.5)).export(folder / "Sacrum.stl")
    for name, side in (("Left", 1), ("Right", -1)):
        ball = trimesh.creation.icosphere(4, 23)
        ball.apply_translation((80 * side, -90, 800))
        ball.export(folder / f"{name}_femur.stl")
    for side in "LR":
        box((3, 60, 6), (30 if side == "L" else -30, -30, 1065)).export(folder / f"rib_{side}12.stl")
    return folder


@pytest.fixture(scope="module")
def anatomy(folder):
    return load(folder)


def beam(pixel=0.5):
    return Beam(np.array([1200.0, 0, 0]), -200.0, pixel, (400, 400), (-100.0, 100.0))


def surface(mesh, layer=0, wall=1.0):
    return Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces), layer, wall)


def test_path_through_a_box_is_its_width():
    ((thickness, crossings),) = path_lengths([([surface(box((40, 30, 25), (0, 0, 0)))], beam())])
    assert float(thickness[0, 200, 200]) == pytest.approx(40, rel=1e-3)
    assert float(crossings[0, 200, 200]) == pytest.approx(2, rel=1e-3)
    assert float(thickness[0, 0, 0]) == 0
    # Magnified by 1400 / (1200 - 20) at the near face: the shadow is as wide as the far edges cast.
    width = float((thickness[0, 200] > 20).sum()) * 0.5
    assert width == pytest.approx(30 * 1400 / 1200, rel=0.03)


def test_walls_count_as_thick_as_they_are():
    mesh = box((40, 30, 25), (0, 0, 0))
    near = mesh.triangles_center[:, 0] > 19
    ((thickness, crossings),) = path_lengths([([surface(mesh, wall=np.where(near, 2.5, 1.0))], beam())])
    assert float(crossings[0, 200, 200]) == pytest.approx(3.5, rel=1e-3)
    assert float(thickness[0, 200, 200]) == pytest.approx(40, rel=1e-3)


def test_no_ray_slips_through_or_counts_twice():
    """Every ray through a finely meshed ball is as long as geometry says, in single precision too."""
    ball = trimesh.creation.icosphere(5, 30)
    ((thickness, _),) = path_lengths([([surface(ball)], beam(0.2))])
    w, h = beam(0.2).size
    y, z = -100 + 0.2 * np.arange(w), 100 - 0.2 * np.arange(h)
    direction = np.stack(np.broadcast_arrays(-1400.0, y[None], z[:, None]), -1)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    source = np.array([1200.0, 0, 0])
    along = -(direction @ source)
    distance2 = (source**2).sum() - along**2
    wanted = 2 * np.sqrt(np.clip(30**2 - distance2, 0, None))
    assert np.abs(thickness[0].numpy() - wanted)[wanted > 20].max() < 0.6  # the mesh's own facets
    assert thickness[0].numpy()[wanted == 0].max() < 8  # grazing its edge


def test_layers_and_surfaces_add_up_where_they_should():
    near, far = box((40, 30, 25), (60, 0, 0)), box((10, 30, 25), (-60, 0, 0))
    ((together, _),) = path_lengths([([surface(near), surface(far)], beam())])
    ((apart, _),) = path_lengths([([surface(near), surface(far, 1)], beam())], layers=2)
    assert float(together[0, 200, 200]) == pytest.approx(50, rel=1e-3)
    assert [float(v) for v in apart[:, 200, 200]] == pytest.approx([40, 10], rel=1e-3)


def test_films_of_a_batch_are_the_films_alone(anatomy):
    """Of different sizes, so that none may reach into another."""
    seeds = (4, 5, 6)
    together = simulate_many(anatomy, seeds, 2.0)
    assert len({film.pixels.shape for film in together}) == 3
    for seed, film in zip(seeds, together):
        alone = simulate(anatomy, seed, 2.0)
        assert film.pixels.shape == alone.pixels.shape and np.abs(film.pixels - alone.pixels).mean() < 0.01
        np.testing.assert_array_equal(film.corners["L3"]["SA"], alone.corners["L3"]["SA"])


def test_projection_magnifies_about_the_central_ray():
    points = beam().project(np.array([[0.0, 0, 0], [0, 10, 0], [0, 0, 10], [600, 10, 0]]))
    np.testing.assert_allclose(points[0], [200, 200])
    np.testing.assert_allclose(points[1], [200 + 10 * 1400 / 1200 / 0.5, 200])
    np.testing.assert_allclose(points[2], [200, 200 - 10 * 1400 / 1200 / 0.5])
    np.testing.assert_allclose(points[3], [200 + 10 * 1400 / 600 / 0.5, 200])


def test_landmarks_of_a_box_are_its_own(anatomy):
    c = anatomy.corners["L5"]
    np.testing.assert_allclose(c["SA"], [0, -75, 912.5])
    np.testing.assert_allclose(c["IP"], [0, -45, 887.5])
    np.testing.assert_allclose(anatomy.corners["S1"]["SA"], [0, -75, 879.5])
    np.testing.assert_allclose(anatomy.corners["S1"]["SP"], [0, -45, 879.5])
    rim = anatomy.rims["L5"]["superior"]
    np.testing.assert_allclose(rim[:, 2], 912.5)
    assert rim[6][0] > 15 and rim[18][0] < -15  # left, then right
    for (centre, radius), side in zip(anatomy.heads, (1, -1)):
        np.testing.assert_allclose(centre, [80 * side, -90, 800], atol=0.2)
        assert radius == pytest.approx(23, abs=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_patient_has_the_drawn_angles(anatomy, seed):
    built = patient.build(anatomy, np.random.default_rng(seed), sick=False, hardware=False)
    for level, lordosis in patient.segments_of(built.corners).items():
        assert lordosis == pytest.approx(built.figures.segments[level], abs=1.0), level
    axis = np.mean([centre for centre, _ in built.heads], axis=0)
    assert patient.incidence(built.corners["S1"], axis) == pytest.approx(built.figures.incidence, abs=1.5)
    for level, degrees in built.figures.wedging.items():
        c = built.corners[level]
        inferior = np.degrees(np.arctan2(*(c["IP"] - c["IA"])[[2, 1]]))
        assert patient.tilt(c) - inferior == pytest.approx(degrees, abs=1.0), level


def test_populations_are_the_published_ones(anatomy):
    built = [patient.build(anatomy, np.random.default_rng(seed), sick=False) for seed in range(150)]
    lordosis = [sum(patient.segments_of(b.corners)[f"L{n}"] for n in range(1, 6)) for b in built]
    incidence = [b.figures.incidence for b in built]
    assert np.mean(incidence) == pytest.approx(53, abs=3) and np.std(incidence) == pytest.approx(10.5, abs=2)
    assert 45 < np.mean(lordosis) < 57 and 9 < np.std(lordosis) < 15
    assert np.corrcoef(incidence, lordosis)[0, 1] > 0.3


def test_shapes_of_a_body():
    corners = {"SA": [0, -75.0, 912.5], "SP": [0, -45.0, 912.5], "IA": [0, -75.0, 887.5], "IP": [0, -45.0, 887.5]}
    corners = {k: np.array(v) for k, v in corners.items()}
    points = np.array(list(corners.values()))
    frame = Frame.of(corners)
    assert (frame.half, frame.height) == pytest.approx((15, 25))
    height = lambda p: (p[0][2] - p[2][2], p[1][2] - p[3][2])  # front, back
    front, back = height(Shape(frame, wedge=10).apply(points))
    assert np.degrees(np.arctan((back - front) / 30)) == pytest.approx(10, abs=0.3)
    front, back = height(Shape(frame, front_loss=0.4).apply(points))
    assert (front, back) == pytest.approx((15, 25), rel=0.01)
    rim = np.array([0, -75.0, 912.5])
    grown = Shape(frame, osteophytes=((rim, np.array([0, -1.0, 0]), 5.0),))
    assert grown.apply(points)[0][1] == pytest.approx(-80)
    np.testing.assert_allclose(grown.apply(points, landmarks=True), points)  # a reader measures the body without it
    plate = Frame.of({k: corners[k] for k in ("SA", "SP")})
    middle = np.array([[0, -60.0, 912.5]])
    assert Shape(plate, dome=6).apply(middle)[0][2] == pytest.approx(918.5)


def test_slips_move_forwards_and_odd_ribs_make_names_uncertain(anatomy, monkeypatch):
    draw = lambda ills: monkeypatch.setattr(patient.pathology, "draw", lambda rng, age: ills)
    draw(Pathology(slips={"L5": 0.5}))
    slipped = patient.build(anatomy, np.random.default_rng(3)).corners
    plate = slipped["S1"]["SA"] - slipped["S1"]["SP"]
    forwards = (slipped["L5"]["IP"] - slipped["S1"]["SP"]) @ plate / (plate @ plate)
    assert forwards == pytest.approx(0.5, abs=0.12) and largest_slip(anatomy, 3) == 0.5
    names = {}
    for ribs in (-1, 0, 1):
        draw(Pathology(ribs=ribs))
        names[ribs] = {b.name for b in patient.build(anatomy, np.random.default_rng(3)).bones if b.name.startswith("rib")}
        assert simulate(anatomy, 3, 3.0).levels_certain == (ribs == 0)
    assert names[-1] == set() and names[0] == {"rib_L12", "rib_R12"} and names[1] == names[0] | {"rib_L12_at_L1", "rib_R12_at_L1"}


def test_the_cortex_is_thin_in_front_and_thick_behind():
    vertebra = trimesh.creation.icosphere(3, 30)
    cortex = meshes.arch_cortex(vertebra, {"SP": np.array([0, -2.0, 20]), "IP": np.array([0, 4.0, -20])})
    y, z = vertebra.triangles_center[:, 1:].T
    behind = y - (1 - 0.15 * z)  # of the posterior wall, in mm
    assert (cortex[behind > 1.5] > 1).all() and (cortex[behind < 0] == 1).all() and (behind > 1.5).any()


def test_metal_joins_what_is_fused(anatomy, monkeypatch):
    monkeypatch.setattr(patient.pathology, "draw", lambda rng, age: Pathology(fused=("L4",), cages=("L4",), hips=(0,)))
    built = patient.build(anatomy, np.random.default_rng(3))
    metal = hardware.surfaces(built, np.random.default_rng(0), METAL)
    places = np.array([s.vertices.mean(0) for s in metal])
    for level in ("L4", "L5"):
        centre = np.mean(list(built.corners[level].values()), axis=0)
        assert np.abs(places - centre).min(0)[2] < 15, level
    assert np.linalg.norm(places - built.heads[0][0], axis=1).min() < 1
    assert not hardware.surfaces(patient.build(anatomy, np.random.default_rng(3), hardware=False), np.random.default_rng(0), METAL)


def test_same_seed_same_film_and_mirrored_truth(anatomy):
    plain = ("photography",)  # marks and telephones are not mirrored with the patient
    a, b = (simulate(anatomy, 7, 2.0, lumbar=True, facing_right=False, without=plain) for _ in range(2))
    np.testing.assert_array_equal(a.pixels, b.pixels)
    mirrored = simulate(anatomy, 7, 2.0, lumbar=True, facing_right=True, without=plain)
    np.testing.assert_array_equal(mirrored.pixels, a.pixels[:, ::-1])
    for level in LEVELS:
        w = a.pixels.shape[1]
        np.testing.assert_allclose(mirrored.corners[level]["SA"], [w - 1, 0] + [-1, 1] * a.corners[level]["SA"])
    assert a.corners["L3"]["SA"][0] < a.corners["L3"]["SP"][0]
    assert simulate(anatomy, 8, 2.0).pixels.shape != a.pixels.shape


def test_leaving_one_ingredient_out_leaves_the_patient(anatomy):
    for seed in range(4):
        whole = simulate(anatomy, seed, 3.0)
        for without in ("hardware", "tissue", "processing"):
            other = simulate(anatomy, seed, 3.0, without=(without,))
            np.testing.assert_array_equal(other.corners["L3"]["SA"], whole.corners["L3"]["SA"])


def test_bone_shows_where_the_corners_say(anatomy):
    """Across the front wall of a body it grows darker, whatever lies over it, but where a film is burnt out."""
    seen = compared = 0
    for seed in range(10, 26):
        film = simulate(anatomy, seed, 1.0, lumbar=True, facing_right=False, without=("hardware", "photography"))
        h, w = film.pixels.shape
        for level in ("L2", "L3", "L4"):
            c = film.corners[level]
            middle, forwards = np.mean(list(c.values()), axis=0), c["SA"] - c["SP"]
            inside, outside = ([middle + share * forwards for share in shares] for shares in ((0.3, 0.35, 0.4), (0.6, 0.65, 0.7)))
            if all(1 < p[0] < w - 2 and 1 < p[1] < h - 2 for p in inside + outside):
                bright, dark = (np.mean([film.pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] for x, y in side]) for side in (inside, outside))
                compared += 1
                seen += bright > dark
    assert compared > 15 and seen > 0.8 * compared, (seen, compared)


def test_a_photographed_film_takes_its_truth_along():
    picture = np.zeros((300, 200), np.float32)
    picture[200:205, 60:65] = 1  # centre (62, 202)
    for seed in range(6):
        photo, matrix = finish.photographed(picture, np.random.default_rng(seed))
        x, y = through(matrix, np.array([62.0, 202.0]))
        around = photo[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9]
        weight = np.clip(around - np.median(around) - 0.1, 0, None)
        grid = np.mgrid[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9]
        found = (grid * weight).sum((1, 2)) / weight.sum()
        np.testing.assert_allclose(found, [y, x], atol=0.6)


def test_a_frontal_film_shows_the_patient_from_the_front(anatomy):
    """A body of the box patient is 40 mm wide and 30 deep."""
    bare = ("sickness", "hardware", "tissue", "processing", "photography")
    widths = []
    for frontal in (False, True):
        film = simulate(anatomy, 3, 1.0, lumbar=True, without=bare, frontal=frontal)
        across = [np.ptp(bone.vertices[:, 1]) for bone in film.patient.bones if bone.name == "L3"]
        widths.append(across[0])
    assert film.facing_right is None and not film.corners and not film.heads
    assert widths[1] / widths[0] == pytest.approx(40 / 30, rel=0.25)
    np.testing.assert_array_equal(simulate(anatomy, 3, 1.0, lumbar=True, without=bare, frontal=True).pixels, film.pixels)


def test_a_folder_of_films_from_the_shell(folder, tmp_path):
    command = [sys.executable, "-m", "training.simulate", "--count", "3", "--seed", "5", "--pixel", "3", "--device", "cpu", "-o", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "SpineLandmarks")}
    done = subprocess.run([*command, "--meshes", str(folder)], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = labels.read(tmp_path / "out")
    assert [film.name for film in found] == ["S000005", "S000006", "S000007"] and {film.kind for film in found} == {"simulated"}
    with (tmp_path / "out" / "femoral_heads.csv").open() as stream:
        heads = list(csv.DictReader(stream))
    assert len(heads) == 6 and all(3 < float(row["radius"]) < 20 for row in heads)
    frontal = [*command[:-1], str(tmp_path / "ap"), "--frontal", "--meshes", str(folder)]
    done = subprocess.run(frontal, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert {film.facing_right for film in labels.read(tmp_path / "ap")} == {None}
    slipped = [*command[:-1], str(tmp_path / "slips"), "--count", "2", "--least-slip", "0.3", "--meshes", str(folder)]
    done = subprocess.run(slipped, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    seeds = [int(film.name[1:]) for film in labels.read(tmp_path / "slips")]
    wanted = [seed for seed in range(5, seeds[-1] + 1) if largest_slip(load(folder), seed) >= 0.3]
    assert len(seeds) == 2 and seeds == wanted
    done = subprocess.run([*slipped, "--without", "sickness"], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "--least-slip" in done.stderr
    done = subprocess.run([*command, "--meshes", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "T1.stl" in done.stderr and "Traceback" not in done.stderr
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    done = subprocess.run([*command, "--meshes", str(folder)], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "has films already" in done.stderr
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("nonsense", [
    ["--count", "0"], ["--seed", "-1"], ["--pixel", "0"], ["--pixel", "nan"], ["--least-slip", "3"], ["--batch", "0"], ["--pixel", "wide"],
])
def test_numbers_that_cannot_be_are_refused_at_once(nonsense, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["simulate", "--count", "2", "--meshes", "nowhere", "-o", "nowhere", *nonsense])
    with pytest.raises(SystemExit) as stopped:
        shell.main()
    assert stopped.value.code == 2 and f"argument {nonsense[0]}" in capsys.readouterr().err


def test_a_stopped_simulation_leaves_whole_films(anatomy, folder, tmp_path, monkeypatch, capsys):
    made = []

    def stopping(*arguments):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(arguments)
        return simulate_many(*arguments)

    monkeypatch.setattr(shell, "simulate_many", stopping)
    monkeypatch.setattr(sys, "argv", ["simulate", "--count", "5", "--pixel", "3", "--device", "cpu", "--meshes", str(folder), "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stopped:
        shell.main()
    assert stopped.value.code == 130 and "stopped" in capsys.readouterr().err
    assert [film.load().ndim for film in labels.read(tmp_path / "out")] == [2, 2]


def test_only_simulated_lateral_films_are_marked_anew(folder, tmp_path, monkeypatch, capsys):
    command = ["simulate", "--count", "1", "--pixel", "3", "--frontal", "--device", "cpu", "--meshes", str(folder), "-o", str(tmp_path / "ap")]
    monkeypatch.setattr(sys, "argv", command)
    shell.main()
    monkeypatch.setattr(sys, "argv", ["marks", "-f", str(SAMPLE_FILM.parent), str(tmp_path / "ap"), "-o", str(tmp_path / "marked")])
    with pytest.raises(SystemExit) as stopped:
        marks.main()
    assert stopped.value.code == 2 and "ap holds other films than simulated lateral ones" in capsys.readouterr().err
    assert not (tmp_path / "marked").exists()
