import itertools

import numpy as np
import pytest

from SpineLandmarksLib.core import column, frames, naming
from SpineLandmarksLib.core.anatomy import LEVELS, corners_of
from SpineLandmarksLib.core.naming import name_chain


def column_of(levels, gap=40.0, tilt=0.05):
    return np.array([[100 + tilt * gap * i, 50 + gap * i] for i in range(len(levels))])


def names_of(levels, sure=3.0):
    """Log-probabilities that favour each candidate's true level."""
    logits = np.zeros((len(levels), len(LEVELS)))
    for row, level in enumerate(levels):
        logits[row, LEVELS.index(level)] = sure
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


LUMBAR = ("T12", "L1", "L2", "L3", "L4", "L5", "S1")


def test_corners_of_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="C8"):
        corners_of("C8")


def test_clear_chain_is_named():
    chain = name_chain(column_of(LUMBAR), np.full(7, 0.9), names_of(LUMBAR))
    assert chain.levels == LUMBAR and chain.seen.all() and chain.naming_confidence > 0.7


def test_one_misnamed_vertebra_is_overruled_by_the_chain():
    names = names_of(LUMBAR)
    names[3] = names_of(["T5"], sure=8.0)[0]
    assert name_chain(column_of(LUMBAR), np.full(7, 0.9), names).levels == LUMBAR


def test_missing_vertebra_is_filled_between_its_neighbours_and_marked():
    keep = [0, 1, 2, 4, 5, 6]
    centres = column_of(LUMBAR)
    chain = name_chain(centres[keep], np.full(6, 0.9), names_of(LUMBAR)[keep])
    assert chain.levels == LUMBAR
    assert list(chain.seen) == [True, True, True, False, True, True, True]
    np.testing.assert_allclose(chain.centres[3], centres[3])


def test_stray_candidate_beside_the_column_is_left_out():
    centres = np.vstack([column_of(LUMBAR), [[220.0, 170.0]]])
    names = np.vstack([names_of(LUMBAR), names_of(["L3"])])
    chain = name_chain(centres, np.array([0.9] * 7 + [0.4]), names)
    assert chain.levels == LUMBAR and chain.centres[:, 0].max() < 150


def test_vague_names_give_low_confidence():
    chain = name_chain(column_of(LUMBAR), np.full(7, 0.9), names_of(LUMBAR, sure=0.05))
    assert chain.naming_confidence < 0.4


def test_a_vertebra_that_may_stand_in_between_lowers_the_confidence():
    """The lowest candidates are L5 and S1, or S1 and a blot below it: all names above hang on that."""
    levels = (*LUMBAR, "S1")
    names = np.vstack([names_of(LUMBAR[:-1]), names_of(["S1", "S1"])])

    def confidence(of_the_lowest):
        chain = name_chain(column_of(levels), np.array([0.9] * 7 + [of_the_lowest]), names)
        assert chain.levels[-1] == "S1"
        return chain.naming_confidence

    assert confidence(0.05) > 0.8 > 0.7 > confidence(0.3)


def _counted_one_by_one(centres, presence, names):
    """(18, n) evidence for the best chain through each candidate by each name, of all that there are."""
    n, gap = len(centres), naming._typical_gap(centres, presence)
    node, through = naming._node_evidence(presence, names), np.full((len(LEVELS), n), -np.inf)

    def cost(a, b, above, level):
        skip, sacral = level - above, LEVELS[level] == "S1"
        expected = gap * (skip - 1 + (naming._SACRAL_GAP if sacral else 1))
        least_down = naming._LEAST_DOWN_SACRUM if sacral else naming._LEAST_DOWN
        return naming._edge_costs(centres, expected, least_down)[a, b] + naming._SKIP_COST * (skip - 1)

    for order in (some for k in range(n) for some in itertools.permutations(range(n), k + 1)):
        for top, *skips in itertools.product(range(len(LEVELS)), *[(1, 2)] * (len(order) - 1)):
            levels = np.cumsum([top, *skips])
            if levels[-1] < len(LEVELS):
                score = sum(node[levels, list(order)]) - sum(map(cost, order, order[1:], levels, levels[1:]))
                through[levels, list(order)] = np.maximum(through[levels, list(order)], score)
    return through


