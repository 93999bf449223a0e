import numpy as np
import pytest
import torch

from SpineLandmarksLib.core import frames
from SpineLandmarksLib.model.sampling import Pyramid, network_input, sample


def disc_film(size=(400, 600), centre=(150.0, 320.0), radius=40.0) -> np.ndarray:
    y, x = np.mgrid[: size[1], : size[0]]
    return ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2).astype(np.float32)


def centroid(values: torch.Tensor) -> np.ndarray:
    h, w = values.shape
    y, x = np.mgrid[:h, :w]
    v = values.numpy()
    return np.array([(v * x).sum(), (v * y).sum()]) / v.sum()


@pytest.mark.parametrize("canvas", [(256, 448), (64, 96), (800, 1200)])
def test_points_and_pixels_go_through_the_same_map(canvas):
    film = Pyramid(disc_film())
    matrix = frames.letterbox(film.size, canvas)
    values, inside = sample([film], [matrix], canvas)
    np.testing.assert_allclose(centroid(values[0, 0]), frames.apply(matrix, [150.0, 320.0]), atol=0.1)
    assert values[inside == 0].abs().max() == 0 if (inside == 0).any() else True


@pytest.mark.parametrize("facing_right", [False, True])
def test_rotated_and_mirrored_crop_centres_what_it_is_asked_to(facing_right):
    film = Pyramid(disc_film())
    matrix = frames.crop_frame(np.array([150.0, 320.0]), np.array([1.0, 0.7]), 160.0, 128, facing_right)
    values, inside = sample([film], [matrix], (128, 128))
    np.testing.assert_allclose(centroid(values[0, 0]), [63.5, 63.5], atol=0.15)
    assert inside.min() in (0, 1)


def test_shrinking_does_not_alias_a_fine_grid():
    # A grid finer than the canvas can show must come out grey, not as a moire.
    film = np.zeros((1024, 1024), np.float32)
    film[::2] = 1
    values, _ = sample([Pyramid(film)], [frames.letterbox((1024, 1024), (100, 100))], (100, 100))
    assert values[..., 10:-10, 10:-10].std() < 0.1


def test_network_input_ignores_exposure():
    film = disc_film() * 0.5 + np.random.default_rng(0).normal(0, 0.02, (600, 400)).astype(np.float32)
    views = []
    for picture in (film, 1000 + 3000 * film):
        values, inside = sample([Pyramid(picture)], [frames.letterbox((400, 600), (128, 192))], (128, 192))
        views.append(network_input(values, inside))
    torch.testing.assert_close(views[0], views[1], atol=2e-3, rtol=1e-3)
    assert views[0].shape == (1, 3, 192, 128) and torch.isfinite(views[0]).all()


def test_network_input_of_a_film_does_not_depend_on_the_others_of_its_batch():
    rng = np.random.default_rng(0)
    values = torch.as_tensor(rng.random((3, 1, 64, 64)), dtype=torch.float32)
    inside = torch.ones_like(values)
    inside[2, :, :20] = 0  # this one lies partly off its film
    together = network_input(values * inside, inside)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], network_input((values * inside)[i : i + 1], inside[i : i + 1]))
    torch.testing.assert_close(together[:2], network_input(values[:2], inside[:2]))


def test_the_inverted_film_is_the_network_input_with_the_other_sign():
    film = Pyramid(disc_film() + np.random.default_rng(0).normal(0, 0.05, (600, 400)).astype(np.float32))
    views = []
    for some in (film, film.inverted()):
        values, inside = sample([some], [frames.letterbox((400, 600), (128, 160))], (128, 160))
        views.append(network_input(values, inside))
    torch.testing.assert_close(views[0], -views[1], atol=2e-3, rtol=1e-3)
    assert film.inverted().field == film.field


def test_flat_share_tells_burnt_out_places_from_others():
    pixels = np.random.default_rng(0).normal(100, 12, (400, 300))
    pixels[200:, 150:] = 255  # burnt out
    film = Pyramid(pixels)
    burnt_out, sound, between, nowhere = film.flat_shares(np.array([(230.0, 300.0), (60, 80), (150, 300), (-90, 80)]), 40)
    assert burnt_out == 1 and sound < 0.2 < between < 0.8 and nowhere == 0
    assert film.inverted().flat_shares(np.array([(230.0, 300.0)]), 40) == 1
    at_the_edge, = film.flat_shares(np.array([(299.0, 399.0)]), 40)
    assert at_the_edge == 1  # what lies off the film counts as nothing
    turned = film.turned(1)
    x, y = 230.0, 300.0
    assert turned.flat_shares(np.array([(y, 299 - x)]), 40) == 1


@pytest.mark.parametrize("border", [0.0, 1.0, 0.4])
def test_an_even_border_is_no_part_of_the_field(border):
    rng = np.random.default_rng(0)
    pixels = np.full((900, 1400), border, np.float32)
    pixels[120:800, 200:1300] = np.kron(rng.random((17, 22)), np.ones((40, 50)))
    pixels[20:50, 30:60] = 1 - border  # a letter beside the film
    pixels += rng.normal(0, 0.01, pixels.shape).astype(np.float32)
    left, top, right, bottom = Pyramid(pixels).field
    # On a copy of an eighth of the size.
    assert abs(left - 200) <= 8 and abs(top - 120) <= 8 and abs(right - 1300) <= 8 and abs(bottom - 800) <= 8
    turned = Pyramid(pixels).turned(1)
    assert turned.size == (900, 1400) and abs(turned.field[0] - 120) <= 8 and abs(turned.field[3] - 1200) <= 8


def test_field_of_a_blank_film_is_all_of_it():
    assert Pyramid(np.zeros((500, 301), np.float32)).field == (0, 0, 301, 500)
