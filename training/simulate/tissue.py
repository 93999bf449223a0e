"""What lies around the bones: outline of the trunk, lungs, bowel gas, arms, breasts, as water-equivalent
path lengths in mm. Plane fields on the film's grid; ``y`` and ``z`` are mm at the patient's middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Where a film's columns ``y`` (w,) and rows ``z`` (h,) lie in the patient's middle, mm, and where
    the posterior wall of the spine stands at each row, ``wall`` (h,)."""

    y: Tensor
    z: Tensor
    wall: Tensor

    @classmethod
    def of(cls, y: np.ndarray, z: np.ndarray, spine: np.ndarray, device: str) -> Grid:
        """``spine``: (n, 2) points (y, z) of the posterior wall from cranial to caudal."""
        wall = np.interp(z, spine[::-1, 1], spine[::-1, 0])
        return cls(*(torch.as_tensor(a, dtype=torch.float32, device=device) for a in (y, z, wall)))


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], cells: int, device: str) -> Tensor:
    """Smooth noise of unit spread, (h, w)."""
    h, w = shape
    coarse = rng.standard_normal((1, 1, cells + 3, max(2, round(cells * w / h)) + 3), dtype=np.float32)
    field = F.interpolate(torch.as_tensor(coarse, device=device), size=(h, w), mode="bicubic", align_corners=True)[0, 0]
    return field / field.std().clamp_min(1e-6)


def trunk(grid: Grid, rng: np.random.Generator, woman: bool, frontal: bool = False) -> Tensor:
    """Soft tissue of the trunk with lungs, gas and breasts, (h, w); ``frontal``: seen from the front, where
    the spine stands in its middle, with gas on both sides."""
    y, z, wall = grid.y[None], grid.z[:, None], grid.wall[:, None]
    belly = rng.uniform(150, 290)
    front = wall - belly + rng.normal(0, 12) * torch.sin(z / 90 + rng.uniform(0, 6))
    back = wall + rng.uniform(50, 110)
    if frontal:
        front, back = wall - belly * 0.7, wall + belly * 0.7
    middle, half = (front + back) / 2, (back - front) / 2
    across = (y - middle) / half
    inside = (1 - across**2).clamp_min(0)
    width = rng.uniform(250, 360) * (0.65 if frontal else 1.0) * (1 + 0.15 * ((950 - z) / 120).clamp(-1, 1))
    tissue = width * inside.sqrt()
    # Lungs: above a dome that is highest in front of the spine.
    dome = rng.uniform(1060, 1150) - 45 * across**2
    lung = torch.sigmoid((z - dome) / rng.uniform(2, 20)) * (inside > 0.12)
    tissue = tissue * (1 - rng.uniform(0.1, 0.5) * lung)
    tissue = tissue + 0.03 * tissue.mean() * smooth_field(rng, tuple(tissue.shape), 10, str(tissue.device))
    for _ in range(rng.integers(0, 14)):  # bowel gas in front of the lumbar spine
        cy, cz = float(grid.wall.mean()) + rng.uniform(-190, -10) + 100 * frontal, rng.uniform(850, 1090)
        ry, rz = rng.uniform(6, 26, 2)
        blob = torch.exp(-((((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2) ** rng.uniform(1, 3)))
        tissue = tissue - rng.uniform(8, 40) * blob
    if rng.random() < 0.6:  # stool: gas in many small bubbles, in front of the lower spine
        cy, cz = float(grid.wall.mean()) + rng.uniform(-130, -50) + 90 * frontal, rng.uniform(860, 1040)
        ry, rz = rng.uniform(25, 80), rng.uniform(40, 120)
        height_mm = float(z.max() - z.min())
        bubbles = smooth_field(rng, tuple(tissue.shape), int(np.clip(height_mm / rng.uniform(6, 16), 8, 120)), str(tissue.device))
        envelope = (1.2 - ((y - cy) / ry) ** 2 - ((z - cz) / rz) ** 2).clamp(0, 1)
        tissue = tissue - rng.uniform(8, 30) * envelope * bubbles.clamp(0, 2.5)
    tissue = tissue.clamp_min(0) * (inside > 0)
    if woman and not frontal and rng.random() < 0.8:
        cz, reach, size = rng.uniform(1150, 1230), rng.uniform(20, 70), rng.uniform(40, 75)
        breast = 1 - ((y - front + reach / 2) / (reach + 25)) ** 2 - ((z - cz) / size) ** 2
        tissue = tissue + rng.uniform(80, 200) * breast.clamp_min(0).sqrt()
    return tissue


def arms(grid: Grid, rng: np.random.Generator, bones: list[tuple[np.ndarray, np.ndarray]]) -> Tensor:
    """Soft tissue along upper arms, given as the ends (y, z) of their bones, (h, w)."""
    total = torch.zeros(len(grid.z), len(grid.y), device=grid.y.device)
    points = torch.stack(torch.broadcast_tensors(grid.y[None], grid.z[:, None]), -1)
    for start, end in bones:
        a, b = (points.new_tensor(p) for p in (start, end))
        along = ((points - a) @ (b - a) / ((b - a) @ (b - a))).clamp(-0.1, 1.15)
        distance = (points - a - along[..., None] * (b - a)).norm(dim=-1)
        total = total + 2 * (rng.uniform(28, 42) ** 2 - distance**2).clamp_min(0).sqrt()
    return total


def clothing(grid: Grid, rng: np.random.Generator) -> Tensor:
    """Folds, buttons and a waistband, in mm of water, (h, w)."""
    total = torch.zeros(len(grid.z), len(grid.y), device=grid.y.device)
    y, z = grid.y[None], grid.z[:, None]
    if rng.random() < 0.3:
        line = rng.uniform(860, 1000) + rng.normal(0, 0.05) * y
        total = total + rng.uniform(1, 6) * torch.exp(-(((z - line) / rng.uniform(4, 15)) ** 4))
    for _ in range(rng.integers(1, 5) if rng.random() < 0.15 else 0):
        cy, cz = float(grid.wall.mean()) + rng.uniform(-250, 80), rng.uniform(float(grid.z.min()), float(grid.z.max()))
        total = total + rng.uniform(10, 60) * (((y - cy) ** 2 + (z - cz) ** 2) < rng.uniform(4, 9) ** 2)
    return total
