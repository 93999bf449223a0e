"""Files -> ``core.Radiograph``."""

from .dicom import read_tags, unknown_keywords
from .read import ANNOTATED, is_annotated, read, read_spacing

__all__ = ["ANNOTATED", "is_annotated", "read", "read_spacing", "read_tags", "unknown_keywords"]
