"""The simulator on boxes, whose every path length and corner is known."""

import numpy as np
import pytest

trimesh = pytest.importorskip("trimesh", reason="training extras are not installed: pip install '.[training]'")
from SpineLandmarksLib.core.anatomy import LEVELS  # noqa: E402
from training.simulate.film import simulate  # noqa: E402
from training.simulate.meshes import Bone, load  # noqa: E402
from training.simulate.projection import Beam, path_lengths  # noqa: E402


def box(size, centre):
    mesh = trimesh.creation.box(size)
    mesh.apply_translation(centre)
    return mesh


@pytest.fixture(scope="module")
def anatomy(tmp_path_factory):
    """A straight column of boxes, 40 wide, 30 deep, 25 high, discs of 8 mm."""
    folder = tmp_path_factory.mktemp("meshes")
    for i, level in enumerate(LEVELS[:-1]):
        box((40, 30, 25), (0, -60, 900 + 33 * (16 - i))).export(folder / f"{level}.stl")
    box((40, 30, 8), (0, -60, 883.5)).export(folder / "disc_below_L5.stl")
    box((60, 30, 90), (0, -60, 834.5)).export(folder / "Sacrum.stl")
    return load(folder)


def beam(pixel=0.5):
    return Beam(np.array([1200.0, 0, 0]), -200.0, pixel, (400, 400), (-100.0, 100.0))


def test_path_through_a_box_is_its_width():
    mesh = box((40, 30, 25), (0, 0, 0))
    thickness, crossings = path_lengths(Bone("box", "L1", mesh.vertices, mesh.faces), beam())
    assert thickness[200, 200] == pytest.approx(40, rel=1e-3)
    assert crossings[200, 200] == pytest.approx(2, rel=1e-3)
    assert thickness[0, 0] == 0
    # Magnified by 1400 / (1200 - 20) at the near face: the shadow is as wide as the far edges cast.
    width = (thickness[200] > 20).sum() * 0.5
    assert width == pytest.approx(30 * 1400 / 1200, rel=0.03)


def test_projection_magnifies_about_the_central_ray():
    points = beam().project(np.array([[0.0, 0, 0], [0, 10, 0], [0, 0, 10], [600, 10, 0]]))
    np.testing.assert_allclose(points[0], [200, 200])
    np.testing.assert_allclose(points[1], [200 + 10 * 1400 / 1200 / 0.5, 200])
    np.testing.assert_allclose(points[2], [200, 200 - 10 * 1400 / 1200 / 0.5])
    np.testing.assert_allclose(points[3], [200 + 10 * 1400 / 600 / 0.5, 200])


def test_corners_of_a_box_are_its_corners(anatomy):
    c = anatomy.corners["L5"]
    np.testing.assert_allclose(c["SA"], [0, -75, 912.5])
    np.testing.assert_allclose(c["IP"], [0, -45, 887.5])
    np.testing.assert_allclose(anatomy.corners["S1"]["SA"], [0, -75, 879.5])
    np.testing.assert_allclose(anatomy.corners["S1"]["SP"], [0, -45, 879.5])


def test_same_seed_same_film_and_mirrored_truth(anatomy):
    a, b = (simulate(anatomy, 7, 2.0, lumbar=True, facing_right=False) for _ in range(2))
    np.testing.assert_array_equal(a.pixels, b.pixels)
    mirrored = simulate(anatomy, 7, 2.0, lumbar=True, facing_right=True)
    np.testing.assert_array_equal(mirrored.pixels, a.pixels[:, ::-1])
    for level in LEVELS:
        w = a.pixels.shape[1]
        np.testing.assert_allclose(mirrored.corners[level]["SA"], [w - 1, 0] + [-1, 1] * a.corners[level]["SA"])
    assert a.corners["L3"]["SA"][0] < a.corners["L3"]["SP"][0]
    assert simulate(anatomy, 8, 2.0).pixels.shape != a.pixels.shape


def test_bone_shows_where_the_corners_say(anatomy):
    """Across the front wall of a body it grows darker, whatever lies over it."""
    seen = compared = 0
    for seed in range(10, 22):
        film = simulate(anatomy, seed, 1.0, lumbar=True, facing_right=False)
        h, w = film.pixels.shape
        for level in ("L2", "L3", "L4"):
            c = film.corners[level]
            middle, forwards = np.mean(list(c.values()), axis=0), c["SA"] - c["SP"]
            inside, outside = ([middle + share * forwards for share in shares] for shares in ((0.3, 0.35, 0.4), (0.6, 0.65, 0.7)))
            if all(1 < p[0] < w - 2 and 1 < p[1] < h - 2 for p in inside + outside):
                bright, dark = (np.mean([film.pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] for x, y in side]) for side in (inside, outside))
                compared += 1
                seen += bright > dark
    assert compared > 12 and seen > 0.85 * compared, (seen, compared)


def test_missing_mesh_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="T1.stl"):
        load(tmp_path)