def test_best_chain_is_the_best_of_all_that_can_be_counted():
    rng = np.random.default_rng(3)
    for _ in range(20):
        centres = column_of(range(3)) + rng.normal(0, 6, (3, 2))
        presence, names = rng.uniform(0.1, 0.9, 3), np.log(rng.dirichlet(np.full(len(LEVELS), 0.3), 3))
        through = _counted_one_by_one(centres, presence, names)
        np.testing.assert_allclose(naming._Chains(centres, presence, names).through, through)
        chain = name_chain(centres, presence, names)
        assert chain is None or chain.evidence == pytest.approx(through.max())


@pytest.mark.parametrize("n", [0, 1])
def test_no_chain_from_fewer_than_two(n):
    assert name_chain(np.zeros((n, 2)), np.ones(n), np.zeros((n, 18))) is None


def _tilt(pose, facing_right):
    """How far the posterior end points up, degrees."""
    back, down = pose.posterior
    return np.degrees(np.arctan2(-down, -back if facing_right else back))


@pytest.mark.parametrize("facing_right", [False, True])
def test_poses_from_centres_of_an_upright_column(facing_right):
    poses = column.poses_from_centres(LUMBAR, column_of(LUMBAR, tilt=0.0), facing_right)
    *bodies, l5, s1 = poses
    for pose in bodies:
        np.testing.assert_allclose(pose.posterior, [-1, 0] if facing_right else [1, 0], atol=1e-9)
    # The lower end of the lumbar lordosis and the sacral slope, as they are on most films.
    assert 8 < _tilt(l5, facing_right) < 25 < _tilt(s1, facing_right) < 45
    assert [pose.width for pose in poses] == pytest.approx([0.95 * 40] * 6 + [0.9 * 40])


@pytest.mark.parametrize("facing_right", [False, True])
def test_a_slipped_vertebra_does_not_turn_the_sacrum(facing_right):
    """S1's plate keeps its slope where L5 has slid forwards by half of it."""
    centres = column_of(LUMBAR, tilt=0.0)
    slipped = centres.copy()
    slipped[-1, 0] += -20 if facing_right else 20
    before, after = (column.poses_from_centres(LUMBAR, c, facing_right) for c in (centres, slipped))
    np.testing.assert_allclose(after[-1].posterior, before[-1].posterior)
    assert 0 < _tilt(after[-2], facing_right) - _tilt(before[-2], facing_right) < 15


def test_poses_turn_with_a_tilted_column():
    centres = column_of(LUMBAR, tilt=0.0)
    turn = frames.rotation_about(np.zeros(2), 20)[:2, :2]
    for levels in (LUMBAR, LUMBAR[:-1], LUMBAR[:4], LUMBAR[-2:]):
        straight, tilted = (column.poses_from_centres(levels, c[LUMBAR.index(levels[0]) :][: len(levels)], False) for c in (centres, centres @ turn.T))
        for a, b in zip(straight, tilted):
            np.testing.assert_allclose(turn @ a.posterior, b.posterior, atol=1e-9)
            assert a.width == pytest.approx(b.width)


def test_pose_of_a_single_centre_is_refused():
    with pytest.raises(ValueError, match="single vertebra"):
        column.poses_from_centres(["L3"], np.zeros((1, 2)), False)


def test_pose_from_corners_of_a_rectangle():
    corners = {k: np.array(p, float) for k, p in {"SA": (0, 0), "SP": (40, 0), "IA": (0, 30), "IP": (40, 30)}.items()}
    pose = column.pose_from_corners(corners, "L3")
    np.testing.assert_allclose(pose.centre, [20, 15])
    np.testing.assert_allclose(pose.posterior, [1, 0])
    assert pose.width == 40
    # S1 is its plate alone.
    np.testing.assert_allclose(column.pose_from_corners(corners, "S1").centre, [20, 0])
