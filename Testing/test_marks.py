"""Simulated corners moved to where readers mark them."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from SpineLandmarksLib.core.detection import Corner
from training.labels import LabelledFilm
from training.labels.film import all_sure
from training.simulate import marks

LEVELS = ("L4", "L5", "S1")


def film(facing_right, turn=0.1):
    """Bodies 40 wide and 30 high in a column that leans by ``turn`` radians."""
    back = np.array([np.cos(turn), np.sin(turn)]) * (-1 if facing_right else 1)
    down = np.array([-np.sin(turn), np.cos(turn)])
    corners = {}
    for i, level in enumerate(LEVELS):
        middle = np.array([100.0, 50.0]) + 40 * i * down
        named = {"SA": -20 * back - 15 * down, "SP": 20 * back - 15 * down, "IA": -20 * back + 15 * down, "IP": 20 * back + 15 * down}
        corners[level] = {k: middle + p for k, p in named.items() if level != "S1" or k[0] == "S"}
    return LabelledFilm("f", None, facing_right, corners, all_sure(corners), pixels=np.random.default_rng(0).random((200, 200)))


class Reader:
    """Sees SP of every vertebra 4 pixels (a tenth of the width) further back and 2 higher than it is marked."""

    device = "cpu"

    def __init__(self, films):
        self.films = iter(films)

    def read(self, sites):
        film = next(self.films)
        for site in sites:
            found = {k: Corner(p.copy(), np.eye(2)) for k, p in film.corners[site.level].items()}
            back = found["SP"].position - found["SA"].position
            back /= np.linalg.norm(back)
            up = np.array([back[1], -back[0]])
            found["SP"].position[:] += 4 * back + 2 * (up if up[1] < 0 else -up)
            yield site.level, found, []


@pytest.mark.parametrize("facing_right", [False, True])
def test_what_readers_see_elsewhere_is_moved_there(facing_right):
    films = [film(facing_right), film(facing_right, -0.2), film(not facing_right)]
    shifts = marks.measure(Reader(films), films)
    np.testing.assert_allclose(shifts["L5", "SP"], [-0.1, 0.05], atol=1e-6)
    np.testing.assert_allclose(shifts["L5", "IA"], 0, atol=1e-6)
    moved = marks.moved(films[0].corners["L5"], "L5", shifts)
    np.testing.assert_allclose(moved["IA"], films[0].corners["L5"]["IA"], atol=1e-6)
    step = moved["SP"] - films[0].corners["L5"]["SP"]
    assert step @ (films[0].corners["L5"]["SP"] - films[0].corners["L5"]["SA"]) == pytest.approx(4 * 40, rel=1e-6) and step[1] < 0


def test_a_copy_of_the_folder_has_moved_corners(tmp_path):
    (tmp_path / "in").mkdir()
    corners = film(False).corners
    head = ("film", "level", "corner", "x", "y", "confidence", "on_film")
    with (tmp_path / "in" / "corners.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(("S1", level, k, *p, "high", "yes") for level, named in corners.items() for k, p in named.items())
    before = (tmp_path / "in" / "corners.csv").read_text()
    marks.write(tmp_path / "in", {("L5", "IP"): np.array([0.1, 0.0])}, tmp_path / "out")
    with (tmp_path / "out" / "corners.csv").open() as stream:
        rows = [SimpleNamespace(**row) for row in csv.DictReader(stream)]
    apart = {(r.level, r.corner): np.hypot(float(r.x) - corners[r.level][r.corner][0], float(r.y) - corners[r.level][r.corner][1]) for r in rows}
    assert apart.pop(("L5", "IP")) == pytest.approx(4, abs=0.02) and max(apart.values()) < 0.01
    assert (tmp_path / "in" / "corners.csv").read_text() == before
    with pytest.raises(FileExistsError):
        marks.write(tmp_path / "in", {}, tmp_path / "out")
