"""One film from file to picture, by stage."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from SpineLandmarksLib import films
from SpineLandmarksLib.core.column import pose_from_corners
from SpineLandmarksLib.core.measurements import measure
from SpineLandmarksLib.core.plausibility import checked
from SpineLandmarksLib.model.crops import Site, cut
from SpineLandmarksLib.model.detector import Detector
from SpineLandmarksLib.model.locate import locate
from SpineLandmarksLib.model.looks import CANVAS
from SpineLandmarksLib.model.networks import CornerNet, LocatorNet
from SpineLandmarksLib.model.sampling import Pyramid
from SpineLandmarksLib.pipeline import process
from SpineLandmarksLib.report import picture

from .rulers import bandwidth, in_turn, peak, rivals, roofline, seconds

#: How often the networks and their rulers are measured in turn.
_ROUNDS = 5


def stages(detector: Detector, path: Path, canvas: Tensor, crops: Tensor, refined: Tensor) -> dict[str, float]:
    """Seconds of every stage, of the networks with these inputs; "end to end" is what a user of ``detect`` waits for."""
    nets, device = detector.networks, detector.device
    film = films.read(path)
    found = detector.detect(film)
    measured = tuple(measure(found))
    prepared = Pyramid(film.pixels, device)
    poses = {level: pose_from_corners({name: c.position for name, c in corners.items()}, level) for level, corners in found.corners.items()}
    sites = [Site(prepared, level, pose, found.facing == "right") for level, pose in poses.items()]
    with torch.inference_mode():
        times = {
            "read": seconds(lambda: films.read(path)),
            "prepare": seconds(lambda: Pyramid(film.pixels, device), device),
            "crops": seconds(lambda: cut(nets.refiner_crop, sites), device),
            "1a network": seconds(lambda: nets.locator(canvas), device),
            "1b network": seconds(lambda: nets.corners(crops), device),
            "2 network": seconds(lambda: nets.refiner(refined), device),
            "detect": seconds(lambda: detector.detect(film), device),
            "measure": seconds(lambda: measure(checked(found))),
            "draw": seconds(lambda: picture.annotate("film", film, found, measured)),
        }
    times["end to end"] = sum(times[k] for k in ("read", "detect", "measure", "draw"))
    return times


def end_to_end(detector: Detector, path: Path) -> None:
    """From file to picture, once, as ``detect`` does it."""
    result = process(path.name, path, detector)
    picture.annotate(result.film, result.radiograph, result.detection, result.measured)


def inputs(detector: Detector, path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Random inputs of the three networks, of the sizes that a film has."""
    nets = detector.networks

    def random(n: int, width: int, height: int) -> Tensor:
        return torch.randn(n, 3, height, width, device=detector.device).to(memory_format=torch.channels_last)

    (located,) = locate(nets.locator, [Pyramid(films.read(path).pixels, detector.device)])
    corners, refiner = nets.corners_crop.size, nets.refiner_crop.size
    n = len(located.chain.levels)
    return random(located.looks, *CANVAS), random(n, corners, corners), random(n, refiner, refiner)


@torch.inference_mode()
def over_roofline(detector: Detector, shapes: Sequence[Tensor]) -> float:
    """How many times their roofline the three networks take: median of rounds, each with rulers of its own, because the
    speed of a shared machine changes from minute to minute."""
    nets, device, ratios = detector.networks, str(detector.device), []
    plain = [kind().eval().to(device) for kind in (LocatorNet, CornerNet, CornerNet)]
    for _ in range(_ROUNDS):
        top, wide = peak(device), bandwidth(device)
        bounds = [roofline(network, x, top, wide) for network, x in zip(plain, shapes)]
        operations, least = (sum(values) for values in zip(*bounds))
        took = sum(seconds(partial(network, x), device) for network, x in zip((nets.locator, nets.corners, nets.refiner), shapes))
        ratios.append(took / least)
    median = statistics.median(ratios)
    print(f"  networks: {operations / 1e9:.1f} GFLOP, {median:.2f} x their roofline (peak {top / 1e9:.0f} GFLOP/s, copies {wide / 1e9:.1f} GB/s)")
    return median


def report(detector: Detector, path: Path) -> dict[str, float]:
    """Print one film's stages beside the machine's rulers; returns the ratios."""
    device = str(detector.device)
    shapes = inputs(detector, path)
    times = stages(detector, path, *shapes)
    print(f"\n{path.name}, {device}, {torch.get_num_threads()} thread(s)")
    for name, value in times.items():
        print(f"  {name:12}{1000 * value:9.1f} ms {100 * value / times['end to end']:6.1f} % of end to end")
    ratios = {"networks / roofline": over_roofline(detector, shapes)}
    for name, forward in rivals(device).items():
        ratio = ratios[f"end to end / {name}"] = in_turn(lambda: end_to_end(detector, path), forward, device)
        print(f"  end to end is {ratio:.2f} x {name} at 1024")
    return ratios
