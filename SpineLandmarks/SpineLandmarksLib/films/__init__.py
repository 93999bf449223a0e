"""Files -> ``core.Radiograph``."""

from .dicom import read_tags
from .read import ANNOTATED, is_annotated, read, read_spacing

__all__ = ["ANNOTATED", "is_annotated", "read", "read_spacing", "read_tags"]
