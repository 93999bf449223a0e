"""``python -m training.simulate.marks``: simulated films with their corners where readers mark them.

Corners are marked on the bone meshes in the mid-sagittal plane; readers mark the outline that they see, which
lies further back, for one, where the plates' rims reach around the canal. All simulated vertebrae of a level
come from one mesh, so the difference is one small shift for each of its corners. It is measured with
networks that learnt from readers: the median of where they see a corner against where the mesh has it.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from SpineLandmarksLib.core import column
from SpineLandmarksLib.core.anatomy import LEVELS, corners_of
from SpineLandmarksLib.core.radiograph import FilmError
from SpineLandmarksLib.model import weights
from SpineLandmarksLib.model.crops import Site
from SpineLandmarksLib.model.detector import Detector
from SpineLandmarksLib.model.device import choose_device
from SpineLandmarksLib.model.sampling import Pyramid

from .. import labels
from ..labels import LabelledFilm

#: (level, corner) -> shift (forwards, upwards) in widths of the vertebra.
Shifts = dict[tuple[str, str], np.ndarray]

#: Levels that lateral lumbar films show: above, readers' networks have seen little.
_SHIFTED = LEVELS[LEVELS.index("T12") :]

#: Spread of the centres that the networks start from, in widths.
_JITTER = 0.03


def _axes(corners: dict[str, np.ndarray], level: str) -> np.ndarray:
    """(2, 2) rows forwards and upwards, each as long as the vertebra is wide, in pixels."""
    pose = column.pose_from_corners(corners, level)
    forwards = -pose.posterior
    upwards = np.array([forwards[1], -forwards[0]])
    return pose.width * np.array([forwards, upwards if upwards[1] < 0 else -upwards])


def measure(detector: Detector, films: Iterable[LabelledFilm]) -> Shifts:
    """Where networks see each corner, against where the film has it; medians over all films."""
    rng = np.random.default_rng(0)
    seen = defaultdict(list)
    for film in films:
        levels = film.levels
        if len(levels) < 3:
            continue
        centres = np.array([column.body_centre(film.corners[level], level) for level in levels])
        width = np.median([column.pose_from_corners(film.corners[level], level).width for level in levels])
        poses = column.poses_from_centres(levels, centres + rng.normal(0, _JITTER * width, centres.shape), film.facing_right)
        pyramid = Pyramid(film.load(), detector.device)
        sites = [Site(pyramid, level, pose, film.facing_right) for level, pose in zip(levels, poses) if level in _SHIFTED]
        for level, found, _ in detector.read(sites) if sites else ():
            axes = np.linalg.inv(_axes(film.corners[level], level))
            for corner in corners_of(level):
                seen[level, corner].append((found[corner].position - film.corners[level][corner]) @ axes)
    return {key: np.median(shifts, axis=0) for key, shifts in seen.items()}


def moved(corners: dict[str, np.ndarray], level: str, shifts: Shifts) -> dict[str, np.ndarray]:
    """Corners (2,) in pixels of one vertebra, each moved by its shift."""
    axes = _axes(corners, level)
    return {corner: point + shifts.get((level, corner), np.zeros(2)) @ axes for corner, point in corners.items()}


def write(folder: Path, shifts: Shifts, out: Path) -> None:
    """A copy of a folder of simulated films, with moved corners."""
    shutil.copytree(folder, out)
    with (folder / "corners.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    vertebrae = defaultdict(dict)
    for row in rows:
        vertebrae[row["film"], row["level"]][row["corner"]] = np.array([float(row["x"]), float(row["y"])])
    places = {key: moved(corners, key[1], shifts) for key, corners in vertebrae.items()}
    with (out / "corners.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        for row in rows:
            x, y = places[row["film"], row["level"]][row["corner"]]
            writer.writerow(row | {"x": f"{x:.2f}", "y": f"{y:.2f}"})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.simulate.marks", description=__doc__)
    parser.add_argument("-w", "--weights", type=Path, default=weights.FOLDER, help="networks that learnt from readers (default: the shipped ones)")
    parser.add_argument("-f", "--films", type=Path, nargs="+", required=True, help="folders of simulated films; the first is measured")
    parser.add_argument("--count", type=int, default=110, help="films to measure")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where the folders' copies go")
    arguments = parser.parse_args()
    try:
        device = choose_device("auto")
        films = {folder: labels.read(folder) for folder in arguments.films}
        for folder, some in films.items():
            if not all(film.kind == "simulated" and film.facing_right is not None for film in some):
                raise ValueError(f"{folder} holds other films than simulated lateral ones, whose corners need no moving: leave it out")
        shifts = measure(Detector(weights.load(arguments.weights, device), device), films[arguments.films[0]][: arguments.count])
        arguments.output.mkdir(parents=True, exist_ok=True)
        for folder in arguments.films:
            write(folder, shifts, arguments.output / folder.name)
    except (ValueError, OSError, FilmError, weights.WeightsError) as error:
        parser.exit(2, f"python -m training.simulate.marks: {error}\n")
    for (level, corner), (forwards, upwards) in shifts.items():
        print(f"{level} {corner}: {100 * forwards:+.1f} % forwards, {100 * upwards:+.1f} % upwards", file=sys.stderr)


if __name__ == "__main__":
    main()
