"""Levels renamed, vertebrae added and deleted, without Slicer."""

from dataclasses import replace

import numpy as np
import pytest

from SpineLandmarksLib.core import editing
from SpineLandmarksLib.core.construction import constructions, level_name_place
from SpineLandmarksLib.core.detection import CornerStatus
from SpineLandmarksLib.core.measurements import measure

from .conftest import make_detection
from .test_measurements import lumbar, on_film


@pytest.fixture
def detection():
    return make_detection(on_film(lumbar(), "left", (0.25, 0.25)), "left", naming_confidence=0.4)


def centre(detection, level):
    return np.mean([c.position for c in detection.corners[level].values()], axis=0)


def test_shifting_up_and_down(detection):
    up = editing.shift_levels(detection, -1)
    assert up.levels == ("T12", "L1", "L2", "L3", "L4", "L5") and set(up.corners["L5"]) == {"SA", "SP"}
    assert up.naming_confidence == 1.0
    down = editing.shift_levels(detection, 1)
    assert down.levels == ("L2", "L3", "L4", "L5", "S1") and set(down.corners["S1"]) == {"SA", "SP"}
    np.testing.assert_array_equal(down.corners["S1"]["SA"].position, detection.corners["L5"]["SA"].position)
    top = make_detection({"T1": {"SA": (0, 0)}, "T2": {"SA": (0, 9)}})
    with pytest.raises(ValueError, match="topmost"):
        editing.shift_levels(top, -1)


def test_a_click_above_below_or_between_finds_its_name(detection):
    step = centre(detection, "L2") - centre(detection, "L1")
    assert editing.make_room(detection, centre(detection, "L1") - step)[1] == "T12"
    with pytest.raises(ValueError, match="below S1"):
        editing.make_room(detection, centre(detection, "S1") + step)
    without = editing.delete_vertebra(detection, "L3")
    assert editing.make_room(without, centre(detection, "L3"))[1] == "L3"
    # Overlooked between L3 and L4: it is the new L3, and L1-L3 become T12-L2.
    room, level = editing.make_room(detection, (centre(detection, "L3") + centre(detection, "L4")) / 2)
    assert level == "L3" and room.levels == ("T12", "L1", "L2", "L4", "L5", "S1")
    np.testing.assert_array_equal(centre(room, "L2"), centre(detection, "L3"))
    with pytest.raises(ValueError, match="L4 is there already"):
        editing.make_room(detection, centre(detection, "L4") + 2)


def test_a_misread_sacrum_takes_no_part_in_names_far_above(detection):
    up = centre(detection, "L5") - centre(detection, "S1") - (0, 1)
    sacrum = {name: replace(corner, position=corner.position + up) for name, corner in detection.corners["S1"].items()}
    misread = replace(detection, corners={**detection.corners, "S1": sacrum})
    room, level = editing.make_room(misread, (centre(detection, "L2") + centre(detection, "L3")) / 2)
    assert level == "L2" and room.levels == ("T12", "L1", "L3", "L4", "L5", "S1")


@pytest.mark.parametrize("facing", ["left", "right"])
def test_a_box_stands_the_right_way_up(facing):
    detection = make_detection(on_film(lumbar(), facing, (0.25, 0.25)), facing)
    pose = editing.pose_at(detection, "T12", centre(detection, "L1") - (0, 100))
    box = editing.corners_from_pose(pose, "T12", facing)
    assert box["SA"][1] < box["IA"][1] and box["SP"][1] < box["IP"][1]
    assert (box["SA"][0] < box["SP"][0]) == (facing == "left")
    added = editing.add_vertebra(detection, "T12", {})
    assert added.levels[0] == "T12"


def test_deleting(detection):
    assert "L2" not in editing.delete_vertebra(detection, "L2").levels
    with pytest.raises(ValueError, match="T4 is not"):
        editing.delete_vertebra(detection, "T4")
    with pytest.raises(ValueError, match="last vertebra"):
        editing.delete_vertebra(make_detection({"L1": {"SA": (0, 0)}}), "L1")


def test_constructions_stay_on_the_film_and_meet_the_plates(detection):
    size = (1000, 1700)
    drawn = {c.id: c for c in constructions(detection, size, measure(detection))}
    assert set(drawn) == {"LL_L1_S1", "SS"} and drawn["SS"].text == "SS 40°?" and drawn["LL_L1_S1"].text == "LL 60°?"
    for c in drawn.values():
        for point in (*np.concatenate(c.lines), c.at):
            assert np.all(point >= 0) and np.all(point <= np.array(size) - 1)
    start, end = drawn["SS"].lines[1]
    assert start[1] == end[1] and end[0] < start[0]  # a horizontal line, forwards
    without_s1 = editing.delete_vertebra(detection, "S1")
    assert [c.id for c in constructions(without_s1, size, measure(without_s1))] == ["LL_L1_L5"]
    assert level_name_place(detection, "S1")[1] > centre(detection, "S1")[1]


@pytest.mark.parametrize(("outside", "named"), [(("SA",), True), (("SA", "SP"), False)])
def test_a_body_cut_by_the_films_edge_keeps_its_name_while_most_of_it_shows(detection, outside, named):
    cut = {name: replace(c, status=CornerStatus.OUTSIDE) if name in outside else c for name, c in detection.corners["L1"].items()}
    place = level_name_place(replace(detection, corners={**detection.corners, "L1": cut}), "L1")
    if named:
        np.testing.assert_allclose(place, centre(detection, "L1"))
    else:
        assert place is None
