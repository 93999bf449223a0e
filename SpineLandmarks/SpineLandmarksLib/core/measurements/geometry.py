"""Plane geometry of the sagittal plane.

Points are ``(anterior, up)`` in millimetres, or in any unit that is the same in both directions:
anterior is positive whichever side of the film the patient faces, up is positive.
"""

from __future__ import annotations

import math

import numpy as np

Point = np.ndarray
Plate = tuple[Point, Point]  # (anterior corner, posterior corner)


def sagittal(pixels: np.ndarray, spacing: tuple[float, float], facing: str) -> np.ndarray:
    """Film pixels (..., 2) -> sagittal plane (..., 2); ``spacing`` is (x, y) mm per pixel."""
    anterior = spacing[0] * (1 if facing == "right" else -1)
    return np.asarray(pixels, float) * np.array([anterior, -spacing[1]])


def inclination(plate: Plate) -> float:
    """Angle of an endplate, posterior to anterior, against the horizontal; degrees, + anterior edge up."""
    anterior, posterior = plate
    d = anterior - posterior
    return math.degrees(math.atan2(d[1], d[0]))  # numpy's own takes three times as long for one number


def wrapped(degrees):
    """The same angle, or array of angles, between -180 and 180 degrees."""
    return (degrees + 180) % 360 - 180


def turn_between(u: Point, v: Point) -> float:
    """Unsigned angle between two vectors, 0 to 180 degrees."""
    return abs(float(np.degrees(np.arctan2(u[0] * v[1] - u[1] * v[0], u @ v))))


def angle_between(upper: Plate, lower: Plate) -> float:
    """Inclination of the upper plate less that of the lower one, -180 to 180 degrees; + lordotic."""
    return wrapped(inclination(upper) - inclination(lower))


def length(a: Point, b: Point) -> float:
    return math.dist(a, b)


def offset_along(plate: Plate, point: Point, direction: Point) -> float:
    """Where the line through ``point`` in ``direction`` meets the plate's line, as a share of the
    plate: 0 at the posterior corner, 1 at the anterior one. Raises ZeroDivisionError if parallel."""
    anterior, posterior = plate
    u = anterior - posterior
    determinant = u[0] * -direction[1] + u[1] * direction[0]
    if abs(determinant) <= 1e-9 * np.linalg.norm(u) * np.linalg.norm(direction):
        raise ZeroDivisionError("the line runs parallel to the endplate")
    r = point - posterior
    return float((r[0] * -direction[1] + r[1] * direction[0]) / determinant)
