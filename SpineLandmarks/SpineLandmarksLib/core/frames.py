"""Coordinate frames and the affine maps between them.

Pixel convention, everywhere in this library: ``(x, y)`` with x to the right and y down, and the
centre of the first pixel at ``(0, 0)``. A map is a 3x3 matrix that takes homogeneous film
coordinates to the coordinates of a canvas or crop; ``np.linalg.inv`` takes them back.
"""

from __future__ import annotations

import numpy as np


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points of shape (..., 2) through a 3x3 affine matrix."""
    points = np.asarray(points, dtype=float)
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def scale_of(matrix: np.ndarray) -> float:
    """Length in the target frame of one unit of the source frame (geometric mean over directions)."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def scaling(factor: float) -> np.ndarray:
    """Zoom about the outer corner of the first pixel, so that picture edges map to picture edges."""
    offset = 0.5 * factor - 0.5
    return np.array([[factor, 0, offset], [0, factor, offset], [0, 0, 1.0]])


def translation(dx: float, dy: float) -> np.ndarray:
    return np.array([[1.0, 0, dx], [0, 1.0, dy], [0, 0, 1.0]])


def rotation_about(centre: np.ndarray, degrees: float) -> np.ndarray:
    """Rotation about a point, clockwise on the screen (y points down)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return translation(*centre) @ turn @ translation(-centre[0], -centre[1])


def mirror(width: int) -> np.ndarray:
    """Left-right flip of a picture that is ``width`` pixels wide."""
    return np.array([[-1.0, 0, width - 1.0], [0, 1.0, 0], [0, 0, 1.0]])


def letterbox(film_size: tuple[int, int], canvas_size: tuple[int, int]) -> np.ndarray:
    """Film -> canvas map that fits the whole film, centred, with its aspect ratio kept.

    Sizes are ``(width, height)`` in pixels; raises ValueError when one is not positive.
    """
    if min(*film_size, *canvas_size) <= 0:
        raise ValueError(f"sizes must be positive, not film {film_size} and canvas {canvas_size}")
    factor = min(canvas_size[0] / film_size[0], canvas_size[1] / film_size[1])
    margin = [(c - factor * f) / 2 for c, f in zip(canvas_size, film_size)]
    return translation(*margin) @ scaling(factor)


def crop_frame(
    centre: np.ndarray, posterior: np.ndarray, span: float, size: int, facing_right: bool
) -> np.ndarray:
    """Film -> crop map of one vertebra in its standard frame.

    In the crop, anterior is left, cranial is up and the vertebra is centred, whichever side the
    patient faces.

    Parameters
    ----------
    centre : (2,) film position that goes to the middle of the crop.
    posterior : (2,) film direction from anterior to posterior along the endplates (any length).
    span : side of the crop in film pixels.
    size : side of the crop in crop pixels.
    facing_right : True mirrors, so that a patient who faces right also looks left in the crop.
    """
    x_axis = np.asarray(posterior, float) / np.linalg.norm(posterior)
    # Caudal is a quarter turn clockwise from posterior for a patient facing left, and the other
    # way for one facing right: that sign is the mirror.
    y_axis = np.array([-x_axis[1], x_axis[0]]) * (-1.0 if facing_right else 1.0)
    factor = size / span
    linear = factor * np.stack([x_axis, y_axis])
    middle = (size - 1) / 2
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = middle - linear @ np.asarray(centre, float)
    return matrix
