"""``python -m training.simulate``: a folder of simulated films in the format of ``training.labels.folder``."""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from SpineLandmarksLib.model.device import DeviceError, choose_device

from ..labels.folder import SIDES
from .film import INGREDIENTS, SimulatedFilm, largest_slip, simulate_many
from .meshes import Anatomy, load
from .pathology import LARGEST_SLIP

_HEADS = {
    "films": ("film", "file", "anterior", "quality", "levels_certain", "kind", "pixel_mm"),
    "corners": ("film", "level", "corner", "x", "y", "confidence", "on_film"),
    "femoral_heads": ("film", "side", "x", "y", "radius", "on_film"),
}
_SIDE_OF = {facing_right: side for side, facing_right in SIDES.items()}


def rows(name: str, film: SimulatedFilm) -> dict[str, list[tuple]]:
    """Rows of the three tables; coordinates and radii in pixels, centre of the first = 0, 0."""
    h, w = film.pixels.shape
    on_film = lambda p: "yes" if -0.5 <= p[0] <= w - 0.5 and -0.5 <= p[1] <= h - 0.5 else "no"
    certain = "yes" if film.levels_certain else "no"
    return {
        "films": [(name, f"{name}.png", _SIDE_OF[film.facing_right], "simulated", certain, "simulated", film.pixel)],
        "corners": [
            (name, level, corner, f"{p[0]:.2f}", f"{p[1]:.2f}", "high", on_film(p)) for level, named in film.corners.items() for corner, p in named.items()
        ],
        "femoral_heads": [
            (name, side, f"{p[0]:.2f}", f"{p[1]:.2f}", f"{radius:.2f}", on_film(p)) for side, (p, radius) in zip(("left", "right"), film.heads)
        ],
    }


def _number(kind: type, least: float, most: float = math.inf):
    """A number from ``least`` to ``most``, for argparse."""

    def number(text: str):
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {least:g} or more" + (f", {most:g} at most" if most < math.inf else ""))
        return value

    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.simulate", description=__doc__)
    parser.add_argument("--count", type=_number(int, 1), required=True)
    parser.add_argument("--seed", type=_number(int, 0), default=0, help="seed of the first film; the next has the next")
    parser.add_argument("--meshes", type=Path, required=True, help="folder of STL bones, as BodyParts3D names them")
    parser.add_argument("--pixel", type=_number(float, 0.05, 5), default=0.7, help="detector pitch in mm")
    parser.add_argument("--lumbar", action="store_true", help="lumbar fields of view only (default: any)")
    parser.add_argument("--facing", choices=("left", "right"), help="side the patient faces (default: either)")
    parser.add_argument("--least-slip", type=_number(float, 0, LARGEST_SLIP), default=0.0,
                        help="only patients with a slip of this share of a plate; other seeds are skipped")
    parser.add_argument("--frontal", action="store_true", help="AP and PA films, which step 1a must not take for lateral ones")
    parser.add_argument("--without", nargs="+", default=[], choices=INGREDIENTS, help="leave these out")
    parser.add_argument("--batch", type=_number(int, 1), help="films whose projections are made together (default: 1, on a GPU 16)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder without films")
    return parser


def _films(arguments: argparse.Namespace, anatomy: Anatomy, device: str) -> Iterator[tuple[int, SimulatedFilm]]:
    """Seeds and their films, one after the other."""
    facing = None if arguments.facing is None else arguments.facing == "right"
    # A GPU wants many films at once, a CPU's cache one.
    batch = arguments.batch or (16 if device.startswith("cuda") else 1)
    slipped = (seed for seed in itertools.count(arguments.seed) if arguments.least_slip <= 0 or largest_slip(anatomy, seed) >= arguments.least_slip)
    chosen = itertools.islice(slipped, arguments.count)
    while seeds := list(itertools.islice(chosen, batch)):
        films = simulate_many(anatomy, seeds, arguments.pixel, arguments.lumbar or None, facing, device, tuple(arguments.without), arguments.frontal)
        yield from zip(seeds, films)


def _write(films: Iterable[tuple[int, SimulatedFilm]], count: int, out: Path) -> None:
    """Films and their tables into a folder; what is done when it is stopped is whole."""
    started = time.monotonic()
    with ExitStack() as stack:
        writers = {name: csv.writer(stack.enter_context((out / f"{name}.csv").open("w", newline=""))) for name in _HEADS}
        for name, head in _HEADS.items():
            writers[name].writerow(head)
        for done, (seed, film) in enumerate(films, 1):
            name = f"S{seed:06d}"
            Image.fromarray((film.pixels * 255).astype(np.uint8)).save(out / f"{name}.png")
            for table, some in rows(name, film).items():
                writers[table].writerows(some)
            if sys.stderr.isatty():
                print(f"\r\033[K{done}/{count} films, {done / (time.monotonic() - started):.1f} a second", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.least_slip > 0 and "sickness" in arguments.without:
        parser.error("--least-slip asks for slips, which --without sickness leaves out: give one of the two")
    try:
        anatomy, device = load(arguments.meshes), choose_device(arguments.device)
        if (arguments.output / "films.csv").exists():
            raise ValueError(f"{arguments.output} has films already, whose tables would be lost: name another folder, or delete it")
        arguments.output.mkdir(parents=True, exist_ok=True)
        _write(_films(arguments, anatomy, device), arguments.count, arguments.output)
    except (ValueError, OSError, DeviceError) as error:
        parser.exit(2, f"python -m training.simulate: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"python -m training.simulate: stopped, {arguments.output} has the films so far\n")


if __name__ == "__main__":
    main()
