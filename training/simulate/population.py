"""A patient's numbers: posture and sizes, drawn from published populations of standing adults.

Angles in degrees, lengths in mm. The figures and their sources:

- pelvic incidence 53 (SD 10.5), pelvic tilt 13 (6.75): Mac-Thiong et al., Spine 2011 (mean and 2 SD ranges)
- lordosis L1-S1 = 32.9 + 0.60 PI - 0.23 age: Hasegawa et al., Eur Spine J 2016
- how it is shared out, L1-2 1.2 (3.6) to L5-S1 21.6 (7.7): Sci Rep 12:21840, 2022
- wedging of bodies T9 to L5 by sex: PMC2899959; women about 9 % smaller: Sci Rep 15:5091, 2025
- lumbar disc heights 6.9 to 13.6 in front and 5.5 to 8.1 behind, thoracic 4.0 and 3.6: Eur Spine J 2015
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SpineLandmarksLib.core.anatomy import LEVELS

#: Mean and SD of the lordosis between the superior plates of a level and of the next one down.
SEGMENTS = {"L1": (1.2, 3.6), "L2": (5.9, 4.1), "L3": (9.1, 4.2), "L4": (12.7, 5.1), "L5": (21.6, 7.7)}

#: Kyphosis between T4's and T12's plates: assumed, to fill the usual range of 20 to 50 degrees and more.
KYPHOSIS = (38.0, 10.0)

#: Wedging of bodies, higher behind than in front being positive, women and men.
WEDGING = {
    "T9": (2.8, 4.8), "T10": (2.6, 3.8), "T11": (4.6, 5.4), "T12": (3.5, 4.9), "L1": (2.6, 4.1), "L2": (0.7, 2.6), "L3": (-1.1, 1.3),
    "L4": (-3.1, -0.7), "L5": (-7.8, -4.6),
}
WEDGING_SD = 2.5

#: Mean heights of the discs below, in the middle.
DISCS = {**{f"T{n}": 3.8 for n in range(1, 12)}, "T12": 5.5, "L1": 6.8, "L2": 8.0, "L3": 9.2, "L4": 10.2, "L5": 10.5}
DISC_SD = 0.2  # of the height


@dataclass(frozen=True)
class Figures:
    """``segments``: lordosis of each level's plate against the next one's, negative for kyphosis;
    ``wedging`` only where it is published; ``discs`` heights below a level; ``size`` relative to a man's."""

    woman: bool
    age: float
    incidence: float
    slope: float
    segments: dict[str, float]
    wedging: dict[str, float]
    discs: dict[str, float]
    size: float


def draw(rng: np.random.Generator, template: dict[str, float]) -> Figures:
    """One patient. ``template``: the mesh's own segments, around which the thoracic ones are spread."""
    woman, age = bool(rng.random() < 0.5), float(rng.uniform(18, 90))
    incidence = float(np.clip(rng.normal(53, 10.5), 28, 88))
    slope = float(np.clip(incidence - rng.normal(13, 6.75), 5, 65))
    lordosis = 32.9 + 0.6 * incidence - 0.23 * age + rng.normal(0, 8)
    mean = np.array([m for m, _ in SEGMENTS.values()])
    sd = np.array([s for _, s in SEGMENTS.values()])
    # Each segment has its own spread; what is missing to the whole is shared by their spreads.
    own = rng.normal(mean, 0.8 * sd)
    own += (lordosis - own.sum()) * sd / sd.sum()
    segments = dict(zip(SEGMENTS, own))
    kyphotic = LEVELS[LEVELS.index("T4") : LEVELS.index("T12")]
    more = (rng.normal(*KYPHOSIS) - sum(-template[level] for level in kyphotic)) / len(kyphotic)
    for level in LEVELS[: LEVELS.index("L1")]:
        segments[level] = template[level] - (more if level in kyphotic else 0) + rng.normal(0, 1.5)
    return Figures(
        woman, age, incidence, slope, segments,
        {level: rng.normal(values[0 if woman else 1], WEDGING_SD) for level, values in WEDGING.items()},
        {level: height * np.exp(rng.normal(0, DISC_SD)) for level, height in DISCS.items()},
        (0.91 if woman else 1.0) * np.exp(rng.normal(0, 0.06)),
    )
