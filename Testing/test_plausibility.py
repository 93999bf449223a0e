"""Readings that no spine gives are noticed; slips, fractures and collapsed discs are not."""

from dataclasses import replace

import numpy as np
import pytest

from SpineLandmarksLib.core.detection import Corner, CornerStatus
from SpineLandmarksLib.core.overlooked import with_overlooked
from SpineLandmarksLib.core.plausibility import checked, findings

from .conftest import make_detection
from .test_measurements import lumbar, on_film, plate


def texts(corners, facing="left", spacing=(0.2, 0.2)):
    return [f.text for f in findings(make_detection(on_film(corners, facing, spacing), facing), spacing)]


@pytest.mark.parametrize("facing", ["left", "right"])
@pytest.mark.parametrize("spacing", [(0.2, 0.2), (0.2, 0.1)])
def test_a_healthy_spine_passes(facing, spacing):
    assert texts(lumbar(), facing, spacing) == []


def test_disease_passes():
    corners = lumbar()
    corners["L3"]["SA"] = corners["L3"]["SA"] - (0, 9)  # wedge fracture
    for name in ("SA", "SP", "IA", "IP"):
        corners["L4"][name] = corners["L4"][name] + (14, -8)  # grade III slip on a collapsed disc
    assert texts(corners) == []


def test_crossing_corners_sizes_and_angles_are_noticed():
    corners = lumbar()
    corners["L2"]["SA"], corners["L2"]["SP"] = corners["L2"]["SP"], corners["L2"]["SA"]
    assert "the corners of L2 cross" in texts(corners)
    corners = lumbar()
    corners["L2"] = {k: np.array([0, -50]) + 0.4 * (p - (0, -50)) for k, p in corners["L2"].items()}
    assert "L1 and L2 differ in size as no neighbours do" in texts(corners)
    corners = lumbar()
    sa, sp = plate(-110, (0, -142))
    corners["S1"] = {"SA": sa, "SP": sp}
    assert any("L5 and S1 meet" in text for text in texts(corners))
    corners = lumbar()
    corners["L5"] = {k: p + (0, 18) for k, p in corners["L5"].items()}
    assert "L4 reaches into L5" in texts(corners)
    corners = lumbar()
    corners["L1"]["IA"], corners["L1"]["IP"] = corners["L1"]["IA"] + (0, -30), corners["L1"]["IP"] + (0, -30)
    assert any("shape that no vertebra has" in text for text in texts(corners))


def test_a_missed_vertebra_is_noticed():
    corners = lumbar()  # L3 is skipped, and what lies above it has the name of the next one down
    skipped = {"L2": corners["L1"], "L3": corners["L2"], "L4": corners["L4"], "L5": corners["L5"], "S1": corners["S1"]}
    assert texts(skipped) == ["between L3 and L4 there is room for another vertebra: one seems to be missed"]


@pytest.mark.parametrize("facing", ["left", "right"])
def test_an_overlooked_vertebra_is_read_in_the_room_left_for_it(facing):
    corners = on_film(lumbar(), facing, (0.2, 0.2))
    named = {"L2": corners["L1"], "L3": corners["L2"], **{k: corners[k] for k in ("L4", "L5", "S1")}}
    overlooked = make_detection(named, facing, unseen=frozenset({"L2"}), naming_confidence=0.6)
    asked = []

    def read(level, pose, its_facing):
        asked.append((level, its_facing))
        assert np.linalg.norm(pose.centre - np.mean(list(corners["L3"].values()), axis=0)) < 0.1 * pose.width
        return {name: Corner(np.array(p, float), np.eye(2)) for name, p in corners["L3"].items()}

    found = with_overlooked(overlooked, read)
    assert asked == [("L3", facing)] and found.levels == ("L1", "L2", "L3", "L4", "L5", "S1")
    for level, name, corner in found:
        np.testing.assert_array_equal(corner.position, corners[level][name])
    assert found.unseen == {"L1", "L3"}

    # What is read there is the neighbour, once more: then nobody was overlooked.
    again = with_overlooked(overlooked, lambda level, pose, facing: {k: Corner(np.array(p, float), np.eye(2)) for k, p in corners["L4"].items()})
    assert again == overlooked

    def vaguely(*names):
        return lambda *asked: {k: replace(c, status=CornerStatus.UNCERTAIN if k in names else c.status) for k, c in read(*asked).items()}

    assert with_overlooked(overlooked, vaguely("IA")).levels == found.levels
    assert with_overlooked(overlooked, vaguely("IA", "SP")) == overlooked
    whole, sure = make_detection(corners, facing, naming_confidence=0.6), replace(overlooked, naming_confidence=0.9)
    assert with_overlooked(whole, None) == whole and with_overlooked(sure, None) == sure

    # A neighbour that was misread leaves room where there may be none.
    stretched = {name: Corner(c.position + np.array([0.0, 180.0]) * (name in ("IA", "IP")), c.covariance) for name, c in overlooked.corners["L4"].items()}
    misread = replace(overlooked, corners={**overlooked.corners, "L4": stretched})
    assert with_overlooked(misread, read) == misread and len(asked) == 4


def test_implausible_corners_become_uncertain():
    corners = on_film(lumbar(), "left", (1, 1))
    corners["L2"]["SA"], corners["L2"]["SP"] = corners["L2"]["SP"], corners["L2"]["SA"]
    detection = checked(make_detection(corners))
    assert detection.remarks[0] == "the corners of L2 cross"
    assert detection.corners["L2"]["IA"].status is CornerStatus.UNCERTAIN and detection.corners["L4"]["IA"].status is CornerStatus.OK


def test_doubt_about_the_names_is_said():
    sure = on_film(lumbar(), "left", (0.2, 0.2))
    assert make_detection(sure, naming_confidence=0.9).remarks == ()
    assert "names are uncertain (confidence 0.32)" in make_detection(sure, naming_confidence=0.32).remarks[0]
    without = {level: corners for level, corners in sure.items() if level != "S1"}
    assert "no sacrum is marked" in make_detection(without, naming_confidence=0.9).remarks[0]
    assert make_detection(without, naming_confidence=1.0).remarks == ()  # a reader has named them
