"""The training loop and what it keeps: checkpoint, journal, ranks."""

from .loop import FitConfig, Task, fit

__all__ = ["FitConfig", "Task", "fit"]
