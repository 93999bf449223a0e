"""Every parameter, one entry each.

Adding a parameter is adding an entry: its identifier, what it is called, the corners it needs, the
formula over the sagittal plane (see ``geometry``), its unit, what a positive value means, the
range seen in healthy adults (mean - 2 SD to mean + 2 SD unless the source gives a range), and
where definition and range come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..anatomy import LEVELS, corners_of
from .geometry import Plate, Point, angle_between, inclination, length, offset_along

Corners = Mapping[tuple[str, str], Point]


@dataclass(frozen=True)
class Measurement:
    """One parameter; ``formula`` maps corners by (level, corner) to a value in ``unit``."""

    id: str
    name: str
    needs: tuple[tuple[str, str], ...]
    formula: Callable[[Corners], float]
    unit: str  # "deg", "%", "ratio" or "mm"
    positive: str
    normal: tuple[float, float] | None
    source: str
    uses_names: bool = True  # False: true of a body or disc whatever its level is called

    @property
    def unit_text(self) -> str:
        """What follows a value where a person reads it; nothing for a ratio."""
        return {"deg": "°", "%": " %", "ratio": "", "mm": " mm"}[self.unit]

    def text(self, value: float) -> str:
        """A value as a person reads it, with its unit."""
        return f"{value:.2f}" if self.unit == "ratio" else f"{value:.1f}{self.unit_text}"


def _plate(level: str, side: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ((level, "SA"), (level, "SP")) if side == "superior" else ((level, "IA"), (level, "IP"))


def _get(corners: Corners, plate: tuple[tuple[str, str], tuple[str, str]]) -> Plate:
    return corners[plate[0]], corners[plate[1]]


def _angle(id: str, name: str, upper, lower, positive: str, normal, source: str, sign: int = 1) -> Measurement:
    return Measurement(
        id, name, (*upper, *lower), lambda c: sign * angle_between(_get(c, upper), _get(c, lower)),
        "deg", positive, normal, source,
    )


def _slope(id: str, name: str, plate, positive: str, normal, source: str) -> Measurement:
    return Measurement(id, name, plate, lambda c: -inclination(_get(c, plate)), "deg", positive, normal, source)


def _lordosis_distribution() -> Measurement:
    l1, l4, s1 = (_plate(level, "superior") for level in ("L1", "L4", "S1"))
    return Measurement(
        "LDI", "Lordosis distribution index, L4-S1 of L1-S1", (*l1, *l4, *s1),
        lambda c: 100 * angle_between(_get(c, l4), _get(c, s1)) / angle_between(_get(c, l1), _get(c, s1)),
        "%", "share of the lordosis below L4", (50, 80), "Yilgor 2017 (GAP), J Bone Joint Surg Am 99:1661",
    )


def _height_ratio(level: str) -> Measurement:
    keys = {corner: (level, corner) for corner in corners_of(level)}
    return Measurement(
        f"HR_{level}", f"{level} anterior over posterior height", tuple(keys.values()),
        lambda c: length(c[keys["SA"]], c[keys["IA"]]) / length(c[keys["SP"]], c[keys["IP"]]),
        "ratio", "above 1: taller in front", None, "Genant 1993 needs a middle height: no grade from four corners", uses_names=False,
    )


def _slip(upper: str, lower: str) -> Measurement:
    """Offset of the upper body's posterior wall over the lower endplate, after Meyerding and Taillard."""
    plate, point = _plate(lower, "superior"), (upper, "IP")
    if lower == "S1":
        # The sacrum's posterior wall is not located: the perpendicular of its plate stands in.
        def direction(c: Corners) -> Point:
            d = c[lower, "SA"] - c[lower, "SP"]
            return np.array([-d[1], d[0]])
        needs = (point, *plate)
        source = "Meyerding 1932; perpendicular to the S1 plate instead of its posterior wall"
    else:
        def direction(c: Corners) -> Point:
            return c[lower, "SP"] - c[lower, "IP"]
        needs = (point, *plate, (lower, "IP"))
        source = "Meyerding 1932; parallel to the lower body's posterior wall"
    return Measurement(
        f"SLIP_{upper}_{lower}", f"Slip of {upper} on {lower}", needs,
        lambda c: 100 * offset_along(_get(c, plate), c[point], direction(c)),
        "%", "upper body displaced forwards", None, source, uses_names=False,
    )


def _disc_heights(c: Corners, upper: str, lower: str) -> float:
    return length(c[upper, "IA"], c[lower, "SA"]) + length(c[upper, "IP"], c[lower, "SP"])


def _disc_height_index(upper: str, lower: str) -> list[Measurement]:
    needs = (*_plate(upper, "inferior"), *_plate(lower, "superior"))

    def over_disc_depth(c: Corners) -> float:
        front = (c[upper, "IA"] + c[lower, "SA"]) / 2
        back = (c[upper, "IP"] + c[lower, "SP"]) / 2
        return _disc_heights(c, upper, lower) / length(front, back)

    def over_both_depths(c: Corners) -> float:
        depths = length(c[upper, "IA"], c[upper, "IP"]) + length(c[lower, "SA"], c[lower, "SP"])
        return _disc_heights(c, upper, lower) / depths

    disc = f"{upper}-{lower}"
    return [
        Measurement(f"DHI_{upper}_{lower}", f"Disc height index {disc}, over disc depth", needs, over_disc_depth,
                    "ratio", "higher disc", None, "anterior + posterior height over disc depth", uses_names=False),
        Measurement(f"DHI2_{upper}_{lower}", f"Disc height index {disc}, over both endplates", needs, over_both_depths,
                    "ratio", "higher disc", None, "anterior + posterior height over superior + inferior depth", uses_names=False),
    ]


