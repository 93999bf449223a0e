"""The annotated film: corners, endplates, level names and the main angles, drawn with Pillow."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from ..core.anatomy import ENDPLATES
from ..core.construction import Construction, constructions, level_name_place
from ..core.detection import CornerStatus, Detection
from ..core.measurements import Measured, MeasuredStatus
from ..core.radiograph import Radiograph, grey_range
from ..films import ANNOTATED

#: Height of the film in the picture; films are shrunk or enlarged to it, never distorted.
HEIGHT = 1400
#: Lines and dots are drawn this much larger and then shrunk, which smooths them.
_OVERSAMPLING = 2
#: Nothing is drawn further from its points, picture pixels.
_THICKEST = 6

_PLATE = (94, 214, 255)
_CORNER = (120, 255, 140)
_DOUBT = (255, 190, 60)
_TEXT = (240, 240, 240)
_MUTED = (150, 150, 150)
_PANEL = (18, 20, 24)
_MAIN = ("LL_L1_S1", "LL_L1_L5", "SS", "LDI", "TLK_T11_L2", "TK_T4_T12")
_COBB = (255, 130, 170)

#: Brightness: films are shown a little lighter than they are.
_LIGHTER = [round(255 * (value / 255) ** 0.8) for value in range(256)]


def _grey(radiograph: Radiograph, size: tuple[int, int]) -> Image.Image:
    low, high = grey_range(radiograph.pixels, (1, 99.5))
    scaled = radiograph.pixels - low
    scaled *= 255 / max(high - low, 1e-6)
    # Bytes before the size changes: Pillow takes twice as long over floats.
    film = Image.fromarray(np.clip(scaled, 0, 255, out=scaled).astype(np.uint8))
    return film.resize(size, Image.Resampling.HAMMING, reducing_gap=1).point(_LIGHTER)


@cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


class _Pen:
    """Draws in film pixels, sized in picture pixels."""

    def __init__(self, image: Image.Image, per_pixel: np.ndarray):
        self.image = image
        self.per_pixel = per_pixel

    def at(self, point: np.ndarray) -> np.ndarray:
        return (np.asarray(point) + 0.5) * self.per_pixel

    @contextmanager
    def smooth(self, points: Sequence[np.ndarray]) -> Iterator[_SmoothPen]:
        """A pen for lines and dots at some points: draws on an enlarged copy of what lies around them, and brings it
        back shrunk. Of the whole picture that would cost as much as all else."""
        places = np.array([self.at(point) for point in points])
        low = np.clip(np.floor(places.min(0) - _THICKEST), 0, self.image.size).astype(int)
        high = np.clip(np.ceil(places.max(0) + _THICKEST), low, self.image.size).astype(int)
        patch = self.image.crop((*low, *high))
        large = patch.resize([_OVERSAMPLING * side for side in patch.size], Image.Resampling.NEAREST)
        yield _SmoothPen(ImageDraw.Draw(large), lambda point: tuple((self.at(point) - low) * _OVERSAMPLING))
        if all(patch.size):
            self.image.paste(large.reduce(_OVERSAMPLING), tuple(low))

    def text(self, point, text: str, colour, size: float) -> None:
        ImageDraw.Draw(self.image).text(
            tuple(self.at(point)), text, fill=colour, font=_font(size), anchor="mm", stroke_width=2, stroke_fill=(0, 0, 0)
        )


class _SmoothPen(NamedTuple):
    """Draws enlarged; ``at`` says where a film pixel is there."""

    draw: ImageDraw.ImageDraw
    at: Callable[[np.ndarray], tuple[float, float]]

    def line(self, a, b, colour, width: float) -> None:
        self.draw.line([self.at(a), self.at(b)], fill=colour, width=round(width * _OVERSAMPLING))

    def dot(self, point, colour, radius: float) -> None:
        (x, y), r = self.at(point), radius * _OVERSAMPLING
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=(0, 0, 0))


def _draw_vertebra(pen: _Pen, detection: Detection, level: str) -> None:
    corners = {name: corner for name, corner in detection.corners[level].items() if corner.status is not CornerStatus.OUTSIDE}
    if corners:
        with pen.smooth([corner.position for corner in corners.values()]) as smooth:
            for anterior, posterior in ENDPLATES.values():
                if anterior in corners and posterior in corners:
                    smooth.line(corners[anterior].position, corners[posterior].position, _PLATE, 2)
            for corner in corners.values():
                smooth.dot(corner.position, _DOUBT if corner.status is CornerStatus.UNCERTAIN else _CORNER, 4)
    place = level_name_place(detection, level)
    if place is not None:
        pen.text(place, level, _DOUBT if level in detection.unseen else _TEXT, 19)


def _draw_construction(pen: _Pen, angle: Construction) -> None:
    for start, end in angle.lines:
        with pen.smooth([start, end]) as smooth:
            smooth.line(start, end, _COBB, 1.5)
    pen.text(angle.at, angle.text, _COBB, 22)


def _panel(image: Image.Image, left: int, title: str, detection: Detection, radiograph: Radiograph, measured: tuple[Measured, ...]) -> None:
    draw = ImageDraw.Draw(image)
    x, y = left + 24, 24

    def write(text: str, size: int, colour=_TEXT, indent: int = 0) -> None:
        nonlocal y
        draw.text((x + indent, y), text, fill=colour, font=_font(size))
        y += round(size * 1.45)

    write(title if len(title) < 34 else "..." + title[-31:], 22)
    write(f"patient faces {detection.facing}", 16, _MUTED)
    spacing = radiograph.spacing
    write(f"spacing {spacing[0]:.3f} x {spacing[1]:.3f} mm ({radiograph.spacing_source.value})" if spacing else "spacing unknown: no distances", 16, _MUTED)
    for remark in detection.remarks:
        for line in textwrap.wrap(remark, 46):
            write(line, 16, _DOUBT)
    y += 12
    for m in measured:
        d = m.definition
        main, segmental = d.id in _MAIN, d.id.startswith("SL_L")
        label = d.name.split(",")[0]
        if not (main or segmental):
            continue
        if m.value is None:
            if main:
                write(label, 18, _MUTED)
                for line in textwrap.wrap(f"not measurable: {m.reason}", 50):
                    write(line, 13, _MUTED, 12)
            continue
        mark = "" if m.status is MeasuredStatus.OK else "  ?"
        spread = f" ± {(m.interval[1] - m.interval[0]) / 2:.1f}" if m.interval else ""
        write(f"{label}   {m.value:.1f}{spread}{d.unit_text}{mark}", 20 if main else 16, _TEXT if not mark else _DOUBT)
        if main and d.normal:
            write(f"usual {d.normal[0]:g} to {d.normal[1]:g}{d.unit_text}", 13, _MUTED, 12)
    y += 12
    if any(m.status is MeasuredStatus.UNCERTAIN for m in measured):
        write("? and orange: look before you use it", 14, _DOUBT)
    write("SpineLandmarks: not a medical device", 13, _MUTED)


def annotate(title: str, radiograph: Radiograph, detection: Detection, measured: tuple[Measured, ...]) -> Image.Image:
    """The picture: the film at the height of ``HEIGHT``, and a panel with the main angles."""
    w, h = radiograph.size
    sx, sy = radiograph.spacing or (1.0, 1.0)
    # Films with oblong pixels are shown in their true proportions.
    size = (max(1, round(HEIGHT * (w * sx) / (h * sy))), HEIGHT)
    sheet = Image.new("RGB", (size[0] + 480, HEIGHT), _PANEL)
    film = _grey(radiograph, size).convert("RGB")
    pen = _Pen(film, np.array(film.size) / (w, h))
    for angle in constructions(detection, radiograph.size, measured):
        _draw_construction(pen, angle)
    for level in detection.levels:
        _draw_vertebra(pen, detection, level)
    sheet.paste(film, (0, 0))
    _panel(sheet, size[0], title, detection, radiograph, measured)
    return sheet


def thumbnail(radiograph: Radiograph, height: int) -> Image.Image:
    """The bare film, small."""
    w, h = radiograph.size
    return _grey(radiograph, (max(1, min(4 * height, round(height * w / h))), height))


def write(path: Path, *args) -> None:
    """Arguments as for :func:`annotate`, after the path of the PNG."""
    save(annotate(*args), path)


def save(image: Image.Image, path: Path) -> None:
    """As PNG, whatever the suffix; little compressed: a film's noise gains nothing by more, at five times the work."""
    note = PngImagePlugin.PngInfo()
    note.add_text(*ANNOTATED)
    image.save(path, format="PNG", compress_level=1, pnginfo=note)
