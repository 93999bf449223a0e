import numpy as np
import pytest

from SpineLandmarksLib.core import frames


def test_scaling_keeps_outer_edges_on_outer_edges():
    # A film of 10 pixels spans -0.5 .. 9.5; at a fifth of the size it spans -0.5 .. 1.5.
    m = frames.scaling(0.2)
    np.testing.assert_allclose(frames.apply(m, [[-0.5, -0.5], [9.5, 9.5]]), [[-0.5, -0.5], [1.5, 1.5]])


@pytest.mark.parametrize("film", [(300, 900), (900, 300), (64, 64), (4000, 1438)])
def test_letterbox_keeps_aspect_ratio_and_centres(film):
    canvas = (256, 448)
    m = frames.letterbox(film, canvas)
    np.testing.assert_allclose(m[0, 0], m[1, 1])
    corners = frames.apply(m, [[-0.5, -0.5], [film[0] - 0.5, film[1] - 0.5]])
    np.testing.assert_allclose(corners.mean(0), (np.array(canvas) - 1) / 2)
    size = corners[1] - corners[0]
    assert np.all(size <= np.array(canvas) + 1e-9) and np.any(np.isclose(size, canvas))


def test_letterbox_refuses_an_empty_film():
    with pytest.raises(ValueError, match="positive"):
        frames.letterbox((0, 100), (256, 448))


@pytest.mark.parametrize("facing_right", [False, True])
def test_crop_shows_anterior_left_and_cranial_up_for_both_facings(facing_right):
    side = -1 if facing_right else 1
    posterior = np.array([1.0 * side, 0.0])
    m = frames.crop_frame(np.array([200, 300]), posterior, span=50, size=100, facing_right=facing_right)
    middle = 49.5
    np.testing.assert_allclose(frames.apply(m, [200, 300]), [middle, middle])
    # 10 film pixels towards the front are 20 crop pixels to the left, towards the head 20 up.
    np.testing.assert_allclose(frames.apply(m, [200 - 10 * side, 300]), [middle - 20, middle])
    np.testing.assert_allclose(frames.apply(m, [200, 290]), [middle, middle - 20])


@pytest.mark.parametrize("facing_right", [False, True])
def test_crop_inverse_brings_points_back(facing_right):
    rng = np.random.default_rng(3)
    m = frames.crop_frame(rng.uniform(0, 500, 2), rng.normal(size=2), 80.0, 160, facing_right)
    points = rng.uniform(0, 160, (20, 2))
    np.testing.assert_allclose(frames.apply(m, frames.apply(np.linalg.inv(m), points)), points)
    assert (np.linalg.det(m[:2, :2]) < 0) == facing_right
    np.testing.assert_allclose(frames.scale_of(m), 2.0)


def test_mirror_twice_is_identity():
    np.testing.assert_allclose(frames.mirror(17) @ frames.mirror(17), np.eye(3))
