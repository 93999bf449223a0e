"""Labelled films changed on purpose: turned, cut off, worn, photographed askew. What do weights bear?

Every change gives a new film with its corners where they went; greys of changed films run from 0 to 1, about.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy import ndimage

from SpineLandmarksLib.core import frames
from SpineLandmarksLib.core.radiograph import grey_range

from .. import perspective
from ..labels import LabelledFilm

Change = Callable[[LabelledFilm, np.random.Generator], LabelledFilm]

#: What a film is told apart by in tables (``FilmErrors.groups``), and what it says of one that was not changed.
GROUP, AS_IS = "changed", "as is"


def versions(film: LabelledFilm) -> Iterator[LabelledFilm]:
    """A lateral film as it is and after every change, always the same ones; nothing of other films."""
    if film.facing_right is None:
        return
    film = replace(film, pixels=film.load())  # read once for all
    yield replace(film, groups={**film.groups, GROUP: AS_IS})
    for name, change in CHANGES.items():
        changed = change(film, np.random.default_rng(zlib.crc32(f"{film.name} {name}".encode())))
        yield replace(changed, groups={**film.groups, GROUP: name})


def _unit(film: LabelledFilm) -> np.ndarray:
    pixels = film.load()
    low, high = grey_range(pixels, (1, 99))
    return (pixels - low) / max(high - low, 1e-6)


def _greys(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    return lambda film, rng: replace(film, pixels=change(_unit(film), rng).astype(np.float32))


def _through(
    film: LabelledFilm, matrix: np.ndarray, margin: float = 0.0, surround: float | Callable[[np.ndarray, np.ndarray], np.ndarray] = 0.0,
) -> LabelledFilm:
    """The film through a 3x3 map, all of it, with ``margin`` of its size to each side. ``surround``: the grey around it, or what
    gives it from x and y, 0 to 1."""
    pixels = _unit(film)
    h, w = pixels.shape
    edges = perspective.through(matrix, np.array([(0, 0), (w - 1, 0), (0, h - 1), (w - 1, h - 1)], float))
    low, high = edges.min(0), edges.max(0)
    margins = margin * (high - low)
    matrix = frames.translation(*(margins - low)) @ matrix
    w, h = np.ceil(high - low + 2 * margins).astype(int) + 1
    scale = frames.scale_of(matrix)
    if scale < 1:
        pixels = ndimage.gaussian_filter(pixels, 0.4 / scale)  # a smaller film does not alias
    y, x = np.mgrid[:h, :w]
    source = perspective.through(np.linalg.inv(matrix), np.stack([x, y], -1).astype(float))
    seen = ndimage.map_coordinates(pixels, source[..., ::-1].transpose(2, 0, 1), order=1, cval=np.nan)
    around = surround(x / w, y / h) if callable(surround) else surround
    corners = {level: {name: perspective.through(matrix, p) for name, p in named.items()} for level, named in film.corners.items()}
    return replace(film, pixels=np.where(np.isnan(seen), around, seen).astype(np.float32), corners=corners)


def _turned(degrees: float) -> Change:
    return lambda film, rng: _through(film, frames.rotation_about(np.zeros(2), degrees))


def _scaled(x: float, y: float) -> Change:
    return lambda film, rng: _through(film, np.diag([x, y, 1.0]))


def _rows(height: int) -> Change:
    return lambda film, rng: _through(film, frames.scaling(height / len(film.load())))


def _bordered(grey: float) -> Change:
    return lambda film, rng: _through(film, np.eye(3), margin=0.3, surround=grey)


def _mirrored(film: LabelledFilm, rng: np.random.Generator) -> LabelledFilm:
    mirrored = _through(film, frames.mirror(film.load().shape[1]))
    return replace(mirrored, facing_right=not film.facing_right)


def _askew(film: LabelledFilm, rng: np.random.Generator, by: float) -> np.ndarray:
    """The map of a photograph whose corners are off by up to this share of the film's sides."""
    h, w = film.load().shape
    corners = np.array([(0, 0), (w, 0), (w, h), (0, h)], float)
    seen = corners + rng.uniform(0, by, (4, 2)) * (w, h) * [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    return perspective.homography(corners, seen)


def _photographed(film: LabelledFilm, rng: np.random.Generator) -> LabelledFilm:
    return _through(film, _askew(film, rng, 0.1))


def _on_a_light_box(film: LabelledFilm, rng: np.random.Generator) -> LabelledFilm:
    matrix = frames.rotation_about(np.zeros(2), rng.uniform(-6, 6)) @ _askew(film, rng, 0.06)
    return _through(film, matrix, 0.15, lambda x, y: 1.2 - 0.9 * ((x - 0.5) ** 2 + (y - 0.4) ** 2))


def _cut(top: float, bottom: float) -> Change:
    """Only the rows between two shares of the film's height, and the vertebrae that lie on them with all corners."""

    def change(film: LabelledFilm, rng: np.random.Generator) -> LabelledFilm:
        pixels = _unit(film)
        h = len(pixels)
        low, high = int(top * h), int(bottom * h)
        whole = {level: named for level, named in film.corners.items() if all(low <= p[1] < high for p in named.values())}
        corners = {level: {name: p - (0, low) for name, p in named.items()} for level, named in whole.items()}
        return replace(film, pixels=pixels[low:high].astype(np.float32), corners=corners, weights={level: film.weights[level] for level in corners})

    return change


def _blurred(pixels: np.ndarray, share: float) -> np.ndarray:
    """``share``: the standard deviation over the film's height."""
    return ndimage.gaussian_filter(pixels, share * len(pixels))


def _noise(pixels: np.ndarray, rng: np.random.Generator, sd: float) -> np.ndarray:
    """Grains as large as the pixels of a film with 600 rows."""
    h, w = pixels.shape
    grains = rng.normal(0, sd, (600, round(600 * w / h)))
    return pixels + ndimage.zoom(grains, (h / grains.shape[0], w / grains.shape[1]), order=1)


def _equalised(pixels: np.ndarray) -> np.ndarray:
    shares = np.linspace(0, 1, 256)
    return np.interp(pixels, np.quantile(pixels, shares), shares)


def _jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32) / 255