def _distance(id: str, name: str, a: tuple[str, str], b: tuple[str, str]) -> Measurement:
    return Measurement(id, name, (a, b), lambda c: length(c[a], c[b]), "mm", "longer", None, "distance of two corners", uses_names=False)


def _body_sizes(level: str) -> list[Measurement]:
    return [
        _distance(f"HA_{level}", f"{level} anterior height", (level, "SA"), (level, "IA")),
        _distance(f"HP_{level}", f"{level} posterior height", (level, "SP"), (level, "IP")),
        _distance(f"DS_{level}", f"{level} superior endplate depth", (level, "SA"), (level, "SP")),
        _distance(f"DI_{level}", f"{level} inferior endplate depth", (level, "IA"), (level, "IP")),
    ]


def _disc_sizes(upper: str, lower: str) -> list[Measurement]:
    return [
        _distance(f"DHA_{upper}_{lower}", f"Disc {upper}-{lower} anterior height", (upper, "IA"), (lower, "SA")),
        _distance(f"DHP_{upper}_{lower}", f"Disc {upper}-{lower} posterior height", (upper, "IP"), (lower, "SP")),
    ]


#: Mean and SD of segmental lordosis in 324 healthy adults (doi 10.1038/s41598-022-21840-x).
_SEGMENTAL = {"L1": (1.2, 3.6), "L2": (5.9, 4.1), "L3": (9.1, 4.2), "L4": (12.7, 5.1), "L5": (21.6, 7.7)}


def _range(mean: float, sd: float) -> tuple[float, float]:
    return round(mean - 2 * sd, 1), round(mean + 2 * sd, 1)


def _build() -> tuple[Measurement, ...]:
    sup = {level: _plate(level, "superior") for level in LEVELS}
    inf = {level: _plate(level, "inferior") for level in LEVELS if level != "S1"}
    pairs = list(zip(LEVELS, LEVELS[1:]))
    lumbar = [p for p in pairs if p[0].startswith("L")]
    entries = [
        _angle("LL_L1_S1", "Lordosis L1-S1", sup["L1"], sup["S1"], "lordotic", (31, 88), "PMC6334400"),
        _angle("LL_L1_L5", "Lordosis L1-L5, superior L1 to inferior L5", sup["L1"], inf["L5"], "lordotic", (40, 45),
               "Polly 1996, J Bone Joint Surg Am 78:1335 (typical values)"),
        _slope("SS", "Sacral slope, needs a level film", sup["S1"], "anterior edge down", _range(41, 8), "PMC6334400"),
        _lordosis_distribution(),
        _angle("TK_T1_T12", "Kyphosis T1-T12", sup["T1"], inf["T12"], "kyphotic", None, "Cobb of the outer plates", -1),
        _angle("TK_T4_T12", "Kyphosis T4-T12", sup["T4"], inf["T12"], "kyphotic", (20, 50), "Cobb of the outer plates", -1),
        _angle("TK_T5_T12", "Kyphosis T5-T12", sup["T5"], inf["T12"], "kyphotic", None, "Cobb of the outer plates", -1),
        _angle("TLK_T11_L2", "Thoracolumbar kyphosis T11-L2", sup["T11"], inf["L2"], "kyphotic", (-10, 10), "Cobb of the outer plates", -1),
        _angle("TLK_T10_L2", "Thoracolumbar kyphosis T10-L2", sup["T10"], inf["L2"], "kyphotic", (-10, 10), "Cobb of the outer plates", -1),
    ]
    for a, b in pairs:
        normal = _range(*_SEGMENTAL[a]) if a in _SEGMENTAL else None
        name = f"Segmental lordosis {a}-{b}, superior plates"
        entries.append(_angle(f"SL_{a}_{b}", name, sup[a], sup[b], "lordotic", normal, "doi 10.1038/s41598-022-21840-x"))
    entries += [_angle(f"DA_{a}_{b}", f"Disc angle {a}-{b}", inf[a], sup[b], "lordotic", None, "facing endplates of the disc") for a, b in pairs]
    entries += [_angle(f"VW_{a}", f"Body wedging {a}", sup[a], inf[a], "lordotic", None, "endplates of the body, PMC2899959") for a in inf]
    entries += [_height_ratio(a) for a in inf]
    entries += [_slip(a, b) for a, b in lumbar]
    for a, b in lumbar:
        entries += _disc_height_index(a, b)
    for a in inf:
        entries += _body_sizes(a)
    entries.append(_distance("DS_S1", "S1 plate depth", *sup["S1"]))
    for a, b in pairs:
        entries += _disc_sizes(a, b)
    return tuple(entries)


MEASUREMENTS: tuple[Measurement, ...] = _build()
