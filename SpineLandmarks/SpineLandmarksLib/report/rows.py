"""The rows of the three tables, as dictionaries: one definition for CSV and JSON."""

from __future__ import annotations

from .result import FilmResult

FILMS = ("film", "status", "message", "facing", "spacing_mm_x", "spacing_mm_y", "spacing_source", "seconds", "model")
LANDMARKS = ("film", "level", "corner", "x_px", "y_px", "sd_px", "status")
MEASUREMENTS = ("film", "measurement", "value", "unit", "low90", "high90", "status", "reason")

#: The tables of an output folder, by name.
TABLES = {"landmarks": LANDMARKS, "measurements": MEASUREMENTS, "films": FILMS}


def film_row(result: FilmResult) -> dict:
    radiograph, detection = result.radiograph, result.detection
    x, y = (radiograph and radiograph.spacing) or (None, None)
    if radiograph and radiograph.turns % 2:
        x, y = y, x  # of the picture in the file, as corners are
    return dict(zip(FILMS, (
        result.film, result.status, result.message, detection.facing if detection else None, x, y,
        radiograph.spacing_source.value if radiograph else None, round(result.seconds, 3), result.model or None,
    )))


def landmark_rows(result: FilmResult) -> list[dict]:
    """Corners in pixels of the picture in the file, however the film was turned."""
    return [
        dict(zip(LANDMARKS, (
            result.film, level, name, *(round(float(v), 2) for v in result.radiograph.in_file(corner.position)),
            round(corner.sd, 2), corner.status.value,
        )))
        for level, name, corner in result.detection or ()
    ]


def measurement_rows(result: FilmResult) -> list[dict]:
    return [
        dict(zip(MEASUREMENTS, (
            result.film, m.definition.id, None if m.value is None else round(m.value, 3), m.definition.unit,
            *((round(v, 3) for v in m.interval) if m.interval else (None, None)), m.status.value, m.reason or None,
        )))
        for m in result.measured
    ]
