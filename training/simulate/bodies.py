"""One vertebra's own shape: grown, wedged, fractured, with osteophytes, or domed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """A body's own axes in the template: ``centre``, unit vectors ``back`` and ``up``, half its depth and
    its height, mm."""

    centre: np.ndarray
    back: np.ndarray
    up: np.ndarray
    half: float
    height: float

    @classmethod
    def of(cls, corners: dict[str, np.ndarray]) -> Frame:
        """From the corners of a body, or of the sacral plate alone."""
        along = corners["SP"] - corners["SA"] + (corners["IP"] - corners["IA"] if "IA" in corners else 0)
        back = along / np.linalg.norm(along)
        up = np.array([0.0, -back[2], back[1]])
        centre = np.mean(list(corners.values()), axis=0)
        height = float((corners["SA"] + corners["SP"] - corners["IA"] - corners["IP"]) @ up / 2) if "IA" in corners else 0.0
        return cls(centre, back, up, float(np.linalg.norm(corners["SP"] - corners["SA"])) / 2, height)


@dataclass(frozen=True)
class Shape:
    """Factors of width, depth and height; ``wedge`` in degrees more than the template's, higher behind being
    positive; a fracture's loss of height in front and in the middle, as shares; osteophytes as (place,
    direction, reach); a dome in mm, of the sacral plate."""

    frame: Frame
    width: float = 1.0
    depth: float = 1.0
    height: float = 1.0
    wedge: float = 0.0
    front_loss: float = 0.0
    middle_loss: float = 0.0
    osteophytes: tuple[tuple[np.ndarray, np.ndarray, float], ...] = ()
    dome: float = 0.0

    def apply(self, points: np.ndarray, landmarks: bool = False) -> np.ndarray:
        """(n, 3) template points -> the same of this body. Landmarks (corners, rims) pass by osteophytes
        and dome, which a reader does not measure."""
        f = self.frame
        d = points - f.centre
        x, back, up = d[:, 0], d @ f.back, d @ f.up
        # The height changes linearly from front to back; the arch behind keeps its shape.
        lever = np.clip(back / f.half, -1.2, 1.2)
        factor = self.height
        if f.height:
            factor = factor * (1 + np.radians(self.wedge) * f.half / f.height * lever)
        front = np.clip((0.4 - lever) / 1.4, 0, 1)
        factor = factor * (1 - self.front_loss * front)
        if self.middle_loss and f.height:
            centre = np.exp(-3 * ((back / f.half) ** 2 + (x / (1.3 * f.half)) ** 2))
            factor = factor * (1 - self.middle_loss * centre)
        out = f.centre + np.stack([x * self.width, np.zeros_like(x), np.zeros_like(x)], axis=1)
        out = out + np.outer(back * self.depth, f.back) + np.outer(up * factor, f.up)
        if landmarks:
            return out
        for place, direction, reach in self.osteophytes:
            out = out + reach * np.exp(-((points - place) ** 2).sum(1) / (2 * 4.0**2))[:, None] * direction
        if self.dome:
            rise = np.clip(1 - (back / f.half) ** 2 - (x / (1.4 * f.half)) ** 2, 0, None) * np.exp(-np.abs(up) / 8)
            out = out + self.dome * rise[:, None] * f.up
        return out
