"""Files -> ``core.Radiograph``."""

from .read import read, read_spacing

__all__ = ["read", "read_spacing"]
