"""Whole archives: nothing lost, nothing twice, nothing torn, whatever is killed when."""

import csv
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest

from SpineLandmarksLib.archive import executors
from SpineLandmarksLib.archive.parts import what_is_done, write_part
from SpineLandmarksLib.archive.process import BatchError, gather, plan, process
from SpineLandmarksLib.archive.store import LocalStore, open_store
from SpineLandmarksLib.archive.work import Entry, Job, use_detector
from SpineLandmarksLib.shell.main import main

from .conftest import SAMPLE_FILM
from .films import picture, write_dicom


def fill(folder, films=3):
    """An archive of readable, unreadable and foreign files; returns the names of its films."""
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    names = set()
    for k in range(films):
        shutil.copy(SAMPLE_FILM, folder / "ab"[k % 2] / f"film{k // 2}.png")
        names.add(f"{'ab'[k % 2]}/film{k // 2}")
    (folder / "broken.png").write_bytes(b"not a picture")
    write_dicom(folder / "b" / "ramp.dcm", picture(shape=(200, 160)), PatientID="P-17", PatientName="Doe^J")
    (folder / "notes.txt").write_text("no film")
    (folder / "a" / "odd name, with\nnewline \u00fc.png").write_bytes(b"")
    return names | {"broken", "b/ramp", "a/odd name, with\nnewline \u00fc"}


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "films"
    return folder, fill(folder), tmp_path / "out"


@pytest.fixture
def job(archive, detector):
    folder, _, out = archive
    job = Job(str(folder), str(out), "", "cpu", None, pictures=False)
    use_detector(job, detector)
    return job


def work(job, model="m", **more):
    todo = plan(job, model, **more)
    process(job, todo.todo, executors.Serial(), 2)
    return todo, gather(job)


def test_every_file_has_its_row_and_films_of_one_name_stay_apart(archive, job):
    folder, names, out = archive
    todo, counts = work(job)
    assert todo.skipped == 1 and counts == {"ok": 3, "error": 2, "refused": 1}
    rows = read(out / "films.csv")
    assert sorted(r["film"] for r in rows) == sorted(names)
    landmarks = read(out / "landmarks.csv")
    assert {r["film"] for r in landmarks} == {"a/film0", "b/film0", "a/film1"}
    assert len(landmarks) == len({(r["film"], r["level"], r["corner"]) for r in landmarks})
    assert (out / "a" / "film0.mrk.json").exists() and not (out / "a" / "film0.png").exists()


def test_tables_are_those_of_detect(archive, job, tmp_path):
    _, _, out = archive
    work(job)
    assert main(["detect", str(SAMPLE_FILM), "-o", str(tmp_path / "detect")]) == 0
    for table in ("films", "landmarks", "measurements"):
        mine = [{k: v for k, v in r.items() if k not in ("film", "seconds")} for r in read(out / f"{table}.csv") if r["film"] == "a/film0"]
        theirs = [{k: v for k, v in r.items() if k not in ("film", "seconds")} for r in read(tmp_path / "detect" / f"{table}.csv")]
        assert mine == theirs


def test_parquet_holds_what_csv_holds(archive, job):
    parquet = pytest.importorskip("pyarrow.parquet")
    _, _, out = archive
    work(job)
    for table in ("films", "landmarks", "measurements"):
        rows = parquet.read_table(out / f"{table}.parquet").to_pylist()
        text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
        expected = [{k: str(float(v)) if v and isinstance(rows[0][k], float) or (v and k in ("value", "low90", "high90")) else v for k, v in r.items()}
                    for r in read(out / f"{table}.csv")]
        assert text == expected


def test_a_second_run_does_nothing_and_changed_files_are_done_again(archive, job):
    folder, _, out = archive
    work(job)
    before = read(out / "films.csv")
    todo, _ = work(job)
    assert todo.todo == [] and todo.done == 6
    assert sorted(map(str, read(out / "films.csv"))) == sorted(map(str, before))
    shutil.copy(SAMPLE_FILM, folder / "broken.png")
    (folder / "b" / "film0.png").write_bytes(b"now broken")
    todo, counts = work(job)
    assert {e.film for e in todo.todo} == {"broken", "b/film0"} and counts == {"ok": 3, "error": 2, "refused": 1}
    rows = {r["film"]: r["status"] for r in read(out / "films.csv")}
    assert len(rows) == len(read(out / "films.csv")) == 6
    assert rows["broken"] == "ok" and rows["b/film0"] == "error"
    assert "b/film0" not in {r["film"] for r in read(out / "landmarks.csv")}
    assert {e.film for e in plan(job, "m", retry_failed=True).todo} == {r for r, status in rows.items() if status != "ok"}
    with pytest.raises(BatchError, match="other weights"):
        plan(job, "m2")


