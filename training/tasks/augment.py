"""Random changes of geometry and exposure that films really show.

Every random number comes from the numpy generator handed in, or from torch's seeded by it, so that a
step is reproducible from its seed alone (on one kind of device). Pictures are (B, 1, H, W) tensors with 0 black and 1 white; ``inside`` masks the
film's area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: Greys above this are cut: what shines beyond white shows nothing.
_BRIGHTEST = 1.1


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How strangely and how badly films are shown: settings of every network's configuration."""

    other_detector: float = 0.0  # share of the pictures that are shown as another detector might
    noise: float = 0.07  # greatest standard deviation of the grain, of greys from 0 to 1
    lamps: float = 0.0  # share of the pictures that lamps are reflected in


def random_linear(rng: np.random.Generator, rotation: float, scale: float, shear: float, aspect: float) -> np.ndarray:
    """Random 2x2 map: degrees (uniform), log-scale, shear and log-aspect (normal) of these spreads."""
    angle = np.radians(rng.uniform(-rotation, rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.exp(rng.normal(0, aspect) / 2)
    skew = np.array([[1, rng.normal(0, shear)], [0, 1]])
    return np.exp(rng.normal(0, scale)) * turn @ np.diag([stretch, 1 / stretch]) @ skew


def random_bend(rng: np.random.Generator, height: int, amplitude: float) -> Tensor:
    """Smooth sideways shift of each canvas row in pixels, (height,): bends the column."""
    y = np.linspace(0, 1, height)
    shift = sum(rng.normal(0, amplitude / k) * np.sin(np.pi * k * y + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3))
    return torch.as_tensor(shift, dtype=torch.float32)


def unbend(points: np.ndarray, shift: Tensor) -> np.ndarray:
    """Where points (n, 2) of the straight canvas lie on the bent one (see ``sampling.sample``)."""
    rows = np.arange(len(shift))
    moved = np.array(points, float)
    moved[..., 0] -= np.interp(moved[..., 1], rows, shift.numpy())
    return moved


def _column(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.as_tensor(values, dtype=like.dtype, device=like.device)[:, None, None, None]


def blur(pictures: Tensor, sigmas: np.ndarray) -> Tensor:
    """Gaussian blur of each picture of a batch with its own sigma in pixels (0: unchanged)."""
    radius = int(np.ceil(2.5 * max(float(np.max(sigmas)), 0.3)))
    x = torch.arange(-radius, radius + 1, dtype=pictures.dtype, device=pictures.device)
    kernel = torch.exp(-(x**2) / (2 * _column(np.maximum(sigmas, 1e-2), pictures)[..., 0] ** 2))
    kernel = (kernel / kernel.sum(-1, keepdim=True))[:, :, None]
    batch = pictures.transpose(0, 1)
    padded = F.pad(batch, (radius,) * 4, mode="replicate")
    n = pictures.shape[0]
    rows = F.conv2d(padded, kernel, groups=n)
    return F.conv2d(rows, kernel.transpose(-1, -2), groups=n).transpose(0, 1)


def other_detector(pictures: Tensor, rng: np.random.Generator, share: float) -> Tensor:
    """Some of the pictures as other detectors and their processing might show them: through a small random filter (Xu et
    al., "Robust and Generalizable Visual Representation Learning via Random Convolutions", ICLR 2021), with other contrast
    of coarse and fine detail, and greys through a random rising curve, each at times. ``share``: of the pictures."""
    if share == 0:
        return pictures  # nothing drawn, so that runs without it keep their random numbers
    pictures = pictures.clamp(0, _BRIGHTEST)
    for i in range(len(pictures)):
        if rng.random() < share:
            pictures[i : i + 1] = _through_other_detector(pictures[i : i + 1], rng)
    return pictures


def _through_other_detector(picture: Tensor, rng: np.random.Generator) -> Tensor:
    if rng.random() < 0.3:
        picture = _filtered(picture, int(rng.choice([3, 5, 7])), rng).lerp(picture, rng.uniform(0.3, 1)).clamp(0, _BRIGHTEST)
    if rng.random() < 0.4:
        # The coarse part from a quarter of the size: as good, and much faster.
        small = blur(F.interpolate(picture, scale_factor=0.25, mode="area"), rng.uniform(2, 10, 1))
        coarse = F.interpolate(small, size=picture.shape[-2:], mode="bilinear")
        weak, strong = rng.uniform(0.2, 1.1), rng.uniform(0.8, 2.0)
        picture = (coarse.mean().lerp(coarse, weak) + strong * (picture - coarse)).clamp(0, _BRIGHTEST)
    return _through_curve(picture, rng.exponential(1, 11)) if rng.random() < 0.4 else picture


def _filtered(picture: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    """Through a random kernel, with the mean and contrast it had; bones stay bright."""
    kernel = torch.as_tensor(rng.normal(size=(1, 1, side, side)) / side, dtype=picture.dtype, device=picture.device)
    kernel[0, 0, side // 2, side // 2] += 0.5
    seen = F.conv2d(F.pad(picture, (side // 2,) * 4, mode="replicate"), kernel)
    seen, own = seen - seen.mean(), picture - picture.mean()
    sign = 1 if (seen * own).mean() >= 0 else -1
    return sign * seen / (seen.std() + 1e-4) * picture.std() + picture.mean()


def _through_curve(picture: Tensor, rises: np.ndarray) -> Tensor:
    """Greys from 0 to ``_BRIGHTEST`` through a polyline from 0 to 1 with these rises."""
    heights = torch.as_tensor(np.append(0, np.cumsum(rises) / np.sum(rises)), dtype=picture.dtype, device=picture.device)
    place = picture / _BRIGHTEST * len(rises)
    below = place.floor().clamp(0, len(rises) - 1).long()
    return heights[below].lerp(heights[below + 1], place - below)


def _lamps(shown: Tensor, rng: np.random.Generator) -> Tensor:
    """A picture (h, w) with lamps or windows in the film's gloss, and darker edges."""
    h, w = shown.shape
    y = torch.linspace(0, 1, h, device=shown.device)[:, None]
    x = torch.linspace(0, 1, w, device=shown.device)[None]
    for _ in range(rng.integers(1, 4)):
        size, there_y, there_x = rng.uniform(0.04, 0.25), rng.uniform(0, 1), rng.uniform(0, 1)
        far = (y - there_y) ** 2 + ((x - there_x) * w / h) ** 2
        shown = shown + rng.uniform(0.1, 0.7) * torch.exp(-far / (2 * size**2))
    return shown * (1 - rng.uniform(0, 1.2) * ((y - 0.5) ** 2 + (x - 0.5) ** 2))


def photometric(pictures: Tensor, inside: Tensor, rng: np.random.Generator, exposure: Exposure) -> Tensor:
    """Detector, exposure, blur, unsharp masking, noise, vignettes, marks, folds and collimation, at random."""
    n, _, h, w = pictures.shape

    def sometimes(p: float, values: np.ndarray, otherwise: float) -> np.ndarray:
        return np.where(rng.random(n) < p, values, otherwise)

    v = other_detector(pictures, rng, exposure.other_detector).clamp(0, _BRIGHTEST)
    v = v.clamp_min(1e-4) ** _column(np.exp(sometimes(0.8, rng.normal(0, 0.35, n), 0)), v)
    # Uneven exposure: white pelvis, black thorax, haze.
    amount = _column(sometimes(0.6, rng.uniform(0.1, 0.6, n), 0), v)
    field = torch.as_tensor(rng.normal(size=(n, 1, 4, 4)), dtype=v.dtype, device=v.device)
    v = v * torch.exp(amount * F.interpolate(field, size=(h, w), mode="bicubic", align_corners=True))
    haze = _column(sometimes(0.25, rng.uniform(0, 0.5, n), 0), v)
    v = v * (1 - haze) + haze
    low = _column(sometimes(0.3, rng.uniform(0, 0.25, n), 0), v)
    high = _column(sometimes(0.4, rng.uniform(0.6, 1.1, n), 1.1), v)
    v = ((v - low) / (high - low)).clamp(0, 1)
    if rng.random() < 0.5:
        v = blur(v, sometimes(0.5, rng.uniform(0.4, 1.8, n), 0))
    if rng.random() < 0.5:
        soft = blur(v, rng.uniform(1.5, 5, n))
        v = v + _column(sometimes(0.6, rng.uniform(0.3, 2.0, n), 0), v) * (v - soft)
    # Drawn on the pictures' own device, so that a GPU does not wait for it.
    noise = torch.randn(v.shape, generator=torch.Generator(v.device).manual_seed(int(rng.integers(2**63))), device=v.device)
    if rng.random() < 0.4:
        noise = blur(noise, np.full(n, rng.uniform(0.4, 1.2))) * 1.5
    v = v + noise * _column(sometimes(0.7, rng.uniform(0, exposure.noise, n), 0), v)
    for i in range(n):
        if exposure.lamps and rng.random() < exposure.lamps:
            v[i, 0] = _lamps(v[i, 0], rng)
        for _ in range(rng.integers(1, 4) if rng.random() < 0.3 else 0):
            # Markers, text labels, metal, folds.
            bh, bw = (int(s * rng.uniform(0.02, 0.22)) + 1 for s in (h, w))
            y, x = rng.integers(0, h - bh + 1), rng.integers(0, w - bw + 1)
            mix = rng.uniform(0.3, 1)
            v[i, :, y : y + bh, x : x + bw] = (1 - mix) * v[i, :, y : y + bh, x : x + bw] + mix * rng.uniform(0, 1)
        if rng.random() < 0.25:
            # A fold or scratch, mostly level: old films are kept folded, and screens have seams.
            angle, width = rng.normal(0, 0.3), rng.uniform(0.004, 0.03)
            y = torch.linspace(-1, 1, h, device=v.device)[:, None] - rng.uniform(-1, 1)
            x = torch.linspace(-1, 1, w, device=v.device)[None]
            v[i, 0] += rng.uniform(-0.6, 0.4) * torch.exp(-(((np.cos(angle) * y + np.sin(angle) * x) / width) ** 2) / 2)
        if rng.random() < 0.2:
            # A collimator blade, straight across one side.
            angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 1.0)
            yy = torch.linspace(-1, 1, h, device=v.device)[:, None]
            xx = torch.linspace(-1, 1, w, device=v.device)[None]
            outside = (np.cos(angle) * xx + np.sin(angle) * yy) > reach
            v[i, 0][outside] = rng.choice([0.0, 1.0], p=[0.8, 0.2])
    return v * inside
