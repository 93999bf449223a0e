"""A film's pixel spacing from a ruler drawn on an object of known length."""

from __future__ import annotations

import numpy as np

from ..core.radiograph import SpacingSource
from .film import index_to_ras, radiograph_of, set_spacing
from .state import State
from .study import lists_of


def ruler_pixels(line, to_pixels: np.ndarray) -> np.ndarray:
    """The vector of a line markup in film pixels (2,); ``to_pixels`` is 4x4, RAS -> pixel.
    Raises ValueError when the line does not have two ends."""
    if line is None or line.GetNumberOfDefinedControlPoints() != 2:
        raise ValueError("draw a line between two points of known distance first.")
    ends = []
    for index in range(2):
        position = np.zeros(3)
        line.GetNthControlPointPosition(index, position)
        ends.append((to_pixels @ np.array([*position, 1.0]))[:2])
    return ends[1] - ends[0]


def calibrate(film, line, millimetres: float) -> tuple[float, float]:
    """Set a film's spacing so that a line on it has its true length; the shape of its pixels stays.

    Every list of corners of the film takes the new spacing over. Returns (x, y) mm per pixel.
    Raises ValueError for a line without length.
    """
    radiograph = radiograph_of(film)
    vector = ruler_pixels(line, np.linalg.inv(index_to_ras(radiograph)))
    x, y = radiograph.spacing
    drawn = float(np.linalg.norm(vector * (x, y)))
    if drawn <= 0 or not millimetres > 0:
        raise ValueError("the line has no length: draw it between two points, and give their distance in millimetres.")
    spacing = (x * millimetres / drawn, y * millimetres / drawn)
    set_spacing(film, spacing, SpacingSource.RULER)
    for node in lists_of(film.GetScene(), film):
        state = State.load(node)
        state.spacing = list(spacing[::-1] if state.turns % 2 else spacing)
        state.spacing_source = SpacingSource.RULER.value
        state.save(node)
    return spacing
