"""One simulated film from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from SpineLandmarksLib.core.anatomy import LEVELS

from ..perspective import through
from . import finish, hardware, tissue
from .exposure import BONE, LAYERS, METAL, expose
from .meshes import Anatomy
from .patient import Patient, build
from .projection import Beam, Surface, path_lengths

#: What can be left out, to see what it is good for.
INGREDIENTS = ("sickness", "hardware", "tissue", "processing", "photography")

#: The part of a seed (see ``_draws``) that draws the patient.
_BODY = 1


@dataclass(frozen=True)
class SimulatedFilm:
    """Pixels (height, width) 0 to 1. Corners and rims in pixels by level and name, and femoral heads as
    circles (centre (2,), radius in pixels), on the film or not. ``levels_certain``: whether ribs and
    sacrum agree about the names. A frontal film (AP, PA) faces neither side (None) and has no corners."""

    pixels: np.ndarray
    corners: dict[str, dict[str, np.ndarray]]
    rims: dict[str, dict[str, np.ndarray]]
    heads: tuple[tuple[np.ndarray, float], ...]
    facing_right: bool | None
    levels_certain: bool
    pixel: float  # mm on the detector
    patient: Patient


def simulate(anatomy: Anatomy, seed: int, pixel: float = 0.7, **more) -> SimulatedFilm:
    """Render one film (see :func:`simulate_many`)."""
    (film,) = simulate_many(anatomy, [seed], pixel, **more)
    return film


def simulate_many(
    anatomy: Anatomy, seeds: Sequence[int], pixel: float = 0.7, lumbar: bool | None = None, facing_right: bool | None = None,
    device: str = "cpu", without: tuple[str, ...] = (), frontal: bool = False,
) -> list[SimulatedFilm]:
    """Render a film for each seed, their projections as one batch; the same seed gives the same film on
    the same kind of device (in another batch but for rounding).

    ``pixel`` is the detector's pitch in mm. ``lumbar`` chooses a lumbar field of view (True) or
    one up to the whole spine (False), ``facing_right`` the side; None draws them. ``without``: which of
    ``INGREDIENTS`` to leave out. ``frontal``: AP and PA films instead of lateral ones.
    """
    plans = [_planned(anatomy, seed, pixel, lumbar, facing_right, device, without, frontal) for seed in seeds]
    paths = path_lengths([(plan.surfaces, plan.beam) for plan in plans], LAYERS, device)
    return [_rendered(plan, *path, without) for plan, path in zip(plans, paths)]


def largest_slip(anatomy: Anatomy, seed: int) -> float:
    """By how much a vertebra of this seed's patient has slipped, as a share of the plate below."""
    return max(build(anatomy, _draws(seed, _BODY)).sick.slips.values(), default=0.0)


@dataclass(frozen=True)
class _Plan:
    """A film before it is taken; ``mirrored``: the picture is to be turned over."""

    seed: int
    patient: Patient
    surfaces: list[Surface]
    beam: Beam
    grid: tissue.Grid
    mirrored: bool
    frontal: bool


def _draws(seed: int, part: int) -> np.random.Generator:
    """Each part draws from a generator of its own: leaving one out changes nothing else."""
    return np.random.default_rng([seed, part])


def _planned(anatomy: Anatomy, seed: int, pixel: float, lumbar, facing_right, device: str, without: tuple[str, ...], frontal: bool) -> _Plan:
    body = _draws(seed, _BODY)
    patient = build(anatomy, body, sick="sickness" not in without, hardware="hardware" not in without)
    if frontal:
        turn = _draws(seed, 6)
        patient = patient.turned(turn.choice([90, 270]) + turn.normal(0, 8))
    beam, grid, mirrored = _setup(patient, pixel, lumbar, facing_right, _draws(seed, 0), device)
    bones = [Surface(b.vertices, b.faces, BONE, b.cortex) for b in patient.bones]
    return _Plan(seed, patient, [*bones, *hardware.surfaces(patient, body, METAL)], beam, grid, mirrored, frontal)


