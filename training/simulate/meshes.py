"""Bones and the landmarks marked on them, once per mesh, each in the frame the meshes share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import trimesh

from SpineLandmarksLib.core.anatomy import LEVELS

#: Bones that move with a level, where their meshes are there.
RIDERS = {
    **{name: "S1" for name in ("Left_hip_bone", "Right_hip_bone", "Left_femur", "Right_femur")},
    **{f"rib_{side}{n}": f"T{n}" for n in range(1, 13) for side in "LR"},
    **{f"{side}_{bone}": "T3" for bone in ("humerus", "scapula", "clavicle") for side in ("Left", "Right")},
    "Manubrium": "T3", "Body_of_sternum": "T5",
}

#: Cortex of other bones against that of vertebral bodies, which is but a thin shell: the wings of the ilium
#: show through the sacrum, as thick walls seen at a slant do. Chosen by eye beside real films.
_CORTEX = {"rib": 0.4, "scapula": 0.4, "clavicle": 0.4, "Manubrium": 0.4, "sternum": 0.4, "hip_bone": 2.0, "femur": 3.0, "humerus": 2.0, "Sacrum": 1.3}
_ARCH = 1.8

#: Points around each endplate's rim, from the anterior midline to the patient's left and on.
RIM_POINTS = 24


@dataclass(frozen=True)
class Bone:
    """A closed surface: vertices (n, 3), faces (m, 3); ``rides_on`` is the level it moves with; ``cortex``
    its thickness against that of vertebral bodies, of all faces or of each (m,)."""

    name: str
    rides_on: str
    vertices: np.ndarray
    faces: np.ndarray
    cortex: float | np.ndarray = 1.0


@dataclass(frozen=True)
class Anatomy:
    """All bones; the corners of every level (level -> corner -> (3,)); the rims of its endplates (level
    -> "superior" or "inferior" -> (n, 3)); the femoral heads, centre (3,) and radius, left one first."""

    bones: tuple[Bone, ...]
    corners: dict[str, dict[str, np.ndarray]]
    rims: dict[str, dict[str, np.ndarray]]
    heads: tuple[tuple[np.ndarray, float], ...]


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


def _rim(vertices: np.ndarray, anterior: np.ndarray, posterior: np.ndarray, up: float) -> np.ndarray:
    """(RIM_POINTS, 3) rim of the plate between two corners; ``up`` is 1 for a superior one.

    In each direction from the plate's middle the vertex that lies furthest out and up; its two corners
    stand where the midline crosses the rim."""
    middle, half = (anterior + posterior) / 2, np.linalg.norm(posterior - anterior) / 2
    back = (posterior - anterior) / (2 * half)
    across, normal = np.array([1.0, 0.0, 0.0]), np.array([0.0, -back[2], back[1]]) * up
    local = (vertices - middle) @ np.stack([across, back, normal], axis=1) / half
    angle, reach = np.arctan2(local[:, 0], -local[:, 1]), np.hypot(local[:, 0], local[:, 1])
    near = (reach > 0.5) & (reach < 1.5) & (np.abs(local[:, 2]) < 0.35)
    rim = []
    for wanted in np.linspace(0, 2 * np.pi, RIM_POINTS, endpoint=False):
        turn = np.abs(np.angle(np.exp(1j * (angle - wanted))))
        some = np.flatnonzero(near & (turn < np.radians(12)))
        if len(some):
            rim.append(vertices[some[np.argmax(reach[some] + 1.5 * local[some, 2])]])
        else:
            rim.append(middle + half * (np.sin(wanted) * across - np.cos(wanted) * back))
    rim[0], rim[RIM_POINTS // 2] = anterior, posterior
    return np.array(rim)


def arch_cortex(mesh: trimesh.Trimesh, corners: dict[str, np.ndarray]) -> np.ndarray:
    """(m,) relative cortex of a vertebra's faces: thicker behind the body's posterior wall."""
    y, z = mesh.triangles_center[:, 1:].T
    top, bottom = corners["SP"][1:], corners["IP"][1:]
    wall = bottom[0] + (z - bottom[1]) * (top[0] - bottom[0]) / (top[1] - bottom[1])
    return np.where(y > wall + 1, _ARCH, 1.0)


def _head(femur: trimesh.Trimesh) -> tuple[np.ndarray, float]:
    """Sphere fitted to a femur's head: its most medial part near the upper end, by least squares on the
    surface within 2 mm, again and again."""
    v = np.asarray(femur.vertices)
    inward = -np.sign(v[:, 0].mean())
    upper = v[v[:, 2] > v[:, 2].max() - 70]
    some = upper[upper[:, 0] * inward > np.quantile(upper[:, 0] * inward, 0.7)]
    for _ in range(30):
        a = np.column_stack([2 * some, np.ones(len(some))])
        solution, *_ = np.linalg.lstsq(a, (some**2).sum(1), rcond=None)
        centre = solution[:3]
        radius = float(np.sqrt(solution[3] + centre @ centre))
        distance = np.linalg.norm(upper - centre, axis=1)
        some = upper[np.abs(distance - radius) < 2]
    return centre, radius


def load(folder: Path) -> Anatomy:
    """Read the meshes of a folder (STL, named as in BodyParts3D: T1...L5, Sacrum, rib_L1, ...).

    Raises FileNotFoundError, naming the mesh, when a vertebra, the sacrum or disc_below_L5 is
    missing; all others may be.
    """

    def mesh(name: str) -> trimesh.Trimesh:
        path = Path(folder) / f"{name}.stl"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: the simulator needs this mesh")
        return trimesh.load(path)

    def bone(name: str, level: str, surface: trimesh.Trimesh) -> Bone:
        cortex = next((value for part, value in _CORTEX.items() if part in name), 1.0)
        return Bone(name, level, np.asarray(surface.vertices, float), np.asarray(surface.faces), cortex)

    bones, corners, rims, heads = [], {}, {}, []
    for level in LEVELS[:-1]:
        surface = mesh(level)
        corners[level] = c = _body_corners(surface)
        bones.append(replace(bone(level, level, surface), cortex=arch_cortex(surface, c)))
        rims[level] = {
            "superior": _rim(bones[-1].vertices, c["SA"], c["SP"], 1), "inferior": _rim(bones[-1].vertices, c["IA"], c["IP"], -1),
        }
    sacrum = mesh("Sacrum")
    bones.append(bone("Sacrum", "S1", sacrum))
    corners["S1"] = c = _sacral_corners(sacrum, mesh("disc_below_L5"))
    rims["S1"] = {"superior": _rim(bones[-1].vertices, c["SA"], c["SP"], 1)}
    for name, level in RIDERS.items():
        if (Path(folder) / f"{name}.stl").is_file():
            surface = mesh(name)
            bones.append(bone(name, level, surface))
            if name.endswith("femur"):
                heads.append(_head(surface))
    return Anatomy(tuple(bones), corners, rims, tuple(heads))
