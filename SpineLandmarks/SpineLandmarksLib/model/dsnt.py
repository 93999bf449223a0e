"""Differentiable spatial-to-numerical transform (DSNT).

Nibali, He, Morgan, Prendergast: "Numerical Coordinate Regression with Convolutional Neural
Networks", arXiv 1801.07372 (2018), equations 1-9.

Normalised coordinates: along an axis of n pixels, the centre of pixel j (from 0) lies at
``(2 j - (n - 1)) / n``; the picture's outer edges are at -1 and 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pixel_centres(n: int, like: Tensor) -> Tensor:
    """Normalised coordinates of the n pixel centres of one axis, shape (n,)."""
    return (2 * torch.arange(n, device=like.device, dtype=like.dtype) - (n - 1)) / n


def to_pixels(normalised: Tensor, size: Tensor) -> Tensor:
    """Normalised coordinates -> pixels (first centre = 0); ``size`` is (width, height)."""
    return (normalised * size + size - 1) / 2


def to_normalised(pixels: Tensor, size: Tensor) -> Tensor:
    """Inverse of :func:`to_pixels`."""
    return (2 * pixels - (size - 1)) / size


def spatial_softmax(logits: Tensor) -> Tensor:
    """Softmax over the last two axes: (..., H, W) logits -> heat-maps that sum to one."""
    return logits.flatten(-2).softmax(-1).view_as(logits)


def dsnt(heatmaps: Tensor) -> Tensor:
    """Expected pixel-centre coordinates: (..., H, W) heat-maps -> (..., 2) normalised (x, y)."""
    h, w = heatmaps.shape[-2:]
    x = (heatmaps.sum(-2) * pixel_centres(w, heatmaps)).sum(-1)
    y = (heatmaps.sum(-1) * pixel_centres(h, heatmaps)).sum(-1)
    return torch.stack([x, y], dim=-1)


def covariance(heatmaps: Tensor) -> Tensor:
    """Second central moments of the heat-maps: (..., H, W) -> (..., 2, 2), in heat-map pixels squared."""
    h, w = heatmaps.shape[-2:]
    size = heatmaps.new_tensor([w, h])
    mean = to_pixels(dsnt(heatmaps), size)
    x = torch.arange(w, device=heatmaps.device, dtype=heatmaps.dtype) - mean[..., 0, None]
    y = torch.arange(h, device=heatmaps.device, dtype=heatmaps.dtype) - mean[..., 1, None]
    xx = (heatmaps.sum(-2) * x**2).sum(-1)
    yy = (heatmaps.sum(-1) * y**2).sum(-1)
    xy = (heatmaps * y[..., :, None] * x[..., None, :]).sum((-2, -1))
    return torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)


def gaussian(means: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Normalised Gaussians of ``sigma`` pixels at ``means`` (..., 2; pixels) on a (width, height) grid."""
    w, h = size
    x = torch.arange(w, device=means.device, dtype=means.dtype) - means[..., 0, None]
    y = torch.arange(h, device=means.device, dtype=means.dtype) - means[..., 1, None]
    log_density = -(y[..., :, None] ** 2 + x[..., None, :] ** 2) / (2 * sigma**2)
    return spatial_softmax(log_density)


def js_divergence(p: Tensor, q: Tensor, eps: float = 1e-24) -> Tensor:
    """Jensen-Shannon divergence of heat-maps over their last two axes, in nats (0 to ln 2)."""
    m = 0.5 * (p + q)

    def kl(a: Tensor) -> Tensor:
        return (a * ((a + eps).log() - (m + eps).log())).sum((-2, -1))

    return 0.5 * kl(p) + 0.5 * kl(q)
