"""A patient: the template's bones shaped and put into a drawn posture, with every landmark.

Bodies are shaped first, then each joint is bent, stretched, slipped and turned until it has the drawn
angle, and the sacrum stands at the drawn slope. Landmarks go through the very maps of their bones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from SpineLandmarksLib.core.anatomy import ENDPLATES, LEVELS

from . import pathology, population
from .bodies import Frame, Shape
from .meshes import Anatomy, Bone
from .pathology import Pathology
from .population import Figures

#: Degrees: how far a slip of a whole endplate tips its vertebra forwards, as the disc wears in front
#: (high-grade slips end in lumbosacral kyphosis).
_SLIP_TIPS = 35.0

#: Degrees by which T9 stands behind the sacrum; what goes beyond, the pelvis takes up (PT).
_LEAN = (-2.0, 13.0)


@dataclass(frozen=True)
class Patient:
    """Posed bones and landmarks (see ``meshes.Anatomy``), with what they were drawn from."""

    bones: tuple[Bone, ...]
    corners: dict[str, dict[str, np.ndarray]]
    rims: dict[str, dict[str, np.ndarray]]
    heads: tuple[tuple[np.ndarray, float], ...]
    figures: Figures
    sick: Pathology

    def turned(self, degrees: float) -> Patient:
        """The same patient turned about the vertical through the sacrum."""
        turn = _rotation(2, degrees, self.corners["S1"]["SP"])
        each = lambda levels: {level: {k: _apply(turn, p) for k, p in named.items()} for level, named in levels.items()}
        return replace(
            self, bones=tuple(replace(bone, vertices=_apply(turn, bone.vertices)) for bone in self.bones),
            corners=each(self.corners), rims=each(self.rims), heads=tuple((_apply(turn, centre), radius) for centre, radius in self.heads),
        )


def tilt(corners: dict[str, np.ndarray], plate: str = "superior") -> float:
    """Degrees by which a plate rises towards the back."""
    anterior, posterior = ENDPLATES[plate]
    rise = corners[posterior] - corners[anterior]
    return float(np.degrees(np.arctan2(rise[2], rise[1])))


def wedging(corners: dict[str, np.ndarray]) -> float:
    """Degrees between a body's plates, positive when it is higher behind."""
    return tilt(corners) - tilt(corners, "inferior")