def _glare(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two lamps in the film's gloss, and darker edges."""
    h, w = pixels.shape
    y, x = np.mgrid[:h, :w]
    seen = 0.8 * pixels
    for _ in range(2):
        size, (there_x, there_y) = rng.uniform(0.08, 0.2) * h, rng.uniform(0.1, 0.9, 2) * (w, h)
        seen = seen + 0.6 * np.exp(-((x - there_x) ** 2 + (y - there_y) ** 2) / (2 * size**2))
    return np.minimum(seen, 1) * (1 - (x / w - 0.5) ** 2 - (y / h - 0.5) ** 2)


def _downwards(pixels: np.ndarray, top: float, bottom: float) -> np.ndarray:
    return np.linspace(top, bottom, len(pixels))[:, None]


CHANGES: dict[str, Change] = {
    "inverted": _greys(lambda p, rng: 1 - p),
    "mirrored": _mirrored,
    "turned 10": _turned(10),
    "turned -10": _turned(-10),
    "turned 20": _turned(20),
    "turned -20": _turned(-20),
    "turned 90": _turned(90),
    "turned 180": _turned(180),
    "turned 270": _turned(270),
    "1.15 x as wide": _scaled(1.15, 1),
    "0.87 x as wide": _scaled(0.87, 1),
    "photographed askew": _photographed,
    "on a light box": _on_a_light_box,
    "black border": _bordered(0.0),
    "white border": _bordered(1.0),
    "upper 75 %": _cut(0, 0.75),
    "lower 75 %": _cut(0.25, 1),
    "400 rows": _rows(400),
    "250 rows": _rows(250),
    "blurred by 1/300": _greys(lambda p, rng: _blurred(p, 1 / 300)),
    "blurred by 1/150": _greys(lambda p, rng: _blurred(p, 1 / 150)),
    "sharpened": _greys(lambda p, rng: (3 * p - 2 * _blurred(p, 1 / 80)).clip(0, 1)),
    "noise of 7 %": _greys(lambda p, rng: _noise(p, rng, 0.07)),
    "noise of 15 %": _greys(lambda p, rng: _noise(p, rng, 0.15)),
    "JPEG quality 8": _greys(lambda p, rng: _jpeg(p, 8)),
    "20 greys, grainy": _greys(lambda p, rng: np.round(20 * p + rng.normal(0, 1, p.shape)) / 20),
    "greys equalised": _greys(lambda p, rng: _equalised(p)),
    "gamma 2.5": _greys(lambda p, rng: p.clip(0, 1) ** 2.5),
    "gamma 0.4": _greys(lambda p, rng: p.clip(0, 1) ** 0.4),
    "dark pelvis": _greys(lambda p, rng: p * _downwards(p, 1, 0.15)),
    "burnt-out pelvis": _greys(lambda p, rng: (p + _downwards(p, -0.3, 0.7)).clip(0, 1)),
    "glare": _greys(_glare),
}
