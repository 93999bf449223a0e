"""Implants as closed surfaces in the posed patient: pedicle screws with their rods, cages, hips."""

from __future__ import annotations

import numpy as np
import trimesh

from SpineLandmarksLib.core.anatomy import LEVELS

from .patient import Patient
from .projection import Surface

#: mm: where a pedicle screw enters, measured from the middle of the body: to the side, and behind the
#: posterior wall.
_PEDICLE = (16.0, 28.0)


def _rod(start: np.ndarray, end: np.ndarray, radius: float) -> trimesh.Trimesh:
    return trimesh.creation.cylinder(radius, segment=np.array([start, end]), sections=12)


def implants(patient: Patient, rng: np.random.Generator) -> list[trimesh.Trimesh]:
    """All metal of a patient, in mm; empty without any."""
    parts = []
    size, ills = patient.figures.size, patient.sick
    for level in ills.cages:
        below = patient.rims[LEVELS[LEVELS.index(level) + 1]]["superior"]
        above = patient.rims[level]["inferior"]
        middle = (below.mean(0) + above.mean(0)) / 2
        length = np.linalg.norm(below[0] - below[12]) * rng.uniform(0.5, 0.8)
        box = trimesh.creation.box((rng.uniform(18, 40) * size, length, max(np.linalg.norm(above.mean(0) - below.mean(0)), 4)))
        back = (below[12] - below[0]) / np.linalg.norm(below[12] - below[0])
        angle = np.arctan2(back[2], back[1])
        box.apply_transform(trimesh.transformations.rotation_matrix(angle, (1, 0, 0)))
        box.apply_translation(middle)
        if rng.random() < 0.7:  # a frame: polymer with metal ends
            core = box.copy()
            core.apply_translation(-middle)
            core.apply_scale((0.8, 0.7, 1.3))
            core.apply_translation(middle)
            core.invert()
            parts.append(core)
        parts.append(box)
    if ills.fused:
        screwed = [*ills.fused, LEVELS[LEVELS.index(ills.fused[-1]) + 1]]
        for side in (-1, 1):
            heads = []
            for level in screwed:
                corners = patient.corners[level]
                back = corners["SP"] - corners["SA"]
                depth = np.linalg.norm(back)
                back /= depth
                middle = np.mean(list(corners.values()), axis=0) if level != "S1" else (corners["SA"] + corners["SP"]) / 2
                if level == "S1":
                    middle = middle + np.array([0.0, back[2], -back[1]]) * 12 * size
                across = np.array([side * _PEDICLE[0] * size, 0.0, 0.0])
                head = middle + across * 1.4 + back * (depth / 2 + _PEDICLE[1] * size)
                tip = middle + across * rng.uniform(0.3, 0.7) - back * depth * rng.uniform(0.1, 0.35)
                parts.append(_rod(head, tip, rng.uniform(2.2, 3.5)))
                parts.append(trimesh.creation.icosphere(2, rng.uniform(5, 7)).apply_translation(head))
                heads.append(head)
            parts += [_rod(a, b, 2.75) for a, b in zip(heads, heads[1:])]
    for side in ills.hips:
        if side < len(patient.heads):
            centre, radius = patient.heads[side]
            outward = np.sign(centre[0])
            parts.append(trimesh.creation.icosphere(3, radius * rng.uniform(0.6, 1.1)).apply_translation(centre))
            neck = centre + np.array([outward * 40, 5, -35])
            parts.append(_rod(centre, neck, 7))
            parts.append(_rod(neck, neck + np.array([outward * 5, 0, -rng.uniform(80, 150)]), rng.uniform(6, 10)))
    return parts


def surfaces(patient: Patient, rng: np.random.Generator, layer: int) -> list[Surface]:
    """Implants for the projector; parts that overlap make metal denser there, as thick metal is: black
    or white either way."""
    return [Surface(np.asarray(part.vertices), np.asarray(part.faces), layer) for part in implants(patient, rng)]
