"""Measurements from corners: the geometry, the table of parameters, and their evaluation."""

from .evaluate import Evaluation, Measured, MeasuredStatus, measure
from .table import MEASUREMENTS, Measurement

__all__ = ["MEASUREMENTS", "Evaluation", "Measured", "MeasuredStatus", "Measurement", "measure"]
