"""A film in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np


class FilmError(Exception):
    """A file that cannot be used as a film; the message is one sentence that says what to do."""


class SpacingSource(StrEnum):
    """Where a film's pixel spacing comes from, from most to least trustworthy."""

    CALIBRATED = "calibrated"  # PixelSpacing that was corrected for magnification
    RULER = "ruler"  # by a reader, on an object of known length
    DETECTOR = "detector"  # at the detector's plane: objects appear magnified
    FILE = "file"  # an image format's own spacing, meaning unknown
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Radiograph:
    """One grey film, bone bright.

    pixels : (height, width) float32.
    spacing : (x, y) millimetres per pixel, or None when unknown. Angles need only its ratio.
    index_to_lps : 4x4, pixel (x, y, 0) -> LPS millimetres where Slicer's readers put the film;
        its spacing may differ from ``spacing``, because those readers ignore calibration.
    turns : counter-clockwise quarter turns that these pixels have been given since the file.
    negative : whether their greys have been inverted since the file, which had dark bones.
    """

    pixels: np.ndarray
    spacing: tuple[float, float] | None = None
    spacing_source: SpacingSource = SpacingSource.UNKNOWN
    index_to_lps: np.ndarray = field(default_factory=lambda: np.eye(4), repr=False)
    turns: int = 0
    negative: bool = False

    def as_read(self, turns: int, negative: bool) -> Radiograph:
        """The film upright and with bright bones: turned counter-clockwise by quarter turns, and its greys
        inverted when it is a negative."""
        film = self.turned(turns)
        if not negative:
            return film
        return replace(film, pixels=film.pixels.min() + film.pixels.max() - film.pixels, negative=not film.negative)

    def turned(self, turns: int) -> Radiograph:
        """The film turned counter-clockwise by quarter turns, still in its place in space."""
        turns %= 4
        if turns == 0:
            return self
        back = self._unturning(turns)
        return replace(
            self, pixels=np.rot90(self.pixels, turns), spacing=self.spacing[::-1] if self.spacing and turns % 2 else self.spacing,
            index_to_lps=self.index_to_lps @ back, turns=(self.turns + turns) % 4,
        )

    def _unturning(self, turns: int) -> np.ndarray:
        """4x4, pixel (x, y, 0) of this film after ``turns`` -> pixel of this film."""
        w, h = self.size
        m = np.eye(4)
        m[:2, :2] = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), turns)
        m[:2, 3] = {1: (w - 1, 0), 2: (w - 1, h - 1), 3: (0, h - 1)}[turns]
        return m

    def in_file(self, point: np.ndarray) -> np.ndarray:
        """Pixel (2,) of this film -> pixel of the picture in its file."""
        if not self.turns:
            return np.asarray(point, float)
        w, h = self.size if self.turns % 2 == 0 else self.size[::-1]
        x, y = point
        return np.array({1: (w - 1 - y, x), 2: (w - 1 - x, h - 1 - y), 3: (y, h - 1 - x)}[self.turns], float)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


#: No detector or scanner makes larger films; a file that promises more is broken, or meant to harm.
MAX_PIXELS = 100_000_000


def refuse_huge(size: Sequence[int]) -> None:
    """Raise FilmError for a picture of more than ``MAX_PIXELS``; ``size`` has any number of axes."""
    if math.prod(int(n) for n in size) > MAX_PIXELS:
        raise FilmError(f"the picture has {' x '.join(str(n) for n in size)} pixels, more than any film: export it smaller.")


def grey_range(pixels: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """Two percentiles of a film's greys, (H, W), from some 60 000 of its pixels: enough, and much faster."""
    step = max(1, int(math.sqrt(pixels.size / 60_000)))
    low, high = np.percentile(pixels[::step, ::step], percentiles).tolist()  # numpy's own floats would make float64 of all
    return low, high


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, components) -> (H, W) float32.

    Three or four components are RGB(A); two are grey and alpha; alpha is dropped. Luma after
    ITU-R BT.601. Raises FilmError for other shapes and for pictures without any contrast or
    with values that are not finite.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        grey = pixels[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    elif pixels.ndim == 3 and pixels.shape[2] in (1, 2):
        grey = pixels[..., 0]
    elif pixels.ndim == 2:
        grey = pixels
    else:
        raise FilmError(f"not one two-dimensional film (array of shape {pixels.shape}): export a single grey or RGB picture.")
    if min(grey.shape) < 64:
        raise FilmError(f"the picture is only {grey.shape[1]} x {grey.shape[0]} pixels: load the film at its original size.")
    # Of the file's own numbers, for bytes are searched six times as fast; as float32, which may round both alike.
    with np.errstate(over="ignore"):
        low, high = np.array([grey.min(), grey.max()]).astype(np.float32)
    if not np.isfinite([low, high]).all():  # numpy's least and greatest pass NaN on
        raise FilmError("the picture holds values that are not finite (NaN or infinity): export it again.")
    if high <= low:
        raise FilmError("all pixels have the same value: there is no picture in this file.")
    return grey.astype(np.float32)
