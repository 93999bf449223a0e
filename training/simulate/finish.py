"""From counts to the picture that a hospital hands out: processing, collimation, marks, photography.

Every step that moves pixels hands back the map that moves the truth along.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..perspective import homography
from .exposure import gaussian


def processed(counts: Tensor, open_field: Tensor, pixel: float, rng: np.random.Generator) -> Tensor:
    """The detector's own processing: logarithm, unsharp mask, local contrast, window, curve; 0 to 1,
    bone bright. ``open_field`` (h, w) masks what the collimator lets through."""
    film = -torch.log(counts.clamp_min(1e-6))
    film = film + rng.uniform(0.3, 4.0) * (film - gaussian(film, rng.uniform(6, 20) / pixel))
    if rng.random() < 0.3:  # local contrast: every region gets the same spread
        mean = gaussian(film, 30 / pixel)
        spread = gaussian((film - mean) ** 2, 30 / pixel).sqrt()
        film = mean * (1 - (mix := rng.uniform(0.3, 0.9))) + mix * (film - mean) / (spread / spread.median() + 0.3)
    body = film[(counts < 0.3) & open_field]
    body = body if len(body) > 1000 else film.flatten()
    # Wide windows keep everything; narrow ones burn the pelvis white and the thorax black.
    ends = (rng.uniform(0, 6), rng.uniform(97, 99.9)) if rng.random() < 0.8 else (rng.uniform(5, 30), rng.uniform(75, 97))
    some = body[:: max(1, len(body) // 20000)]
    low, high = (torch.quantile(some, q / 100) for q in ends)
    return ((film - low) / (high - low).clamp_min(1e-6)).clamp(0, 1) ** float(np.exp(rng.normal(0, 0.25)))


def collimator(shape: tuple[int, int], rng: np.random.Generator, device: str) -> Tensor:
    """(h, w) of bool: what its blades leave open; mostly all."""
    h, w = shape
    y = torch.linspace(-1, 1, h, device=device)[:, None]
    x = torch.linspace(-1, 1, w, device=device)[None]
    inside = torch.ones(h, w, dtype=torch.bool, device=device)
    for _ in range(rng.integers(1, 4) if rng.random() < 0.35 else 0):
        angle = rng.choice([0, 0.5, 1, 1.5]) * np.pi + rng.normal(0, 0.05)
        inside &= np.cos(angle) * x + np.sin(angle) * y < rng.uniform(0.75, 1.0)
    return inside


def marked(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Letters, names and numbers as films carry them; (h, w) 0 to 1."""
    if rng.random() > 0.5:
        return picture
    h, w = picture.shape
    image = Image.fromarray((picture * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 5)):
        text = "".join(rng.choice(list("ABCDEFGHIJKLMNOPRSTUVWXYZ0123456789 .:-/"), rng.integers(1, 16)))
        font = ImageFont.load_default(max(6, h * rng.uniform(0.015, 0.06)))
        edge = rng.random() < 0.8
        place = (rng.uniform(0, 0.9) * w, (rng.choice([rng.uniform(0, 0.1), rng.uniform(0.88, 0.97)]) if edge else rng.uniform(0, 0.9)) * h)
        draw.text(place, text, fill=int(rng.choice([255, 230, 20])), font=font)
    return np.asarray(image, np.float32) / 255


def photographed(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A film on a light box or a screen, taken with a telephone: turned, seen at an angle, with glare, a cast
    of light and JPEG's blocks, or with a border around it. Returns (picture, 3x3 map of pixels)."""
    h, w = picture.shape
    corners = np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], float)
    margin = rng.uniform(0, 0.06)
    moved = corners + rng.normal(0, 0.015, (4, 2)) * (w, h)
    moved = (moved - moved.mean(0)) * (1 - margin) + corners.mean(0)
    matrix = homography(corners, moved)
    image = Image.fromarray((picture * 255).astype(np.uint8))
    around = int(rng.choice([0, 40, 255]))
    # Pillow asks for the map from the new picture to the old one, of pixels' corners.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    back = half @ np.linalg.inv(matrix) @ np.linalg.inv(half)
    back /= back[2, 2]
    image = image.transform((w, h), Image.Transform.PERSPECTIVE, tuple(back.ravel()[:8]), Image.Resampling.BILINEAR, fillcolor=around)
    v = np.asarray(image, np.float32) / 255
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    v = v * (1 + rng.uniform(0, 0.35) * (np.cos(angle) * x + np.sin(angle) * y))
    for _ in range(rng.integers(1, 3) if rng.random() < 0.4 else 0):  # glare of lamps
        cx, cy, r = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.05, 0.4)
        v = v + rng.uniform(0.1, 0.7) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * r**2))
    v = np.clip(v * (1 - (haze := rng.uniform(0, 0.3))) + haze, 0, 1)
    stream = io.BytesIO()
    Image.fromarray((v * 255).astype(np.uint8)).save(stream, "JPEG", quality=int(rng.integers(25, 90)))
    return np.asarray(Image.open(stream), np.float32) / 255, matrix
