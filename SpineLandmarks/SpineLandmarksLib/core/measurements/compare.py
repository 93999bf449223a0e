"""Two films of one patient: what has changed."""

from __future__ import annotations

from .evaluate import Measured
from .geometry import wrapped


def difference(first: Measured, second: Measured) -> float | None:
    """Second value less the first, in the parameter's unit, angles between -180 and 180 degrees;
    None unless both films show it. Raises ValueError for two different parameters."""
    if first.definition.id != second.definition.id:
        raise ValueError(f"{first.definition.id} and {second.definition.id} cannot be compared")
    if first.value is None or second.value is None:
        return None
    change = second.value - first.value
    return float(wrapped(change)) if first.definition.unit == "deg" else change