def test_an_output_folder_inside_the_archive_is_not_searched(archive, detector):
    folder, names, _ = archive
    job = Job(str(folder), str(folder / "out"), "", "cpu", None)
    use_detector(job, detector)
    work(job)
    assert (folder / "out" / "a" / "film0.png").exists()
    assert plan(job, "m").todo == []


@pytest.mark.parametrize("out", [".", "..", "../films/../films"])
def test_an_archive_is_no_output_folder(archive, out):
    folder, _, _ = archive
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(BatchError, match="holds the archive itself"):
        plan(Job(str(folder), str(folder / out), "", "cpu", None), "m")
    assert before == {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}


def test_tables_and_pictures_that_are_not_ours_are_kept(archive, detector):
    folder, _, out = archive
    job = Job(str(folder), str(out), "", "cpu", None)
    use_detector(job, detector)
    out.mkdir()
    (out / "films.csv").write_text("film,file,anterior\nN1,N1.jpg,left\n")
    with pytest.raises(BatchError, match="films.csv in .* is no table of ours"):
        plan(job, "m")
    (out / "films.csv").unlink()
    (out / "a").mkdir()
    kept = shutil.copy(SAMPLE_FILM, out / "a" / "film0.png")
    work(job)
    rows = {row["film"]: row for row in read(out / "films.csv")}
    assert rows["a/film0"]["status"] == "error" and "a/film0.png in" in rows["a/film0"]["message"]
    assert kept.read_bytes() == SAMPLE_FILM.read_bytes() and rows["b/film0"]["status"] == "ok"
    assert not (out / "a" / "film0.mrk.json").exists()


