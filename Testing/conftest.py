"""Shared fixtures: a hand-made column whose every angle is known."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from SpineLandmarksLib.core.detection import Corner, CornerStatus, Detection

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_FILM = ROOT / "SpineLandmarks" / "Resources" / "SampleFilm" / "simulated_lateral.png"

# A job in a shell's background ignores Ctrl-C and so do its children, some of which are sent one here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def make_detection(corners, facing="left", status=CornerStatus.OK, **more) -> Detection:
    """Detection from {level: {corner: (x, y)}}."""
    return Detection(
        {level: {k: Corner(np.array(p, float), np.eye(2), status) for k, p in named.items()} for level, named in corners.items()},
        facing, **more,
    )


@pytest.fixture
def sample_film() -> Path:
    return SAMPLE_FILM


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the shipped weights."""
    from SpineLandmarksLib.model import weights

    return shutil.copytree(weights.FOLDER, tmp_path / "weights")


@pytest.fixture
def float_weights(copy) -> Path:
    """The shipped weights without their ranges: on floats, films that differ by a rounding give corners that do."""
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["ranges"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


@pytest.fixture(scope="session")
def detector():
    from SpineLandmarksLib.model.detector import Detector
    from SpineLandmarksLib.model.weights import load

    return Detector(load())
