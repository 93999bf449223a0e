"""Numpy-only core: names, coordinate frames, chains of vertebrae and measurements."""
