"""DSNT against numbers worked out by hand (arXiv 1801.07372, section 3)."""

import numpy as np
import pytest
import torch

from SpineLandmarksLib.model import dsnt


def test_pixel_centres_of_four_pixels():
    torch.testing.assert_close(dsnt.pixel_centres(4, torch.zeros(1)), torch.tensor([-0.75, -0.25, 0.25, 0.75]))


def test_pixels_and_normalised_coordinates_are_inverse():
    size = torch.tensor([40.0, 30.0])
    points = torch.tensor([[0.0, 0.0], [39.0, 29.0], [12.25, 3.5]])
    torch.testing.assert_close(dsnt.to_pixels(dsnt.to_normalised(points, size), size), points)
    # The outer corner of the first pixel is at -1.
    torch.testing.assert_close(dsnt.to_normalised(torch.tensor([-0.5, -0.5]), size), torch.tensor([-1.0, -1.0]))


def test_single_hot_pixel_is_found_exactly():
    heat = torch.zeros(1, 5, 8)
    heat[0, 3, 6] = 1
    xy = dsnt.to_pixels(dsnt.dsnt(heat), torch.tensor([8.0, 5.0]))
    torch.testing.assert_close(xy, torch.tensor([[6.0, 3.0]]))


def test_two_pixels_give_the_weighted_mean():
    heat = torch.zeros(1, 3, 3)
    heat[0, 0, 0], heat[0, 2, 2] = 0.25, 0.75
    torch.testing.assert_close(dsnt.to_pixels(dsnt.dsnt(heat), torch.tensor([3.0, 3.0])), torch.tensor([[1.5, 1.5]]))
    # E[x^2] = 0.75 * 4 = 3, less 1.5^2: 0.75; the same for xy, because x = y here.
    torch.testing.assert_close(dsnt.covariance(heat), torch.full((1, 2, 2), 0.75))


def test_gradient_matches_the_hand_derivation():
    # For p = softmax(z) and mu = sum(p x): d mu / d z_j = p_j (x_j - mu).
    z = torch.tensor([[[0.3, -1.0, 0.5, 2.0]]], dtype=torch.float64, requires_grad=True)
    p = dsnt.spatial_softmax(z)
    mu = dsnt.dsnt(p)[0, 0]
    mu.backward()
    x = dsnt.pixel_centres(4, z)
    expected = (p * (x - mu)).detach()
    torch.testing.assert_close(z.grad, expected)


def test_gradients_of_the_whole_loss_pass_gradcheck():
    z = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    target = dsnt.gaussian(torch.tensor([[1.0, 2.0], [3.2, 0.4]], dtype=torch.float64), (5, 4), 1.0)

    def loss(z):
        heat = dsnt.spatial_softmax(z)
        return dsnt.dsnt(heat).norm(dim=-1) + dsnt.js_divergence(heat, target)

    assert torch.autograd.gradcheck(loss, (z,))


def test_gaussian_is_normalised_and_centred_to_a_fraction_of_a_pixel():
    heat = dsnt.gaussian(torch.tensor([20.3, 14.8]), (40, 30), 1.5)
    assert heat.sum().item() == pytest.approx(1)
    np.testing.assert_allclose(dsnt.to_pixels(dsnt.dsnt(heat), torch.tensor([40.0, 30.0])), [20.3, 14.8], atol=1e-3)
    np.testing.assert_allclose(dsnt.covariance(heat), np.eye(2) * 2.25, atol=1e-2)


def test_js_divergence_limits():
    a, b = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)
    a[0, 0, 0] = b[0, 1, 1] = 1
    assert dsnt.js_divergence(a, a).item() == pytest.approx(0, abs=1e-6)
    assert dsnt.js_divergence(a, b).item() == pytest.approx(np.log(2), rel=1e-5)
