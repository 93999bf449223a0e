"""Promises of the README that no other test holds."""

import ast
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np

from SpineLandmarksLib.shell.main import main

from .conftest import ROOT, SAMPLE_FILM
from .films import picture, write_dicom

LIBRARY = ROOT / "SpineLandmarks"


def test_nothing_is_unpickled():
    """No pickle, no torch.load, no numpy.load in anything that ships."""
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
                assert not {"pickle", "joblib", "dill", "shelve", "marshal"} & set(names), path
            if isinstance(node, ast.Attribute) and node.attr == "load" and isinstance(node.value, ast.Name):
                assert node.value.id not in ("torch", "np", "numpy"), path


def _detect_by(script: str, out: Path) -> subprocess.CompletedProcess:
    """Detect on the bundled film in a process that a script has prepared."""
    command = [sys.executable, "-c", script, "detect", str(SAMPLE_FILM), "-o", str(out), "--device", "cpu"]
    return subprocess.run(command, capture_output=True, text=True)


def test_detecting_opens_no_connection(tmp_path):
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from SpineLandmarksLib.shell.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = _detect_by(script, tmp_path)
    assert done.returncode == 0, done.stderr


def test_what_is_printed_and_logged_holds_no_patient(tmp_path, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    rng = np.random.default_rng(0)
    tags = dict(PatientName="Doe^Jane", PatientID="P-1234", PatientBirthDate="19700101")
    write_dicom(tmp_path / "good.dcm", picture(16, (200, 160)), **tags)
    broken = bytearray((tmp_path / "good.dcm").read_bytes())
    for at in rng.integers(400, len(broken), 200):
        broken[at] = rng.integers(256)
    (tmp_path / "broken.dcm").write_bytes(broken)
    main(["detect", str(tmp_path), "-o", str(tmp_path / "out")])
    told = capfd.readouterr()
    text = told.out + told.err + caplog.text + "".join(p.read_text() for p in (tmp_path / "out").glob("*.csv"))
    for secret in ("Doe", "P-1234", "19700101"):
        assert secret not in text


def test_a_full_disk_is_one_sentence_and_exit_code_2(tmp_path):
    """A limit on the size of files stands in for a full disk."""
    script = (
        "import resource, signal, sys\n"
        "from SpineLandmarksLib.shell.main import main\n"
        "import SpineLandmarksLib.shell.detect\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = _detect_by(script, tmp_path)
    assert done.returncode == 2 and "cannot write" in done.stderr and "Traceback" not in done.stderr, done.stderr
