"""Films changed on purpose: corners go where the picture goes, and everything is judged."""

import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy", reason="training extras are not installed: pip install '.[training]'")
from training import __main__ as training  # noqa: E402
from training import labels  # noqa: E402
from training.evaluation import changes, table  # noqa: E402
from training.evaluation.compare import compare  # noqa: E402

from .conftest import SAMPLE_FILM, make_detection  # noqa: E402

#: What leaves no trace of a bright spot where corners are.
_DROWNED = ("inverted", "noise of 15 %", "burnt-out pelvis", "glare")


@pytest.fixture(scope="module")
def labelled():
    (film,) = labels.read(SAMPLE_FILM.parent)
    return film


@pytest.fixture(scope="module")
def spotted(labelled):
    """A dark film with a bright spot on every corner of L2 and L4."""
    corners = {level: labelled.corners[level] for level in ("L2", "L4")}
    h, w = labelled.load().shape
    y, x = np.mgrid[:h, :w]
    pixels = np.zeros((h, w), np.float32)
    for px, py in (p for named in corners.values() for p in named.values()):
        pixels += np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 8.0**2))
    return replace(labelled, corners=corners, weights={level: labelled.weights[level] for level in corners}, pixels=pixels + x / w)


def _versions(film, names):
    return {name: changes.CHANGES[name](film, np.random.default_rng(3)) for name in names}


@pytest.mark.parametrize("name", [name for name in changes.CHANGES if name not in _DROWNED])
def test_corners_go_where_the_picture_goes(spotted, name):
    changed = _versions(spotted, [name])[name]
    pixels = changed.load()
    assert changed.corners
    for named in changed.corners.values():
        for x, y in named.values():
            reach = max(4, len(pixels) // 100)
            around = pixels[round(y) - reach : round(y) + reach + 1, round(x) - reach : round(x) + reach + 1]
            rim = np.concatenate([around[0], around[-1], around[:, 0], around[:, -1]])
            middle = around[reach - reach // 2 : reach + reach // 2 + 1, reach - reach // 2 : reach + reach // 2 + 1]
            assert middle.mean() > rim.mean() + 0.02


def test_a_mirrored_film_faces_the_other_side_and_a_turned_one_does_not(labelled):
    mirrored, turned = _versions(labelled, ["mirrored", "turned 180"]).values()
    assert mirrored.facing_right is not labelled.facing_right and turned.facing_right is labelled.facing_right


def test_films_cut_off_keep_whole_vertebrae_only(labelled):
    upper, lower = _versions(labelled, ["upper 75 %", "lower 75 %"]).values()
    assert upper.levels == labelled.levels[: len(upper.levels)] and lower.levels == labelled.levels[-len(lower.levels) :]
    assert len(upper.levels) < len(labelled.levels) > len(lower.levels)
    assert len(upper.load()) == int(0.75 * len(labelled.load()))
    assert compare(upper, make_detection(upper.corners)).found == sum(level in upper.levels for level in ("L1", "L2", "L3", "L4", "L5", "S1"))


def test_the_same_versions_every_time(labelled, monkeypatch):
    monkeypatch.setattr(changes, "CHANGES", {name: changes.CHANGES[name] for name in ("noise of 7 %", "photographed askew")})
    first, second = list(changes.versions(labelled)), list(changes.versions(labelled))
    assert [film.groups["changed"] for film in first] == ["as is", "noise of 7 %", "photographed askew"]
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one.load(), other.load())
    np.testing.assert_array_equal(first[0].load(), labelled.load())
    assert not list(changes.versions(replace(labelled, facing_right=None, corners={})))


def test_wrong_names_are_counted_with_the_doubts_about_them(labelled):
    errors = [compare(labelled, None) for _ in range(4)]
    for film, (refused, shift, confidence) in zip(errors, ((True, 0, np.nan), (False, 1, 0.6), (False, -1, 0.9), (False, 0, 0.7))):
        film.refused, film.shift, film.naming_confidence = refused, shift, confidence
    assert table.names(errors) == "2 named wrong, 1 of them not called uncertain, simulated_lateral 1; 1 named right, 1 of them called uncertain"


def test_films_that_are_not_lateral_are_refused_in_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "films.csv").write_text(f"film,file,anterior\nA,{SAMPLE_FILM},neither\n")
    (tmp_path / "corners.csv").write_text("film,level,corner,x,y\n")
    monkeypatch.setattr(sys, "argv", ["training", "--device", "cpu", "stress", "-f", str(tmp_path)])
    with pytest.raises(SystemExit) as left:
        training.main()
    assert left.value.code == 2 and "none of these films is lateral" in capsys.readouterr().err


def test_from_the_shell(labelled, monkeypatch, capsys):
    monkeypatch.setattr(changes, "CHANGES", {"black border": changes.CHANGES["black border"]})
    monkeypatch.setattr(sys, "argv", ["training", "--device", "cpu", "stress", "-f", str(SAMPLE_FILM.parent)])
    training.main()
    head, columns, as_is, bordered, names = capsys.readouterr().out.strip().splitlines()
    assert head == "SIMULATED, n = 1 films" and columns.split()[0] == "changed"
    assert as_is.split()[:4] == ["as", "is", "1", "6"] and bordered.split()[:4] == ["black", "border", "1", "6"]
    assert "0 named wrong" in names and "2 named right" in names
