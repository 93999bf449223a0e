"""Files -> ``core.Radiograph``."""

from .dicom import read_tags
from .read import read, read_spacing

__all__ = ["read", "read_spacing", "read_tags"]
