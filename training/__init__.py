"""Training, evaluation and simulation; run from the repository's root as ``python -m training ...``."""