def _rendered(plan: _Plan, thickness: torch.Tensor, crossings: torch.Tensor, without: tuple[str, ...]) -> SimulatedFilm:
    patient, beam, device = plan.patient, plan.beam, str(thickness.device)
    soft, beam_rng, detector, finishing = (_draws(plan.seed, part) for part in (2, 3, 4, 5))
    water = _water(patient, plan.grid, soft, "tissue" not in without, plan.frontal)
    h, w = shape = tuple(water.shape)
    # The anode's heel: the beam is weaker towards one end of the tube.
    heel = 1 + beam_rng.normal(0, 0.12) * torch.linspace(-1, 1, h, device=device)[:, None].expand(shape)
    counts = expose(thickness, crossings, water, beam.pixel, heel, beam_rng, torch.Generator(device).manual_seed(plan.seed))
    if "processing" in without:
        picture = _plain(counts)
    else:
        opened = finish.collimator(shape, detector, device)
        picture = finish.processed(counts, opened, beam.pixel, detector) * opened
    picture, move = picture.cpu().numpy(), np.eye(3)
    if plan.mirrored:
        picture, move = np.ascontiguousarray(picture[:, ::-1]), np.array([[-1, 0, w - 1], [0, 1, 0], [0, 0, 1.0]])
    if "photography" not in without:
        picture = finish.marked(picture, finishing)
        if finishing.random() < 0.3:
            picture, perspective = finish.photographed(picture, finishing)
            move = perspective @ move
    seen = lambda points: through(move, beam.project(points))
    if plan.frontal:
        return SimulatedFilm(np.ascontiguousarray(picture, np.float32), {}, {}, (), None, False, beam.pixel, patient)
    return SimulatedFilm(
        np.ascontiguousarray(picture, np.float32),
        {level: {k: seen(p[None])[0] for k, p in named.items()} for level, named in patient.corners.items()},
        {level: {k: seen(rim) for k, rim in plates.items()} for level, plates in patient.rims.items()},
        tuple(_circle(centre, radius, seen) for centre, radius in patient.heads),
        plan.mirrored, patient.sick.ribs == 0, beam.pixel, patient,
    )


def _plain(counts: torch.Tensor) -> torch.Tensor:
    """Nothing but the logarithm and a window over everything."""
    film = -torch.log(counts.clamp_min(1e-6))
    low, high = film.amin(), film.amax()
    return (film - low) / (high - low).clamp_min(1e-6)


def _circle(centre: np.ndarray, radius: float, seen) -> tuple[np.ndarray, float]:
    """A sphere's shadow, in pixels; so near to round that the mean of two directions is its radius."""
    points = seen(centre + radius * np.array([[0, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]]))
    return points[0], float((np.linalg.norm(points[1] - points[2]) + np.linalg.norm(points[3] - points[4])) / 4)


def _setup(patient: Patient, pixel: float, lumbar, facing_right, rng: np.random.Generator, device: str) -> tuple[Beam, tissue.Grid, bool]:
    """Where tube, patient and detector stand, and how much of the spine the film shows."""
    lumbar = rng.random() < 0.75 if lumbar is None else lumbar
    facing_right = bool(rng.random() < 0.5) if facing_right is None else facing_right
    tops = (LEVELS.index("T8"), LEVELS.index("L1") + 1) if lumbar else (0, LEVELS.index("T9"))
    top_level = LEVELS[rng.integers(*tops)]
    centre = {level: np.mean(list(c.values()), axis=0) for level, c in patient.corners.items()}
    # Whole-spine films mostly reach to the hips.
    margin = rng.uniform(15, (90, 90 if lumbar else 190))
    if rng.random() < 0.15:
        margin[1] = rng.uniform(-30, 10)  # films that miss the sacrum
    top, bottom = centre[top_level][2] + margin[0] * 0.5, centre["S1"][2] - margin[1]
    ys = np.array([c[1] for c in centre.values() if bottom <= c[2] <= top])
    front, back = ys.min() - rng.uniform(30, 150), ys.max() + rng.uniform(30, 120)
    distance, object_distance = rng.uniform(1000, 2000), rng.uniform(180, 350)
    aim = np.array([(front + back) / 2 + rng.normal(0, 30), (top + bottom) / 2 + rng.normal(0, 40)])
    source, detector = np.array([distance - object_distance, *aim]), -object_distance
    scale = (detector - source[0]) / (0 - source[0])
    origin = (aim[0] + scale * (front - aim[0]), aim[1] + scale * (top - aim[1]))
    size = (max(64, int(scale * (back - front) / pixel)), max(64, int(scale * (top - bottom) / pixel)))
    y = aim[0] + (origin[0] + pixel * np.arange(size[0]) - aim[0]) / scale
    z = aim[1] + (origin[1] - pixel * np.arange(size[1]) - aim[1]) / scale
    wall = np.array([patient.corners[level]["SP"][1:] for level in LEVELS])
    return Beam(source, detector, pixel, size, origin), tissue.Grid.of(y, z, wall, device), facing_right


def _water(patient: Patient, grid: tissue.Grid, rng: np.random.Generator, details: bool, frontal: bool) -> torch.Tensor:
    water = tissue.trunk(grid, rng, patient.figures.woman, frontal)
    if details:
        ends = []
        for bone in patient.bones:
            if bone.name.endswith("humerus"):
                v = bone.vertices
                shoulder = v[np.argmax(v[:, 2])]
                ends.append((shoulder[1:], v[np.argmax(np.linalg.norm(v - shoulder, axis=1))][1:]))
        water = water + tissue.arms(grid, rng, ends) + tissue.clothing(grid, rng)
    return water
