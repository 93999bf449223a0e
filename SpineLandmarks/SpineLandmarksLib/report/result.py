"""The outcome of one film, good or bad: what every report is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.detection import Detection
from ..core.measurements import Measured
from ..core.radiograph import Radiograph


@dataclass(frozen=True)
class FilmResult:
    """``status`` is "ok", "refused" (a picture, but no lateral spine) or "error" (no picture)."""

    film: str
    status: str
    message: str = ""
    seconds: float = 0.0
    model: str = ""
    radiograph: Radiograph | None = field(default=None, repr=False)
    detection: Detection | None = field(default=None, repr=False)
    measured: tuple[Measured, ...] = field(default=(), repr=False)
