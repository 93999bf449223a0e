"""``python -m training.simulate``: a folder of simulated films in the format of ``training.dataset``."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

from .film import simulate
from .meshes import load


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.simulate", description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first film; the next has the next")
    parser.add_argument("--meshes", type=Path, required=True, help="folder of STL bones, as BodyParts3D names them")
    parser.add_argument("--pixel", type=float, default=0.7, help="detector pitch in mm")
    parser.add_argument("--lumbar", action="store_true", help="lumbar fields of view only (default: any)")
    parser.add_argument("--facing", choices=("left", "right"), help="side the patient faces (default: either)")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    anatomy = load(arguments.meshes)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with (arguments.output / "films.csv").open("w", newline="") as films, (arguments.output / "corners.csv").open("w", newline="") as corners:
        film_rows, corner_rows = csv.writer(films), csv.writer(corners)
        film_rows.writerow(["film", "file", "anterior", "levels_certain", "kind"])
        corner_rows.writerow(["film", "level", "corner", "x", "y", "confidence", "on_film"])
        for seed in range(arguments.seed, arguments.seed + arguments.count):
            film = simulate(anatomy, seed, arguments.pixel, arguments.lumbar or None, arguments.facing and arguments.facing == "right")
            name = f"S{seed:06d}"
            Image.fromarray((film.pixels * 255).astype(np.uint8)).save(arguments.output / f"{name}.png")
            film_rows.writerow([name, f"{name}.png", "right" if film.facing_right else "left", "yes", "simulated"])
            h, w = film.pixels.shape
            for level, points in film.corners.items():
                for corner, (x, y) in points.items():
                    on_film = -0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5
                    corner_rows.writerow([name, level, corner, f"{x:.2f}", f"{y:.2f}", "high", "yes" if on_film else "no"])


if __name__ == "__main__":
    main()
