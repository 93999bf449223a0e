"""The benchmarks' own arithmetic; how fast anything is, no test says."""

import pytest
import torch
from torch import nn

from .benchmarks.__main__ import regressions
from .benchmarks.rulers import roofline


def test_a_regression_is_a_ratio_clearly_above_the_kept_one():
    kept = {"a": 1.0, "b": 0.2, "c": -0.1, "gone": 1.0}
    assert regressions({"a": 1.4, "b": 0.1, "c": 0.12, "new": 9.0}, kept) == []
    (line,) = regressions({"a": 1.6, "b": 0.2}, kept)
    assert line.startswith("a: 1.600, was 1.000")


def test_roofline_takes_the_larger_of_work_and_traffic_layer_by_layer():
    conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
    network = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(4, 4, 1, groups=4, bias=False))
    x = torch.zeros(1, 2, 8, 8)
    # 2 * 64 places * 4 outputs * 18 weights, and 2 * 64 * 4 * 1.
    work = (9216, 512)
    moved = (4 * (128 + 72 + 256), 4 * (256 + 4 + 256))
    operations, least = roofline(network, x, peak=10.0, bandwidth=1e9)
    assert operations == sum(work) and least == pytest.approx(sum(work) / 10)
    _, least = roofline(network, x, peak=1e12, bandwidth=100.0)
    assert least == pytest.approx(sum(moved) / 100, rel=1e-4)
    _, least = roofline(network, x, peak=9216 / 50, bandwidth=moved[1] / 20)  # the first by its work, the second by its traffic
    assert least == pytest.approx(50 + 20, rel=1e-3)
