"""The table of parameters applied to a detection, and kept current while its corners move."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..detection import MIN_NAMING_CONFIDENCE, CornerStatus, Detection
from ..radiograph import SpacingSource
from .geometry import sagittal, wrapped
from .table import MEASUREMENTS, Measurement

#: Spacings that are true lengths: in the patient, or at the detector, where objects appear magnified.
_KNOWN = (SpacingSource.CALIBRATED, SpacingSource.RULER, SpacingSource.DETECTOR)

#: Half of a normal distribution's central 90 %, in standard deviations.
_HALF_90 = 1.6449

Key = tuple[str, str]

#: A small step, a corner moved by it along either axis, and the corner's covariance.
_Nudge = tuple[float, tuple[np.ndarray, np.ndarray], list[list[float]]]


class MeasuredStatus(StrEnum):
    OK = "ok"
    UNCERTAIN = "uncertain"
    NOT_MEASURABLE = "not measurable"


@dataclass(frozen=True)
class Measured:
    """One parameter on one film: ``value`` in ``definition.unit``, or None with the reason.

    ``interval`` holds the value's central 90 %, or None where it was not asked for.
    """

    definition: Measurement
    value: float | None
    status: MeasuredStatus
    reason: str = ""
    interval: tuple[float, float] | None = None


#: Corner -> the places in the table of the parameters that it enters.
_USERS: dict[Key, list[int]] = defaultdict(list)
for _index, _definition in enumerate(MEASUREMENTS):
    for _key in _definition.needs:
        _USERS[_key].append(_index)


def _nudge(position: np.ndarray, covariance: np.ndarray) -> _Nudge:
    step = 1e-3 * max(float(np.sqrt(np.trace(covariance))), 1e-6)
    return step, (position + (step, 0), position + (0, step)), covariance.tolist()


class Evaluation:
    """Every parameter of one film: :attr:`measured`, in the table's order.

    ``spacing`` is (x, y) mm per pixel; None takes the pixels as square, which is all that angles
    and ratios need. Millimetres are given only where ``source`` says that the spacing is a length.
    """

    def __init__(self, detection: Detection, spacing: tuple[float, float] | None = None, source: SpacingSource = SpacingSource.UNKNOWN):
        self._detection = detection
        self._spacing = spacing or (1.0, 1.0)
        self._source = source if spacing else SpacingSource.UNKNOWN
        self._positions: dict[Key, np.ndarray] = {}
        self._nudges: dict[Key, _Nudge] = {}
        self._uncertain: set[Key] = set()
        # Sagittal coordinates are pixels times this: covariances turn with it.
        axes = np.diag(sagittal(np.ones(2), self._spacing, detection.facing))
        for level, name, corner in detection:
            if corner.status is not CornerStatus.OUTSIDE:
                self._positions[level, name] = self._sagittal(corner.position)
                self._nudges[level, name] = _nudge(self._positions[level, name], axes @ corner.covariance @ axes)
            if corner.status is CornerStatus.UNCERTAIN:
                self._uncertain.add((level, name))
        self.measured = [self._evaluate(definition, True) for definition in MEASUREMENTS]

    def _sagittal(self, position: np.ndarray) -> np.ndarray:
        return sagittal(position, self._spacing, self._detection.facing)

    def move(self, level: str, name: str, position: np.ndarray) -> list[int]:
        """Put a corner elsewhere (film pixels): updates the values that it enters, without their
        intervals, which cost ten times as much, and returns their places in the table. A corner
        that a reader has moved is no longer uncertain."""
        key = level, name
        self._positions[key] = self._sagittal(np.asarray(position, float))
        self._uncertain.discard(key)
        for index in _USERS[key]:
            self.measured[index] = self._evaluate(MEASUREMENTS[index], False)
        return _USERS[key]

    def _evaluate(self, definition: Measurement, with_interval: bool) -> Measured:
        missing = [key for key in definition.needs if key not in self._positions]
        if missing:
            return Measured(definition, None, MeasuredStatus.NOT_MEASURABLE, self._why_missing(missing))
        if definition.unit == "mm" and self._source not in _KNOWN:
            return Measured(definition, None, MeasuredStatus.NOT_MEASURABLE, "the film's pixel spacing is not known")
        try:
            value = float(definition.formula(self._positions))
        except ZeroDivisionError:
            value = np.nan
        if not np.isfinite(value):
            return Measured(definition, None, MeasuredStatus.NOT_MEASURABLE, "its corners fall together or its lines are parallel")
        interval = self._interval(definition, value) if with_interval else None
        doubts = self._doubts(definition)
        return Measured(definition, value, MeasuredStatus.UNCERTAIN if doubts else MeasuredStatus.OK, "; ".join(doubts), interval)

    def _doubts(self, definition: Measurement) -> list[str]:
        doubts = []
        uncertain = [f"{level} {name}" for level, name in definition.needs if (level, name) in self._uncertain]
        if uncertain:
            doubts.append(f"uncertain corners: {', '.join(uncertain)}")
        unseen = sorted({level for level, _ in definition.needs if level in self._detection.unseen})
        if unseen:
            doubts.append(f"inferred from its neighbours: {', '.join(unseen)}")
        if definition.uses_names and self._detection.naming_confidence < MIN_NAMING_CONFIDENCE:
            doubts.append(f"level names are uncertain (confidence {self._detection.naming_confidence:.2f})")
        if definition.unit == "mm" and self._source is SpacingSource.DETECTOR:
            doubts.append("magnified: millimetres at the detector")
        return doubts

    def _interval(self, definition: Measurement, value: float) -> tuple[float, float] | None:
        """Central 90 % by the delta method: covariances of the corners, which err independently,
        through the formula's numerical gradient (JCGM 100:2008, eq. 10)."""
        variance = 0.0
        local = {key: self._positions[key] for key in definition.needs}
        for key in definition.needs:
            step, nudged, ((xx, xy), (_, yy)) = self._nudges[key]
            at, slopes = local[key], []
            for local[key] in nudged:
                try:
                    change = definition.formula(local) - value
                except ZeroDivisionError:
                    return None
                slopes.append((wrapped(change) if definition.unit == "deg" else change) / step)
            local[key] = at
            x, y = slopes
            variance += float(x * x * xx + 2 * x * y * xy + y * y * yy)
        half = _HALF_90 * np.sqrt(max(variance, 0.0))
        return value - half, value + half

    def _why_missing(self, missing: list[Key]) -> str:
        corners = self._detection.corners
        absent = list(dict.fromkeys(level for level, _ in missing if level not in corners))
        outside = [f"{level} {name}" for level, name in missing if level in corners]
        reasons = []
        if absent:
            reasons.append(f"not found on the film: {', '.join(absent)}")
        if outside:
            reasons.append(f"outside the film or not placed: {', '.join(outside)}")
        return "; ".join(reasons)


def measure(detection: Detection, spacing: tuple[float, float] | None = None, source: SpacingSource = SpacingSource.UNKNOWN) -> list[Measured]:
    """Evaluate every parameter of the table once; arguments as for :class:`Evaluation`."""
    return Evaluation(detection, spacing, source).measured