def test_only_the_user_can_read_the_results(archive, job):
    _, _, out = archive
    mask = os.umask(0o022)
    try:
        work(job)
        assert os.umask(0o022) == 0o022, "the caller's own mask is given back"
    finally:
        os.umask(mask)
    for path in (out, *out.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_identifiers_stay_out_unless_asked_for(archive, job, detector):
    _, _, out = archive
    work(job)
    assert not any(b"P-17" in p.read_bytes() or b"Doe" in p.read_bytes() for p in out.rglob("*") if p.is_file() and p.suffix != ".gz")
    asked = Job(job.source, str(out.parent / "named"), "", "cpu", None, ids=("PatientID", "StudyDate"), pictures=False)
    use_detector(asked, detector)
    work(asked)
    rows = {r["film"]: r for r in read(out.parent / "named" / "ids.csv")}
    assert rows["b/ramp"]["PatientID"] == "P-17" and rows["b/ramp"]["StudyDate"] == "" and rows["broken"]["PatientID"] == ""


def test_the_summary_page_stands_alone(archive, job):
    _, _, out = archive
    work(job)
    text = (out / "summary.html").read_text(encoding="utf-8")
    assert "3 ok" in text and "b/ramp" in text and "data:image/jpeg;base64," in text and "<svg" in text
    assert "http" not in text and "<script" not in text


def test_storage_behind_a_url(archive, detector):
    fsspec = pytest.importorskip("fsspec")
    folder, names, _ = archive
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/films", recursive=True)
    job = Job("memory://films", "memory://results", "", "cpu", None)
    use_detector(job, detector)
    try:
        _, counts = work(job)
        assert counts == {"ok": 3, "error": 2, "refused": 1}
        assert memory.exists("/results/a/film0.png") and memory.exists("/results/summary.html")
        assert plan(job, "m").todo == []
    finally:
        for place in ("/films", "/results"):
            memory.rm(place, recursive=True)


def test_a_place_that_does_not_exist_is_said(tmp_path, capsys):
    for source in (str(tmp_path / "nothing"), "nosuchprotocol://x"):
        assert main(["batch", source, "-o", str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err


@pytest.mark.parametrize(("nonsense", "told"), [
    (["--workers", "0"], "expected 1 or more"), (["--workers", "-3"], "expected 1 or more"), (["--keep-ids", "PatientId"], "PatientId is no DICOM keyword"),
])
def test_wrong_options_are_said_before_the_work(archive, capsys, nonsense, told):
    folder, _, out = archive
    try:
        code = main(["batch", str(folder), "-o", str(out), *nonsense])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2 and told in capsys.readouterr().err and not out.exists()


def test_the_newer_part_counts(tmp_path):
    out = LocalStore(tmp_path)
    film = {"film": "x", "file": "x.png", "fingerprint": "1", "status": "error"}
    write_part(out, [film, {**film, "film": "y"}])
    write_part(out, [{**film, "status": "ok"}])
    done = what_is_done(out)
    assert done["x"].status == "ok" and done["y"].status == "error"


def start(folder, out, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "SpineLandmarksLib.shell.main", "batch", str(folder), "-o", str(out), "--device", "cpu", "--no-pictures", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )


def wait_for_parts(out, count, process):
    end = time.monotonic() + 120
    while len(list((out / "parts").glob("*.gz"))) < count:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.02)


def test_killed_and_interrupted_runs_go_on(tmp_path):
    """SIGKILL in the middle, then Ctrl-C in the middle, then to the end."""
    folder, out = tmp_path / "films", tmp_path / "out"
    names = fill(folder, films=24)
    first = start(folder, out, "--workers", "2")
    wait_for_parts(out, 3, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    second = start(folder, out, "--workers", "2")
    wait_for_parts(out, 7, second)
    os.killpg(second.pid, signal.SIGINT)
    _, told = second.communicate(timeout=120)
    assert second.returncode == 130 and "stopped" in told and "Traceback" not in told, told
    reached = {r["film"] for r in read(out / "films.csv")}
    assert 7 <= len(reached) < len(names) + 1
    third = start(folder, out)
    _, told = third.communicate(timeout=240)
    assert third.returncode == 1 and f"{len(reached)} done before" in told, told
    rows = read(out / "films.csv")
    assert sorted(r["film"] for r in rows) == sorted(names)
    landmarks = read(out / "landmarks.csv")
    assert len(landmarks) == len({(r["film"], r["level"], r["corner"]) for r in landmarks})
    assert not list(out.glob(".spine-landmarks-*")) and not list(out.rglob("*.part"))
    assert json.loads((out / "batch.json").read_text())["model"]


def test_a_dask_cluster_that_loses_a_worker_loses_no_film(tmp_path):
    distributed = pytest.importorskip("distributed")
    folder, out = tmp_path / "films", tmp_path / "out"
    names = fill(folder, films=10)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        run = start(folder, out, "--scheduler", cluster.scheduler_address)
        wait_for_parts(out, 3, run)
        victim = next(iter(cluster.workers.values()))
        os.kill(victim.process.pid, signal.SIGKILL)
        _, told = run.communicate(timeout=240)
    assert run.returncode == 1, told
    assert sorted(r["film"] for r in read(out / "films.csv")) == sorted(names)
    assert sum(r["status"] == "ok" for r in read(out / "films.csv")) == 10


def test_a_process_that_dies_takes_only_its_film_along(archive, monkeypatch):
    """A chunk that kills its process is reported; the others are done."""
    folder, names, out = archive
    done = []
    entries = [Entry(f"f{k}", "die" if k == 1 else f"{k}", "1") for k in range(5)]
    monkeypatch.setattr(executors, "run", _die_if_told)
    for chunk, error in executors.Processes(2).run(Job(str(folder), str(out), "", "cpu", 1), [[e] for e in entries]):
        done.append((chunk[0].film, error is None))
    assert sorted(done) == [("f0", True), ("f1", False), ("f2", True), ("f3", True), ("f4", True)]


def _die_if_told(job, chunk):
    if chunk[0].file == "die":
        os._exit(9)
    return "part"


def test_only_what_a_killed_run_has_left_is_removed(tmp_path):
    for name in (".spine-landmarks-x/file", "a/.film.png.4711.part", "a/.holidays.part", "a/.spine-landmarks-y"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    LocalStore(tmp_path).prepare()
    assert {path.name for path in tmp_path.rglob("*")} == {"a", ".holidays.part", ".spine-landmarks-y"}


def test_stores_refuse_what_they_cannot_open():
    with pytest.raises(ValueError, match="nosuch"):
        open_store("nosuch://place")
