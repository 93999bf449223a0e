"""Runs ``drag_scenario.py`` in a process of its own: Mesa, which draws there, and triton, which the
CUDA builds of torch bring, each carry an LLVM, and triton crashes when Mesa's was loaded first."""

import subprocess
import sys

import pytest

from .conftest import ROOT

pytest.importorskip("slicer", reason="Slicer's libraries are not installed: pip install '.[slicer]'")


def test_mouse_in_a_slice_view():
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "Testing/drag_scenario.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr
