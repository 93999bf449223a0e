"""Checks on a detection that no human spine fails: corners that cross, sizes and angles beyond any patient's.

Limits are generous: beyond what slips, fractures and kyphosis do (population figures and their
spreads in Mac-Thiong 2011 and s41598-022-21840-x), so that what they catch is an error of reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .anatomy import CORNERS, neighbour
from .detection import Corner, CornerStatus, Detection
from .measurements.geometry import angle_between, length, sagittal

#: Height over depth of a body: a vertebra plana has less than half of a healthy 0.8.
_HEIGHT_OVER_DEPTH = (0.25, 1.6)
#: Depth of a body over its neighbour's.
_NEIGHBOURS = (0.55, 1.8)
#: Degrees between the two plates of a body, and between the superior plates of neighbours.
_WEDGE, _SEGMENT = 40.0, 65.0
#: How far a lower plate may lie below the next upper one, over the depth: discs that are gone make
#: plates touch, reading errors make them cross.
_OVERLAP = 0.15
#: How far it may lie above it: the highest discs have half a depth, a skipped vertebra and its discs more
#: than a whole one.
_GAP = 0.75


@dataclass(frozen=True)
class Finding:
    """What is wrong, in words, and with which levels."""

    levels: tuple[str, ...]
    text: str


def findings(detection: Detection, spacing: tuple[float, float] | None = None) -> list[Finding]:
    """Everything implausible about a detection; corners outside the film count as well as others."""
    bodies = _bodies(detection, spacing)
    return [*_single(bodies), *_neighbours(bodies)]


def room_for_another(detection: Detection) -> list[tuple[str, str]]:
    """Neighbours, from cranial to caudal, that lie as far apart as if one between them had been passed over."""
    gaps = _gaps(_bodies(detection, None))
    return [pair for pair, gap in gaps.items() if gap > _GAP]


def _bodies(detection: Detection, spacing: tuple[float, float] | None) -> dict:
    return {
        level: {name: sagittal(corner.position, spacing or (1.0, 1.0), detection.facing) for name, corner in detection.corners[level].items()}
        for level in detection.levels
    }


def _gaps(bodies: dict) -> dict[tuple[str, str], float]:
    """How far the lower plate of each body lies above the next one's upper plate, over the length of that."""
    gaps = {}
    for upper, c in bodies.items():
        lower = neighbour(upper, 1)
        below = bodies.get(lower, {})
        if {"IA", "IP"} <= c.keys() and {"SA", "SP"} <= below.keys():
            depth = max(length(below["SA"], below["SP"]), 1e-9)
            plate = (below["SA"] - below["SP"]) / depth
            normal = np.array([-plate[1], plate[0]])  # towards the head
            gaps[upper, lower] = float(((c["IA"] + c["IP"]) / 2 - below["SP"]) @ normal) / depth
    return gaps


def _single(bodies: dict) -> Iterator[Finding]:
    for level, c in bodies.items():
        if not set(CORNERS) <= c.keys():
            continue
        # (anterior, up): superior-anterior, superior-posterior, inferior-posterior, inferior-anterior run counter-clockwise.
        ring = np.array([c["SA"], c["SP"], c["IP"], c["IA"]])
        edges = np.roll(ring, -1, axis=0) - ring
        following = np.roll(edges, -1, axis=0)
        if np.any(edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] <= 0):
            yield Finding((level,), f"the corners of {level} cross")
            continue
        depth = (length(c["SA"], c["SP"]) + length(c["IA"], c["IP"])) / 2
        height = (length(c["SA"], c["IA"]) + length(c["SP"], c["IP"])) / 2
        if not _HEIGHT_OVER_DEPTH[0] < height / depth < _HEIGHT_OVER_DEPTH[1]:
            yield Finding((level,), f"{level} has a shape that no vertebra has (height {height / depth:.2f} of its depth)")
        if abs(angle_between((c["SA"], c["SP"]), (c["IA"], c["IP"]))) > _WEDGE:
            yield Finding((level,), f"the endplates of {level} differ by more than {_WEDGE:.0f}°")


def _neighbours(bodies: dict) -> Iterator[Finding]:
    for upper, c in bodies.items():
        lower = neighbour(upper, 1)
        below = bodies.get(lower)
        if below is None or not {"SA", "SP"} <= c.keys() or not {"SA", "SP"} <= below.keys():
            continue
        ratio = length(c["SA"], c["SP"]) / max(length(below["SA"], below["SP"]), 1e-9)
        if not _NEIGHBOURS[0] < ratio < _NEIGHBOURS[1]:
            yield Finding((upper, lower), f"{upper} and {lower} differ in size as no neighbours do")
        if abs(angle_between((c["SA"], c["SP"]), (below["SA"], below["SP"]))) > _SEGMENT:
            yield Finding((upper, lower), f"{upper} and {lower} meet at more than {_SEGMENT:.0f}°")
    for (upper, lower), gap in _gaps(bodies).items():
        if gap < -_OVERLAP:
            yield Finding((upper, lower), f"{upper} reaches into {lower}")
        elif gap > _GAP:
            yield Finding((upper, lower), f"between {upper} and {lower} there is room for another vertebra: one seems to be missed")


def checked(detection: Detection, spacing: tuple[float, float] | None = None) -> Detection:
    """The same detection with what is implausible noted, and the corners concerned uncertain."""
    found = findings(detection, spacing)
    doubtful = {level for finding in found for level in finding.levels}

    def doubted(corner: Corner) -> Corner:
        return replace(corner, status=CornerStatus.UNCERTAIN) if corner.status is CornerStatus.OK else corner

    corners = {
        level: {name: doubted(corner) for name, corner in named.items()} if level in doubtful else named
        for level, named in detection.corners.items()
    }
    return replace(detection, corners=corners, implausible=tuple(finding.text for finding in found))
