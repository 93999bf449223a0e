"""Perspective maps of the plane: what a film that is photographed askew goes through."""

from __future__ import annotations

import numpy as np


def homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """3x3 map that takes four points (4, 2) to four others: eight equations, its last number being 1 (Hartley and Zisserman,
    Multiple View Geometry, 2.3). Raises ``numpy.linalg.LinAlgError`` where three of the points lie on a line."""
    rows = []
    for (x, y), (u, v) in zip(source, target):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return np.append(np.linalg.solve(np.array(rows, float), np.ravel(target)), 1.0).reshape(3, 3)


def through(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) through a 3x3 map."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return moved[..., :2] / moved[..., 2:]
