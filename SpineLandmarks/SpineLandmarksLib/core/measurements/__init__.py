"""Measurements from corners: the geometry, the table of parameters, and their evaluation."""

from .evaluate import Measured, MeasuredStatus, measure
from .table import MEASUREMENTS, Measurement

__all__ = ["MEASUREMENTS", "Measured", "MeasuredStatus", "Measurement", "measure"]