def _rotation(axis: int, degrees: float, pivot: np.ndarray) -> np.ndarray:
    """4x4 rotation about a coordinate axis through a pivot."""
    i, j = [k for k in range(3) if k != axis]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    m = np.eye(4)
    m[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
    m[:3, 3] = pivot - m[:3, :3] @ pivot
    return m


def _shift(by: np.ndarray) -> np.ndarray:
    m = np.eye(4)
    m[:3, 3] = by
    return m


def _apply(m: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ m[:3, :3].T + m[:3, 3]


def segments_of(corners: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
    """Lordosis of each level's superior plate against the next one's, degrees."""
    return {level: tilt(corners[under]) - tilt(corners[level]) for level, under in zip(LEVELS, LEVELS[1:])}


def build(anatomy: Anatomy, rng: np.random.Generator, sick: bool = True, hardware: bool = True) -> Patient:
    """Draw a patient; without ``sick`` with nothing but posture, size and perhaps ``hardware``."""
    figures = population.draw(rng, segments_of(anatomy.corners))
    ills = pathology.draw(rng, figures.age)
    if not sick:
        ills = Pathology(fused=ills.fused, cages=ills.cages, hips=ills.hips)
    if not hardware:
        ills = replace(ills, fused=(), cages=(), hips=())
    shapes = {level: _shape(anatomy, level, figures, ills, rng) for level in LEVELS}
    shaped = {
        level: dict(zip(named, shapes[level].apply(np.array(list(named.values())), landmarks=True))) for level, named in anatomy.corners.items()
    }
    whole = _stance(shaped, figures, rng)
    maps = {"S1": whole}
    for index in range(len(LEVELS) - 2, -1, -1):
        level, under = LEVELS[index], LEVELS[index + 1]
        maps[level] = maps[under] @ _joint(shaped[level], shaped[under], level, figures, ills)
    _balance(maps, shaped, rng)
    pelvis = maps["S1"] @ _pelvis(anatomy, figures)
    scale = np.diag([figures.size] * 3 + [1.0])
    foot = anatomy.corners["S1"]["SP"]
    scale[:3, 3] = foot * (1 - figures.size)
    maps, pelvis = {level: scale @ m for level, m in maps.items()}, scale @ pelvis
    # Arms are held forwards, out of the way; now and then they hang.
    raised = rng.uniform(55, 115) if rng.random() < 0.88 else rng.uniform(-10, 55)

    def placed(bone: Bone) -> Bone:
        if bone.name in LEVELS:
            points = _apply(maps[bone.name], shapes[bone.name].apply(bone.vertices))
        elif bone.name == "Sacrum":
            points = _apply(maps["S1"], shapes["S1"].apply(bone.vertices))
        elif bone.rides_on == "S1":
            points = _apply(pelvis, bone.vertices)
        elif bone.name.endswith("humerus"):
            shoulder = bone.vertices[np.argmax(bone.vertices[:, 2])]
            points = _apply(maps["T3"] @ _rotation(0, raised, shoulder), bone.vertices)
        else:
            points = _apply(maps[bone.rides_on], bone.vertices)
        return replace(bone, vertices=points)

    def carried(points: np.ndarray, level: str) -> np.ndarray:
        return _apply(maps[level], shapes[level].apply(points, landmarks=True))

    return Patient(
        tuple(placed(bone) for bone in _with_odd_ribs(anatomy.bones, ills.ribs)),
        {level: {k: _apply(maps[level], p[None])[0] for k, p in named.items()} for level, named in shaped.items()},
        {level: {plate: carried(rim, level) for plate, rim in plates.items()} for level, plates in anatomy.rims.items()},
        tuple((_apply(pelvis, centre[None])[0], radius * figures.size) for centre, radius in anatomy.heads),
        figures, ills,
    )


def _shape(anatomy: Anatomy, level: str, figures: Figures, ills: Pathology, rng: np.random.Generator) -> Shape:
    frame = Frame.of(anatomy.corners[level])
    if level == "S1":
        return Shape(frame, dome=ills.dome)
    wedge = 0.0
    if level in figures.wedging:
        wedge = figures.wedging[level] - wedging(anatomy.corners[level])
    grown = []
    for at, plate, place, reach in ills.osteophytes:
        if at == level:
            rim = anatomy.rims[level][plate]
            outward = rim[place] - rim.mean(0)
            outward /= np.linalg.norm(outward)
            # They leave the rim level with the plate, and turn a little over the disc.
            grown.append((rim[place], outward + 0.3 * frame.up * (1 if plate == "superior" else -1), reach))
    front, middle = ills.fractures.get(level, (0.0, 0.0))
    width, depth, height = np.exp(rng.normal(0, [0.04, 0.05, 0.05]))
    return Shape(frame, width, depth, height, wedge, front, middle, tuple(grown))


def _joint(own: dict, under: dict, level: str, figures: Figures, ills: Pathology) -> np.ndarray:
    """How a body moves on the one below, both still where the template has them."""
    joint = np.mean([own["IA"], own["IP"], under["SA"], under["SP"]], axis=0)
    slip = ills.slips.get(level, 0.0)
    bend = tilt(under) - tilt(own) - figures.segments[level] + _SLIP_TIPS * max(slip - 0.15, 0.0)
    plate = under["SP"] - under["SA"]
    depth = np.linalg.norm(plate)
    back = plate / depth
    up = np.array([0.0, -back[2], back[1]])
    # Bent first: what is between the plates' middles then is the disc.
    turned = _rotation(0, bend, joint)
    middle = _apply(turned, np.mean([own["IA"], own["IP"]], axis=0)[None])[0]
    gap = (middle - np.mean([under["SA"], under["SP"]], axis=0)) @ up
    height = figures.discs[level] * ills.collapsed.get(level, 1.0)
    ends = _apply(turned, np.array([own["IA"], own["IP"]])) - under["SA"]
    # No disc is so thin that its plates meet in front or behind.
    height = max(height, gap - float((ends @ up).min()) + 0.8)
    moved = _shift(up * (height - gap) - back * slip * depth) @ turned
    return moved @ _rotation(1, ills.coronal.get(level, 0.0), joint) @ _rotation(2, ills.axial.get(level, 0.0), joint)


def _stance(shaped: dict, figures: Figures, rng: np.random.Generator) -> np.ndarray:
    """The sacrum at its slope, the whole patient turned a little against the beam."""
    foot = shaped["S1"]["SP"]
    slope = _rotation(0, figures.slope - tilt(shaped["S1"]), foot)
    return _rotation(2, rng.normal(0, 4), foot) @ _rotation(1, rng.normal(0, 2.5), foot) @ slope


def _balance(maps: dict[str, np.ndarray], shaped: dict, rng: np.random.Generator) -> None:
    """T9 stands over the sacrum, give or take a lean: the pelvis turns under it."""
    foot, head = (_apply(maps[level], shaped[level]["SP"][None])[0] for level in ("S1", "T9"))
    rise = head - foot
    lean = np.degrees(np.arctan2(rise[1], rise[2]))
    wanted = np.clip(lean, *_LEAN) + rng.normal(0, 1.5)
    correction = _rotation(0, lean - wanted, foot)
    for level in maps:
        maps[level] = correction @ maps[level]


def _pelvis(anatomy: Anatomy, figures: Figures) -> np.ndarray:
    """Hips and femora turned about the sacral plate until they have the drawn incidence."""
    plate = anatomy.corners["S1"]
    middle = (plate["SA"] + plate["SP"]) / 2
    if not anatomy.heads:
        return np.eye(4)
    axis = np.mean([centre for centre, _ in anatomy.heads], axis=0)
    return _rotation(0, incidence(plate, axis) - figures.incidence, middle)


def incidence(plate: dict[str, np.ndarray], axis: np.ndarray) -> float:
    """Pelvic incidence in degrees: between the sacral plate's perpendicular and the line from its middle
    to the femoral heads' axis (Legaye et al., Eur Spine J 1998), in the sagittal plane."""
    middle = (plate["SA"] + plate["SP"]) / 2
    forwards = (plate["SA"] - plate["SP"])[1:]
    down = np.array([-forwards[1], forwards[0]])  # forwards is -y: turned so that it points down
    down *= np.sign(-down[1])
    line = (axis - middle)[1:]
    return float(np.degrees(np.arctan2(-(down[0] * line[1] - down[1] * line[0]), down @ line)))


def _with_odd_ribs(bones: tuple[Bone, ...], ribs: int) -> tuple[Bone, ...]:
    """No ribs at T12, or short ones at L1, copies of T12's."""
    last = [bone for bone in bones if bone.name in ("rib_L12", "rib_R12")]
    if ribs < 0:
        return tuple(bone for bone in bones if bone not in last)
    by_name = {bone.name: bone for bone in bones}
    if ribs > 0 and last:
        down = by_name["L1"].vertices.mean(0) - by_name["T12"].vertices.mean(0)
        more = []
        for bone in last:
            root = bone.vertices[np.argmin(np.abs(bone.vertices[:, 0]))]
            more.append(replace(bone, name=f"{bone.name}_at_L1", rides_on="L1", vertices=root + down + 0.7 * (bone.vertices - root)))
        return (*bones, *more)
    return bones
