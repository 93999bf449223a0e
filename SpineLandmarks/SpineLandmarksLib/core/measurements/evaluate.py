"""The table of parameters applied to a detection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..detection import CornerStatus, Detection
from .geometry import sagittal
from .table import MEASUREMENTS, Measurement

#: Below this probability of the level names, parameters that depend on them are uncertain.
MIN_NAMING_CONFIDENCE = 0.5


class MeasuredStatus(StrEnum):
    OK = "ok"
    UNCERTAIN = "uncertain"
    NOT_MEASURABLE = "not measurable"


@dataclass(frozen=True)
class Measured:
    """One parameter on one film: ``value`` in ``definition.unit``, or None with the reason."""

    definition: Measurement
    value: float | None
    status: MeasuredStatus
    reason: str = ""


def measure(detection: Detection, spacing: tuple[float, float] | None = None) -> list[Measured]:
    """Evaluate every parameter of the table, in its order.

    ``spacing`` is (x, y) mm per pixel; None takes the pixels as square, which is all that angles
    and ratios need.
    """
    positions = {
        (level, name): sagittal(corner.position, spacing or (1.0, 1.0), detection.facing)
        for level, name, corner in detection
        if corner.status is not CornerStatus.OUTSIDE
    }
    return [_measure(definition, detection, positions) for definition in MEASUREMENTS]


def _measure(definition: Measurement, detection: Detection, positions: dict) -> Measured:
    missing = [key for key in definition.needs if key not in positions]
    if missing:
        return Measured(definition, None, MeasuredStatus.NOT_MEASURABLE, _why_missing(missing, detection))
    try:
        value = definition.formula(positions)
    except ZeroDivisionError:
        return Measured(definition, None, MeasuredStatus.NOT_MEASURABLE, "its corners fall together or its lines are parallel")
    doubts = []
    uncertain = [f"{level} {name}" for level, name in definition.needs
                 if detection.corners[level][name].status is CornerStatus.UNCERTAIN]
    if uncertain:
        doubts.append(f"uncertain corners: {', '.join(uncertain)}")
    unseen = sorted({level for level, _ in definition.needs if level in detection.unseen})
    if unseen:
        doubts.append(f"inferred from its neighbours: {', '.join(unseen)}")
    if definition.uses_names and detection.naming_confidence < MIN_NAMING_CONFIDENCE:
        doubts.append(f"level names are uncertain (confidence {detection.naming_confidence:.2f})")
    return Measured(definition, value, MeasuredStatus.UNCERTAIN if doubts else MeasuredStatus.OK, "; ".join(doubts))


def _why_missing(missing: list[tuple[str, str]], detection: Detection) -> str:
    absent = list(dict.fromkeys(level for level, _ in missing if level not in detection.corners))
    outside = [f"{level} {name}" for level, name in missing if level in detection.corners]
    reasons = []
    if absent:
        reasons.append(f"not found on the film: {', '.join(absent)}")
    if outside:
        reasons.append(f"outside the film or not placed: {', '.join(outside)}")
    return "; ".join(reasons)
