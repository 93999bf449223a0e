"""Files -> ``core.Radiograph``."""

from .read import read

__all__ = ["read"]
