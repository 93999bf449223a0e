"""Which side a patient faces, and which corner is which, where a format does not say it."""

from __future__ import annotations

import numpy as np

from SpineLandmarksLib.core.anatomy import ENDPLATES, LEVELS

#: Degrees: a lordosis (or a sacral slope) below this does not tell the sides apart.
_CLEAR = 5.0

Plate = tuple[np.ndarray, np.ndarray]  # two ends, in any order


def faces_right(plates: dict[tuple[str, str], Plate]) -> bool:
    """Which side the patient faces, from plates by (level, "S" or "I"): the sacral plate falls
    forwards, and a lumbar spine bends backwards from its lowest plate to its highest.

    Raises ValueError when neither is clear: the label format does not say it.
    """
    def fall(plate: Plate) -> float:
        """Degrees by which a plate falls towards the right."""
        left, right = sorted(plate, key=lambda p: p[0])
        return float(np.degrees(np.arctan2(right[1] - left[1], right[0] - left[0])))

    order = sorted(plates, key=lambda key: (LEVELS.index(key[0]), key[1] == "I"))
    bend = fall(plates[order[-1]]) - fall(plates[order[0]])
    slope = fall(plates["S1", "S"]) if ("S1", "S") in plates else 0.0
    told = bend + slope
    if abs(told) < _CLEAR:
        raise ValueError("its labels do not say which side the patient faces, and its curve does not tell: leave it out, or use our folder format.")
    return told > 0


def told_by_corners(corners: dict[str, dict[str, np.ndarray]]) -> bool:
    """Whether named corners say that the patient faces right."""
    forwards = [named[a][0] - named[p][0] for named in corners.values() for a, p in ENDPLATES.values() if a in named and p in named]
    if not forwards:
        raise ValueError("no plate has both its corners: label both ends of one.")
    return float(np.median(forwards)) > 0


def named_ends(plate: Plate, facing_right: bool) -> tuple[np.ndarray, np.ndarray]:
    """(anterior, posterior) ends of a plate."""
    left, right = sorted(plate, key=lambda p: p[0])
    return (right, left) if facing_right else (left, right)


def plates_of(quadrilaterals: dict[str, np.ndarray]) -> dict[tuple[str, str], Plate]:
    """Plates by (level, "S" or "I") of bodies given by four corners in any order: the superior one looks
    up the column, which is no more than roughly upright at L5 and S1."""
    levels = sorted(quadrilaterals, key=LEVELS.index)
    centres = [quadrilaterals[level].mean(0) for level in levels]
    plates = {}
    for i, level in enumerate(levels):
        up = centres[max(i - 1, 0)] - centres[min(i + 1, len(levels) - 1)] if len(levels) > 1 else np.array([0.0, -1.0])
        around = quadrilaterals[level] - centres[i]
        ring = quadrilaterals[level][np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
        edges = [(ring[k], ring[(k + 1) % 4]) for k in range(4)]
        top = int(np.argmax([((a + b) / 2 - centres[i]) @ up / np.linalg.norm((a + b) / 2 - centres[i]) for a, b in edges]))
        plates[level, "S"], plates[level, "I"] = edges[top], edges[(top + 2) % 4]
    return plates
