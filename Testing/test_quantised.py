"""Networks on integers find what those on floats find."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from SpineLandmarksLib import films
from SpineLandmarksLib.core.column import Pose
from SpineLandmarksLib.model import quantised, weights
from SpineLandmarksLib.model.backbone import EfficientNetLite0
from SpineLandmarksLib.model.crops import CropShape
from SpineLandmarksLib.model.detector import Detector
from SpineLandmarksLib.model.quantised import QuantisedBackbone

needs_kernels = pytest.mark.skipif(not quantised.available(), reason="torch has no kernels for integers on this machine")


@pytest.fixture(scope="module")
def networks():
    return weights.load(), weights.load(quantised=False)


@needs_kernels
def test_the_same_vertebrae_and_nearly_the_same_corners(networks, sample_film):
    film = films.read(sample_film)
    on_integers, on_floats = (Detector(some).detect(film) for some in networks)
    assert isinstance(networks[0].refiner.backbone, QuantisedBackbone) and isinstance(networks[1].refiner.backbone, EfficientNetLite0)
    assert on_integers.levels == on_floats.levels
    apart, widths = [], []
    for level, name, corner in on_integers:
        apart.append(np.linalg.norm(corner.position - on_floats.corners[level][name].position))
        if name == "SA":
            widths.append(np.linalg.norm(corner.position - on_integers.corners[level]["SP"].position))
    assert 0 < np.median(apart) < 0.01 * np.median(widths)


@needs_kernels
@pytest.mark.parametrize("shape", [(144, 144), (128, 112), (100, 60), (65, 97)])
def test_features_are_those_of_floats_but_for_rounding(networks, shape):
    greys = torch.randn(3, 3, *(side // 8 + 1 for side in shape), generator=torch.Generator().manual_seed(1))
    x = torch.nn.functional.interpolate(greys, size=shape, mode="bilinear").clamp(-4, 4).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        rounded, exact, alone = networks[0].refiner.backbone(x), networks[1].refiner.backbone(x), networks[0].refiner.backbone(x[:1])
    for a, b, c in zip(rounded, exact, alone):
        assert a.shape == b.shape and a.dtype == torch.float32
        assert float((a - b).norm() / b.norm()) < 0.3
        # One picture by itself takes another way through the kernels.
        torch.testing.assert_close(c, a[:1], rtol=0, atol=float(a.abs().max()) / 50)


def test_the_last_digits_of_a_pose_move_no_crop():
    shape, angle = CropShape(144, 1.9), 0.1234
    frames = []
    for small in (0.0, 1e-5):
        pose = Pose(np.array([101.3, 57.61]) + small, np.array([np.cos(angle + small), np.sin(angle + small)]), 43.21 + small)
        frames.append(shape.frame(pose, False))
    np.testing.assert_array_equal(*frames)
    # What is read there is mapped back through the very frame, and that is near the pose.
    middle = np.linalg.inv(frames[0]) @ [71.5, 71.5, 1]
    assert np.abs(middle[:2] - [101.3, 57.61]).max() <= 0.125
    assert np.isfinite(shape.frame(Pose(np.zeros(2), np.array([1.0, 0.0]), 1e-3), True)).all()


@needs_kernels
def test_weights_have_seven_bits_and_the_engine_is_left_as_it_was():
    before = torch.backends.quantized.engine
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    quantised._packed(weight, torch.zeros(4), (1, 1), (1, 1), 1)
    assert torch.backends.quantized.engine == before
    assert int((weight / quantised._scales(weight)[:, None, None, None]).round().abs().max()) == 63


def test_without_ranges_or_kernels_networks_run_on_floats(float_weights, monkeypatch):
    monkeypatch.setattr(weights, "available", lambda: False)
    assert isinstance(weights.load().refiner.backbone, EfficientNetLite0)
    monkeypatch.setattr(weights, "available", lambda: True)
    assert isinstance(weights.load(float_weights).refiner.backbone, EfficientNetLite0)
    assert weights.identity(float_weights) != weights.identity()


@needs_kernels
def test_ranges_that_lack_a_layer_or_were_changed_are_refused(copy):
    path = copy / weights.RANGES
    tensors = load_file(path)
    del tensors["refine.stages.2.0.layers.1.range"]
    save_file(tensors, path)
    with pytest.raises(weights.WeightsError, match="SHA-256"):
        weights.load(copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["ranges"]["sha256"] = weights.sha256(path)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(weights.WeightsError, match="lacks"):
        weights.load(copy)


@needs_kernels
def test_ranges_are_measured_on_films(float_weights, sample_film):
    from training.labels import LabelledFilm, read
    from training.quantise import quantise

    (float_weights / weights.RANGES).unlink()
    blank = LabelledFilm("blank", sample_film, {}, {}, None, pixels=np.zeros((200, 100), np.float32))
    with pytest.raises(ValueError, match="no vertebra"):
        quantise(float_weights, [blank])
    assert isinstance(weights.load(float_weights).refiner.backbone, EfficientNetLite0)
    quantise(float_weights, read(sample_film.parent))
    assert isinstance(weights.load(float_weights).refiner.backbone, QuantisedBackbone)
    measured = load_file(float_weights / weights.RANGES)
    assert measured.keys() == load_file(weights.FOLDER / weights.RANGES).keys()
    assert all(float(seen[0]) <= 0 <= float(seen[1]) for name, seen in measured.items() if name.endswith(quantised.RANGE))
