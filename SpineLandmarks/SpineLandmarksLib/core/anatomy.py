"""Names of vertebral levels and body corners, in the one order used everywhere."""

THORACIC = tuple(f"T{i}" for i in range(1, 13))
LUMBAR = tuple(f"L{i}" for i in range(1, 6))

#: Levels from cranial to caudal. A level's index in this tuple is its channel in the locating network.
LEVELS = THORACIC + LUMBAR + ("S1",)

#: Corners of a body: superior/inferior endplate, anterior/posterior wall.
CORNERS = ("SA", "SP", "IA", "IP")

#: The sacrum is measured by its superior endplate alone.
SACRAL_CORNERS = ("SA", "SP")

#: The two corners of each endplate, anterior one first.
ENDPLATES = {"superior": ("SA", "SP"), "inferior": ("IA", "IP")}


def corners_of(level: str) -> tuple[str, ...]:
    """Corner names that exist for ``level``; raises ValueError for an unknown level."""
    if level not in LEVELS:
        raise ValueError(f"unknown vertebral level {level!r}; expected one of {', '.join(LEVELS)}")
    return SACRAL_CORNERS if level == "S1" else CORNERS


def neighbour(level: str, step: int) -> str | None:
    """The level ``step`` places caudal (negative: cranial) of ``level``, or None beyond the ends."""
    index = LEVELS.index(level) + step
    return LEVELS[index] if 0 <= index < len(LEVELS) else None
