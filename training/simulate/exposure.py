"""From path lengths to a film: soft tissue, gas, scatter, noise and the detector's processing."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

#: Effective attenuation at about 65 keV, per mm: water (NIST XCOM), and what bone adds to it at the
#: densities of ICRP 110 (cortex 1.92 g/cm3, lumbar spongiosa 1.17 g/cm3).
WATER, CORTEX_EXTRA, SPONGIOSA_EXTRA = 0.0195, 0.030, 0.0048


def _smooth_field(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Smooth noise of unit spread."""
    h, w = shape
    coarse = rng.standard_normal((cells + 3, max(2, round(cells * w / h)) + 3))
    field = zoom(coarse, (h / (coarse.shape[0] - 2), w / (coarse.shape[1] - 2)), order=3)[:h, :w]
    return field / max(field.std(), 1e-6)


def _soft_tissue(shape, y: np.ndarray, z: np.ndarray, spine: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Water-equivalent path, mm. ``y``, ``z``: mm of columns and rows at the patient's middle;
    ``spine``: (n, 2) posterior wall points (y, z), from which the outline of the body is grown."""
    wall = np.interp(z, spine[::-1, 1], spine[::-1, 0])[:, None]
    front = wall - rng.uniform(150, 240) + rng.normal(0, 12) * np.sin(z / 90 + rng.uniform(0, 6))[:, None]
    back = wall + rng.uniform(55, 95)
    middle, half = (front + back) / 2, (back - front) / 2
    inside = np.clip(1 - ((y[None] - middle) / half) ** 2, 0, None)
    width = rng.uniform(260, 360) * (1 + 0.15 * np.clip((950 - z) / 120, -1, 1))[:, None]
    tissue = width * np.sqrt(inside)
    # Lungs: above a dome that is highest in front of the spine.
    dome = rng.uniform(1060, 1150) - 45 * ((y[None] - middle) / half) ** 2
    lung = 1 / (1 + np.exp(-(z[:, None] - dome) / rng.uniform(2, 20))) * (inside > 0.12)
    tissue = tissue * (1 - rng.uniform(0.1, 0.5) * lung)
    tissue += 0.03 * tissue.mean() * _smooth_field(rng, shape, 10)
    # Bowel gas in front of the lumbar spine.
    for _ in range(rng.integers(0, 14)):
        cy, cz = rng.uniform(-190, -10) + float(wall.mean()), rng.uniform(850, 1090)
        ry, rz = rng.uniform(6, 26, 2)
        blob = np.exp(-(((y[None] - cy) / ry) ** 2 + ((z[:, None] - cz) / rz) ** 2) ** rng.uniform(1, 3))
        tissue -= rng.uniform(8, 40) * blob
    return np.clip(tissue, 0, None) * (inside > 0)


def expose(thickness: np.ndarray, crossings: np.ndarray, y: np.ndarray, z: np.ndarray, spine: np.ndarray, pixel: float, rng: np.random.Generator) -> np.ndarray:
    """A film, (height, width), 0 to 1, bone bright."""
    shape = thickness.shape
    cortex = rng.uniform(0.35, 0.9)
    trabecular = 1 + 0.12 * gaussian_filter(rng.standard_normal(shape), 0.6 / pixel)
    bone = rng.uniform(0.7, 1.3) * SPONGIOSA_EXTRA * thickness * trabecular + CORTEX_EXTRA * cortex * crossings
    through = np.exp(-WATER * _soft_tissue(shape, y, z, spine, rng) - bone)
    scatter = rng.uniform(0.3, 1.2) * gaussian_filter(through, 25 / pixel)
    photons = 10 ** rng.uniform(4.3, 5.5)
    counts = rng.poisson(gaussian_filter(through + scatter, rng.uniform(0.15, 0.4) / pixel) * photons) + 1.0
    film = -np.log(counts / photons)
    soft = gaussian_filter(film, rng.uniform(8, 20) / pixel)
    film = film + rng.uniform(0.3, 3.5) * (film - soft)  # the detector's contrast enhancement
    body = through < 0.3
    low, high = np.percentile(film[body] if body.sum() > 1000 else film, (rng.uniform(0, 6), rng.uniform(98, 99.9)))
    return np.clip((film - low) / max(high - low, 1e-6), 0, 1) ** np.exp(rng.normal(0, 0.25))
