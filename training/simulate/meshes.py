"""Bones and the landmarks marked on them, each in the frame the meshes share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import trimesh

from SpineLandmarksLib.core.anatomy import LEVELS

#: Bones that move with the sacrum, and what else shows on a lateral film.
PELVIS = ("Left_hip_bone", "Right_hip_bone", "Left_femur", "Right_femur")
RIBS = tuple(f"rib_{side}{n}" for n in range(1, 13) for side in "LR")


@dataclass(frozen=True)
class Bone:
    """A closed surface: vertices (n, 3), faces (m, 3); ``rides_on`` is the level it moves with."""

    name: str
    rides_on: str
    vertices: np.ndarray
    faces: np.ndarray

    def moved(self, vertices: np.ndarray) -> Bone:
        return replace(self, vertices=vertices)


@dataclass(frozen=True)
class Anatomy:
    """All bones, and the corners of every level (level -> corner -> (3,))."""

    bones: tuple[Bone, ...]
    corners: dict[str, dict[str, np.ndarray]]


def _loops(mesh: trimesh.Trimesh, x: float) -> list[np.ndarray]:
    """Closed (y, z) outlines of the section at ``x``."""
    section = mesh.section(plane_origin=[x, 0, 0], plane_normal=[1, 0, 0])
    return [path[:, 1:] for path in section.discrete]


def _body_corners(mesh: trimesh.Trimesh) -> dict[str, np.ndarray]:
    """Corners of the body's outline in its mid-sagittal section: in that plane the spinal canal
    parts the body, which lies in front, from the arch."""
    x = 0.0
    body = min(_loops(mesh, x), key=lambda loop: loop[:, 0].mean())
    centre = (body.min(0) + body.max(0)) / 2
    corners = {}
    tilt = 0.0
    for _ in range(3):  # the frame follows the corners found in it
        c, s = np.cos(tilt), np.sin(tilt)
        local = (body - centre) @ np.array([[c, -s], [s, c]])
        local /= np.abs(local).max(0)
        for name, (front, up) in {"SA": (-1, 1), "SP": (1, 1), "IA": (-1, -1), "IP": (1, -1)}.items():
            corners[name] = body[np.argmax(local @ np.array([front, up]))]
        along = corners["SP"] - corners["SA"] + corners["IP"] - corners["IA"]
        tilt = np.arctan2(along[1], along[0])
    return {name: np.array([x, *p]) for name, p in corners.items()}


def _sacral_corners(sacrum: trimesh.Trimesh, disc: trimesh.Trimesh) -> dict[str, np.ndarray]:
    """Ends of the sacral plate in the mid-sagittal section. The disc above only points to it: it
    bulges over both rims, and its own corners would lie up to 5 mm behind the plate's."""
    outline = max(_loops(sacrum, 0.0), key=len)
    bulge = {name: p[1:] for name, p in _body_corners(disc).items()}
    in_front = outline[outline[:, 0] <= bulge["IP"][0] + 0.5]
    posterior = in_front[np.argmax(in_front @ np.array([0.2, 1.0]))]
    forwards = bulge["IA"] - posterior
    anterior = outline[np.argmax(outline @ (forwards / np.linalg.norm(forwards) + np.array([0.0, 0.3])))]
    return {"SA": np.array([0.0, *anterior]), "SP": np.array([0.0, *posterior])}


def load(folder: Path) -> Anatomy:
    """Read the meshes of a folder (STL, named as in BodyParts3D: T1...L5, Sacrum, rib_L1, ...).

    Raises FileNotFoundError, naming the mesh, when a vertebra, the sacrum or disc_below_L5 is
    missing; ribs and pelvis may be.
    """

    def mesh(name: str) -> trimesh.Trimesh:
        path = Path(folder) / f"{name}.stl"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: the simulator needs this mesh")
        return trimesh.load(path)

    bones, corners = [], {}
    for level in LEVELS[:-1]:
        surface = mesh(level)
        bones.append(Bone(level, level, np.asarray(surface.vertices), np.asarray(surface.faces)))
        corners[level] = _body_corners(surface)
    corners["S1"] = _sacral_corners(mesh("Sacrum"), mesh("disc_below_L5"))
    riders = {"Sacrum": "S1", **{name: "S1" for name in PELVIS}, **{name: f"T{name[5:]}" for name in RIBS}}
    for name, level in riders.items():
        if name == "Sacrum" or (Path(folder) / f"{name}.stl").is_file():
            surface = mesh(name)
            bones.append(Bone(name, level, np.asarray(surface.vertices), np.asarray(surface.faces)))
    return Anatomy(tuple(bones), corners)
