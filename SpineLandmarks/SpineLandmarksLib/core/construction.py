"""How the main angles are drawn on a film, as surgeons draw them: which lines, and where the value stands.

Film pixels throughout; the picture and the Slicer scene both draw what is worked out here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from . import column
from .anatomy import ENDPLATES
from .detection import CornerStatus, Detection
from .measurements import Measured

Line = tuple[np.ndarray, np.ndarray]

#: Angle between two plates -> its plates (level, side). The first lordosis that can be measured is drawn.
_LORDOSES = {
    "LL_L1_S1": (("L1", "superior"), ("S1", "superior")),
    "LL_L1_L5": (("L1", "superior"), ("L5", "inferior")),
}
_KYPHOSES = {"TK_T4_T12": (("T4", "superior"), ("T12", "inferior"))}


@dataclass(frozen=True)
class Construction:
    """One angle: its lines, and its value's text with the place where it stands."""

    id: str
    lines: tuple[Line, ...]
    text: str
    at: np.ndarray


def _room(start: np.ndarray, direction: np.ndarray, size: tuple[int, int]) -> float:
    """How far one can go from ``start`` along a unit vector before leaving a (width, height) film."""
    edges = np.where(direction > 0, np.array(size) - 1, 0) - start
    moving = direction != 0
    return max(0.0, float(np.min(edges[moving] / direction[moving])))


def _plate(detection: Detection, level: str, side: str) -> Line:
    anterior, posterior = ENDPLATES[side]
    corners = detection.corners[level]
    return corners[anterior].position, corners[posterior].position


def _unit(v: np.ndarray) -> np.ndarray:
    return v / max(float(np.linalg.norm(v)), 1e-9)


def _cobb(detection: Detection, size: tuple[int, int], plates: tuple, behind: bool) -> tuple[tuple[Line, ...], np.ndarray]:
    """Both plates extended, behind the spine or before it, until they meet or as far as the film has room."""
    rays = []
    for level, side in plates:
        anterior, posterior = _plate(detection, level, side)
        start, other = (posterior, anterior) if behind else (anterior, posterior)
        rays.append((start, _unit(start - other)))
    (p1, u1), (p2, u2) = rays
    reach = 0.7 * float(np.linalg.norm(p1 - p2))
    meet = [np.inf, np.inf]
    if abs(u1[0] * u2[1] - u1[1] * u2[0]) > 1e-3:
        meet = [t if t > 0 else np.inf for t in np.linalg.solve(np.stack([u1, -u2], axis=1), p2 - p1)]
    ends = [p + u * min(t, reach, 0.94 * _room(p, u, size)) for (p, u), t in zip(rays, meet)]
    return tuple((p, end) for (p, _), end in zip(rays, ends)), (ends[0] + ends[1]) / 2


def _against_horizontal(detection: Detection, size: tuple[int, int]) -> tuple[tuple[Line, ...], np.ndarray]:
    """The sacral plate drawn on forwards from its posterior corner, and the horizontal from there."""
    anterior, posterior = _plate(detection, "S1", "superior")
    along = anterior - posterior
    length = 2.0 * float(np.linalg.norm(along))
    level = np.array([np.sign(along[0]) or 1.0, 0.0])
    ends = [posterior + u * min(length, _room(posterior, u, size)) for u in (_unit(along), level)]
    beyond = posterior + 1.15 * ((ends[0] + ends[1]) / 2 - posterior)
    return tuple((posterior, end) for end in ends), beyond


def constructions(detection: Detection, size: tuple[int, int], measured: Iterable[Measured]) -> list[Construction]:
    """The main angles that this film has: lordosis, kyphosis, sacral slope.

    ``size`` is the film's (width, height); labels stay within it.
    """
    values = {m.definition.id: m for m in measured if m.value is not None}
    drawn = []
    for name, choices, behind in (("LL", _LORDOSES, True), ("TK", _KYPHOSES, False)):
        for id, plates in choices.items():
            if id in values:
                drawn.append((id, name, *_cobb(detection, size, plates, behind)))
                break
    if "SS" in values:
        drawn.append(("SS", "SS", *_against_horizontal(detection, size)))
    edge = np.array([0.1, 0.04]) * size  # room for the text
    return [
        Construction(id, lines, f"{name} {values[id].value:.0f}°{'' if values[id].status.value == 'ok' else '?'}",
                     np.clip(at, edge, np.array(size) - 1 - edge))
        for id, name, lines, at in drawn
    ]


def level_name_place(detection: Detection, level: str) -> np.ndarray | None:
    """Where a vertebra's name stands: in the body, below the sacrum's plate; None where neither a body with at
    least three corners on the film nor a superior plate is there."""
    corners = detection.corners[level]
    positions = {name: corner.position for name, corner in corners.items()}
    shown = {name for name, corner in corners.items() if corner.status is not CornerStatus.OUTSIDE}
    if {"SA", "SP", "IA", "IP"} <= positions.keys() and len(shown) >= 3:
        return column.body_centre(positions, level)
    if not {"SA", "SP"} <= shown:
        return None
    plate = positions["SP"] - positions["SA"]
    down = np.array([-plate[1], plate[0]]) * (1 if detection.facing == "left" else -1)
    return (positions["SA"] + positions["SP"]) / 2 + 0.3 * down
