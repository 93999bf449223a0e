"""What is sick or has been operated on: drawn for each patient, each with a share of its own.

Shares are those of a spine clinic, not of the street: networks must see what readers are asked about.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from SpineLandmarksLib.core.anatomy import LEVELS

#: The largest slip, as a share of the plate below (Meyerding's grade IV).
LARGEST_SLIP = 0.95

#: Which level slips, where one does: mostly L5 (isthmic) and L4 (degenerative).
_SLIPPED = {"L2": 0.05, "L3": 0.15, "L4": 0.35, "L5": 0.45}

_LUMBAR = LEVELS[LEVELS.index("L1") : LEVELS.index("S1")]
_FRACTURED = LEVELS[LEVELS.index("T6") : LEVELS.index("L5")]


@dataclass(frozen=True)
class Pathology:
    """``slips``: share of the plate below, by level. ``fractures``: (loss in front, in the middle) as
    shares of the height. ``collapsed``: share of the disc's height that is left, below a level.
    ``osteophytes``: (level, plate, place on the rim, reach in mm). ``coronal`` and ``axial``: degrees of
    scoliosis at each joint. ``dome``: mm. ``ribs``: -1 for none at T12 (six lumbar bodies), 1 for some at
    L1 (four), as seen by who counts from the sacrum. ``fused``: levels joined by screws and rods to the
    next one down; ``cages`` below levels; ``hips``: sides with an implant."""

    slips: dict[str, float] = field(default_factory=dict)
    fractures: dict[str, tuple[float, float]] = field(default_factory=dict)
    collapsed: dict[str, float] = field(default_factory=dict)
    osteophytes: tuple[tuple[str, str, int, float], ...] = ()
    coronal: dict[str, float] = field(default_factory=dict)
    axial: dict[str, float] = field(default_factory=dict)
    dome: float = 0.0
    ribs: int = 0
    fused: tuple[str, ...] = ()
    cages: tuple[str, ...] = ()
    hips: tuple[int, ...] = ()


def draw(rng: np.random.Generator, age: float) -> Pathology:
    """One patient's; ``age`` makes fractures, worn discs and osteophytes likelier."""
    old = np.clip((age - 30) / 50, 0, 1)
    slips = {level: float(abs(rng.normal(0, 0.015))) * rng.choice([-1, 1]) for level in _LUMBAR}
    if rng.random() < 0.35:
        slips[rng.choice(list(_SLIPPED), p=list(_SLIPPED.values()))] = float(min(0.08 + rng.exponential(0.22), LARGEST_SLIP))
    fractures = {}
    for _ in range(rng.integers(1, 4) if rng.random() < 0.05 + 0.2 * old else 0):
        fractures[str(rng.choice(_FRACTURED))] = (float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.0, 0.3)))
    collapsed = {level: float(rng.uniform(0.15, 0.7)) for level in _LUMBAR if rng.random() < 0.04 + 0.2 * old}
    grown = rng.integers(1, 12) if rng.random() < 0.1 + 0.5 * old else 0
    osteophytes = tuple(
        (str(rng.choice(LEVELS[6:-1])), str(rng.choice(["superior", "inferior"])), int(rng.integers(-4, 5)) % 24, float(rng.uniform(1.5, 8)))
        for _ in range(grown)
    )
    coronal, axial = _scoliosis(rng) if rng.random() < 0.25 else ({}, {})
    fused: tuple[str, ...] = ()
    if rng.random() < 0.12:
        top = int(rng.integers(LEVELS.index("L2"), LEVELS.index("L5") + 1))
        length = int(rng.choice([1, 1, 2, 3, 8], p=[0.4, 0.2, 0.2, 0.15, 0.05]))
        fused = LEVELS[max(top - length + 1, 4) : top + 1]
    return Pathology(
        slips, fractures, collapsed, osteophytes, coronal, axial,
        dome=float(rng.uniform(2, 8)) if max(slips["L5"], 0) > 0.3 or rng.random() < 0.04 else 0.0,
        ribs=int(rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05])),
        fused=fused, cages=tuple(level for level in fused if rng.random() < 0.6),
        hips=tuple(side for side in (0, 1) if rng.random() < 0.04),
    )


def _scoliosis(rng: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """Bends that add up to nothing: a curve and its counter-curve; bodies turn with the curve."""
    apex, spread = rng.uniform(5, 15), rng.uniform(2.5, 5)
    cobb = rng.exponential(12)
    place = (np.arange(len(LEVELS) - 1) - apex) / spread
    bend = np.sin(place * np.pi / 2) * np.exp(-(place**2) / 4)
    bend *= cobb / max(np.abs(np.cumsum(bend)).max(), 1e-6)
    turn = rng.uniform(0.2, 0.8) * bend
    levels = LEVELS[:-1]
    return dict(zip(levels, bend - bend.mean())), dict(zip(levels, turn - turn.mean()))
