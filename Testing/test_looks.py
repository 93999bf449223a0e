"""Looks at a film through different views agree on where things are."""

import numpy as np
import pytest
import torch

from SpineLandmarksLib.core import frames
from SpineLandmarksLib.core.anatomy import LEVELS
from SpineLandmarksLib.core.naming import Chain
from SpineLandmarksLib.model import locate
from SpineLandmarksLib.model.looks import CANVAS, Frame, Look, averaged
from SpineLandmarksLib.model.networks import STRIDE
from SpineLandmarksLib.model.sampling import Pyramid

LUMBAR = ("L1", "L2", "L3", "L4", "L5")
FILM = (900, 1500)
WHOLE = frames.letterbox(FILM, CANVAS)

#: A quarter of a cell of the first look, film pixels: peaks are read from 5 x 5 cells.
NEAR = STRIDE / frames.scale_of(WHOLE) / 4


def _look(view, points, facing_right=0.9, first_level=0):
    """What a perfect network would say: peaks where film points stand, each with a level of its own."""
    w, h = (side // STRIDE for side in CANVAS)
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    maps = torch.full((19, h, w), -4.0)
    cells = (frames.apply(view, points) + 0.5) / STRIDE - 0.5
    peaks = torch.stack([torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 4) for cx, cy in cells])
    maps[0] = peaks.amax(0)
    for level, peak in enumerate(peaks):
        maps[1 + first_level + level] += 4 * (peak > 0.2)
    return Look(view, maps.float(), facing_right, -5.0)


def _column(lean, gap=100.0):
    """Five centres (film pixels), going ``lean`` degrees to the right on their way down."""
    down = np.array([np.sin(np.radians(lean)), np.cos(np.radians(lean))])
    return np.array([450.0, 750.0]) + np.arange(-2, 3)[:, None] * gap * down


def _found(centres, facing_right=False):
    return locate.Located(Chain(LUMBAR, centres, np.ones(5, bool), 0.5, 10.0), facing_right, 0.9, -5.0)


@pytest.mark.parametrize("lean", [-15, 0, 25])
def test_two_looks_laid_over_each_other_show_every_place_once(lean):
    centres = _column(lean)
    closer = locate._closer(_found(centres), WHOLE)
    mirrored = frames.mirror(CANVAS[0]) @ closer
    frame = Frame.around(closer, WHOLE)
    points, presence, names = locate.candidates(averaged([_look(WHOLE, centres), _look(mirrored, centres)], frame))
    found = frames.apply(np.linalg.inv(frame.matrix), points)
    assert len(found) == 5 and presence.min() > 0.5
    order = np.argsort(found[:, 1])
    np.testing.assert_allclose(found[order], centres, atol=NEAR)
    assert names[order].argmax(1).tolist() == list(range(5))


def test_what_only_the_first_look_saw_stays():
    above = np.array([[450.0, 40.0]])
    closer = locate._closer(_found(_column(0, gap=45.0)), WHOLE)
    assert frames.apply(closer, above)[0, 1] < 0
    frame = Frame.around(closer, WHOLE)
    points, *_ = locate.candidates(averaged([_look(WHOLE, above), _look(closer, _column(0))], frame))
    nearest = np.linalg.norm(frames.apply(np.linalg.inv(frame.matrix), points) - above, axis=1).min()
    assert nearest < NEAR


@pytest.mark.parametrize(("lean", "gap", "facing_right"), [(0, 100, False), (20, 120, False), (20, 120, True), (-20, 150, True)])
def test_second_look_shows_the_column_upright_and_large(lean, gap, facing_right):
    centres = _column(lean, gap)
    view = locate._closer(_found(centres, facing_right), WHOLE)
    seen = frames.apply(view, centres)
    step = np.diff(seen, axis=0)
    # A healthy lumbar column leans back a little.
    assert np.degrees(np.arctan2(step[:, 0], step[:, 1])) == pytest.approx([-4 if facing_right else 4] * 4, abs=0.1)
    first = gap * frames.scale_of(WHOLE)
    assert np.linalg.norm(step, axis=1) == pytest.approx([min(58, 1.8 * first)] * 4)
    assert seen[-1, 1] == pytest.approx(0.78 * CANVAS[1]) and seen[:, 0].mean() == pytest.approx(CANVAS[0] / 2)


@pytest.mark.parametrize(("lean", "looks", "named_by"), [(25, 2, "second"), (-25, 2, "second"), (5, 1, "first")])
def test_a_column_that_leans_further_than_films_were_turned_in_training_is_named_by_the_upright_look(monkeypatch, lean, looks, named_by):
    centres, first_levels = _column(lean), {"first": 1, "second": 0}

    def look(network, films, views, mirrored=False):
        level = first_levels["second" if mirrored else "first"]
        return [_look(frames.mirror(CANVAS[0]) @ view if mirrored else view, centres, 0.99, level) for view in views]

    monkeypatch.setattr(locate, "look", look)
    monkeypatch.setattr(locate, "SURE_NAMES", 0.0)
    (found,) = locate.locate(None, [Pyramid(np.eye(*FILM[::-1]))])
    level = first_levels[named_by]
    assert found.looks == looks and found.chain.levels == LEVELS[level : level + 5]
    np.testing.assert_allclose(found.chain.centres, centres, atol=NEAR)


def test_an_upright_look_that_shows_less_does_not_count_by_itself(monkeypatch):
    centres = _column(25)
    monkeypatch.setattr(locate, "look", lambda network, films, views, mirrored=False: [_look(views[0], centres[:2] if mirrored else centres, 0.99)])
    (found,) = locate.locate(None, [Pyramid(np.eye(*FILM[::-1]))])
    assert found.looks == 2 and len(found.chain.levels) == 5


def test_where_nothing_was_found_the_middle_is_looked_at_closer():
    view = locate._closer(locate.Located(None, True, 0.6, -5.0), WHOLE)
    middle = (np.array(FILM) - 1) / 2
    np.testing.assert_allclose(frames.apply(view, middle), frames.apply(WHOLE, middle), atol=1e-6)
    assert frames.scale_of(view) == pytest.approx(1.2 * frames.scale_of(WHOLE))
