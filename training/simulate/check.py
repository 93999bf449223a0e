"""Whether simulated films look and measure like real ones: python -m training.simulate.check --help

Writes the distributions of what was rendered beside the published ones (table and plot), and a sheet of
simulated films beside crops of real ones for somebody to look at. Pictures of real films are for those
who may see them: they are not published.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from SpineLandmarksLib.core.radiograph import FilmError

from .. import labels
from .meshes import load
from .patient import Patient, build, incidence, segments_of, tilt, wedging
from .population import SEGMENTS, WEDGING, WEDGING_SD

#: name -> (mean, SD) published; see ``population``. Kyphosis: the middle and a quarter of its usual range.
#: Sizes: men's L5 in CT (n = 196) and lumbar discs (n = 106), as collected with the anatomy.
PUBLISHED = {
    "PI": (53, 10.5), "PT": (13, 6.75), "SS": (40, 8), "LL L1-S1": (50, 11), "TK T4-T12": (35, 7.5),
    **{f"segment {level}": figures for level, figures in SEGMENTS.items()},
    **{f"wedge {level}": (sum(values) / 2, WEDGING_SD) for level, values in WEDGING.items()},
    "L5 depth, men": (35.7, 3.5), "L5 anterior height, men": (30.3, 1.9), "L5 posterior height, men": (26.3, 1.9),
    "disc L1 anterior": (6.9, 2), "disc L5 anterior": (13.6, 3.5),
}


def measured(patient: Patient) -> dict[str, float]:
    """The same of one posed patient, degrees and mm."""
    c, segments = patient.corners, segments_of(patient.corners)
    slope = tilt(c["S1"])
    out = {"SS": slope, "LL L1-S1": sum(segments[f"L{n}"] for n in range(1, 6)), "TK T4-T12": -sum(segments[f"T{n}"] for n in range(4, 12))}
    if patient.heads:
        out["PI"] = incidence(c["S1"], np.mean([centre for centre, _ in patient.heads], axis=0))
        out["PT"] = out["PI"] - slope
    out |= {f"segment {level}": segments[level] for level in SEGMENTS}
    out |= {f"wedge {level}": wedging(c[level]) for level in WEDGING}
    if not patient.figures.woman:
        length = lambda a, b: float(np.linalg.norm(c["L5"][a] - c["L5"][b]))
        out |= {"L5 depth, men": length("SA", "SP"), "L5 anterior height, men": length("SA", "IA"), "L5 posterior height, men": length("SP", "IP")}
    for upper, lower in (("L1", "L2"), ("L5", "S1")):
        out[f"disc {upper} anterior"] = float(np.linalg.norm(c[upper]["IA"] - c[lower]["SA"]))
    return out


def distributions(meshes: Path, count: int, sick: bool) -> dict[str, list[float]]:
    """Values of ``count`` patients by name."""
    anatomy, found = load(meshes), defaultdict(list)
    for seed in range(count):
        for name, value in measured(build(anatomy, np.random.default_rng([seed, 1]), sick=sick)).items():
            found[name].append(value)
    return found


def table(found: dict[str, list[float]]) -> str:
    """Markdown: published and rendered mean and SD."""
    rows = ["| | published | rendered |", "|---|---|---|"]
    rows += [f"| {name} | {mean:.1f} ± {sd:.1f} | {np.mean(found[name]):.1f} ± {np.std(found[name]):.1f} |" for name, (mean, sd) in PUBLISHED.items()]
    return "\n".join(rows)


def plot(found: dict[str, list[float]], path: Path) -> None:
    """Histograms with the published normal curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 13), layout="constrained")
    axes = figure.subplots(5, -(-len(PUBLISHED) // 5)).ravel()
    for axis in axes[len(PUBLISHED):]:
        axis.remove()
    for axis, (name, (mean, sd)) in zip(axes, PUBLISHED.items()):
        axis.hist(found[name], bins=30, density=True, color="0.7")
        x = np.linspace(mean - 4 * sd, mean + 4 * sd, 100)
        axis.plot(x, np.exp(-(((x - mean) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi)))
        axis.set(title=name, yticks=[])
    figure.savefig(path, dpi=70)


def sheet(simulated: Path, real: Path, path: Path, count: int = 24) -> None:
    """Films upright and scaled to the same body width: simulated ones above, real ones below."""
    side, across = 220, 8
    made, true = (list(_crops(folder, count, side)) for folder in (simulated, real))
    rows = [some[i : i + across] for some in (made, true) for i in range(0, len(some), across)]
    image = Image.new("L", (across * side, len(rows) * side))
    for y, row in enumerate(rows):
        for x, crop in enumerate(row):
            image.paste(crop, (x * side, y * side))
    image.save(path)


def _crops(folder: Path, count: int, side: int):
    """Four body widths around a lumbar vertebra of each film; again from the first when films run out."""
    films = [film for film in labels.read(folder) if "L4" in film.levels]
    for k in range(count):
        film, level = films[k % len(films)], ("L4", "L3", "L5")[k // len(films) % 3]
        c = film.corners.get(level, {})
        if not {"SA", "SP", "IA", "IP"} <= set(c):
            c = film.corners["L4"]
        half = 2 * np.linalg.norm(c["SA"] - c["SP"])
        x, y = np.mean(list(c.values()), axis=0)
        pixels = film.load()
        low, high = np.percentile(pixels, (0.5, 99.5))
        grey = Image.fromarray((np.clip((pixels - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8))
        crop = grey.crop((int(x - half), int(y - half), int(x + half), int(y + half))).resize((side, side))
        yield crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if film.facing_right else crop


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.simulate.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshes", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000, help="patients")
    parser.add_argument("--sick", action="store_true", help="with slips, fractures and all the rest")
    parser.add_argument("--simulated", type=Path, help="folder of simulated films for the sheet")
    parser.add_argument("--real", type=Path, help="folder of real films for the sheet")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
        found = distributions(arguments.meshes, arguments.count, arguments.sick)
        print(table(found))
        plot(found, arguments.output / "distributions.png")
        if arguments.simulated and arguments.real:
            sheet(arguments.simulated, arguments.real, arguments.output / "sheet.png")
    except (ValueError, OSError, FilmError) as error:
        parser.exit(2, f"python -m training.simulate.check: {error}\n")


if __name__ == "__main__":
    main()
