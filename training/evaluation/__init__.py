"""How good a set of weights is on labelled films: the paper's table, its plots, calibration."""
