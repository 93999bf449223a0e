"""Parameters against values worked out by hand."""

import numpy as np
import pytest

from SpineLandmarksLib.core.detection import Corner, CornerStatus
from SpineLandmarksLib.core.measurements import MEASUREMENTS, Evaluation, MeasuredStatus, measure
from SpineLandmarksLib.core.radiograph import SpacingSource

from .conftest import make_detection


def plate(angle, centre, half=10.0):
    """(anterior, posterior) corners in the sagittal plane, anterior edge up by ``angle`` degrees."""
    u = half * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    return np.array(centre) + u, np.array(centre) - u


def on_film(corners, facing, spacing):
    """Sagittal plane (anterior, up), mm -> film pixels, the inverse of what measuring does."""
    sign = 1 if facing == "right" else -1
    return {level: {k: (sign * p[0] / spacing[0] + 500, -p[1] / spacing[1] + 900) for k, p in named.items()} for level, named in corners.items()}


def body(superior, inferior, centre_up):
    sa, sp = plate(superior, (0, centre_up + 8))
    ia, ip = plate(inferior, (0, centre_up - 8))
    return {"SA": sa, "SP": sp, "IA": ia, "IP": ip}


def lumbar():
    corners = {f"L{i}": body(20 - 10 * (i - 1), 15 - 10 * (i - 1), -25.0 * i) for i in range(1, 6)}
    sa, sp = plate(-40, (0, -150.0 + 8))
    return corners | {"S1": {"SA": sa, "SP": sp}}


def values(corners, facing="left", spacing=(1.0, 1.0), told=True, **more):
    detection = make_detection(on_film(corners, facing, spacing), facing, **more)
    return {m.definition.id: m for m in measure(detection, spacing if told else None)}


@pytest.mark.parametrize("facing", ["left", "right"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.143, 0.143), (0.2, 0.1), (0.1, 0.35)])
def test_angles_do_not_depend_on_facing_or_pixel_shape(facing, spacing):
    m = values(lumbar(), facing, spacing)
    expected = {
        "LL_L1_S1": 60,  # 20 - (-40)
        "LL_L1_L5": 45,  # 20 - (15 - 40)
        "SS": 40,
        "LDI": 100 * (-10 + 40) / 60,
        "SL_L1_L2": 10, "SL_L4_L5": 10, "SL_L5_S1": -20 + 40,
        "DA_L1_L2": 15 - 10, "DA_L5_S1": -25 + 40,
        "VW_L3": 0 - (-5),
    }
    for name, value in expected.items():
        assert m[name].value == pytest.approx(value, abs=1e-9), name
        assert m[name].status is MeasuredStatus.OK


def test_taking_oblong_pixels_for_square_would_be_wrong():
    # The guard of the test above: without the spacing the same film gives another angle.
    assert values(lumbar(), spacing=(0.2, 0.1), told=False)["LL_L1_S1"].value != pytest.approx(60, abs=1)


def test_kyphosis_is_positive_when_the_column_bends_forwards():
    corners = {"T4": body(-25, -23, 300), "T12": body(10, 12, 100), "T11": body(8, 9, 130), "L2": body(5, 3, 50), "T10": body(6, 7, 150)}
    m = values(corners)
    assert m["TK_T4_T12"].value == pytest.approx(12 + 25)
    assert m["TLK_T11_L2"].value == pytest.approx(3 - 8)
    assert m["TLK_T10_L2"].value == pytest.approx(3 - 6)


@pytest.mark.parametrize("facing", ["left", "right"])
def test_slip_of_a_quarter_body(facing):
    l4 = {"SA": np.array([30.0, 60]), "SP": np.array([-10.0, 60]), "IA": np.array([30.0, 35]), "IP": np.array([-10.0, 35])}
    l5 = {"SA": np.array([20.0, 30]), "SP": np.array([-20.0, 30]), "IA": np.array([20.0, 0]), "IP": np.array([-20.0, 0])}
    m = values({"L4": l4, "L5": l5}, facing)
    assert m["SLIP_L4_L5"].value == pytest.approx(25)  # 10 of 40 mm, forwards
    # Front height 5, back height 5; disc from (25, 32.5) to (-15, 32.5).
    assert m["DHI_L4_L5"].value == pytest.approx(2 * np.hypot(10, 5) / 40)
    assert m["DHI2_L4_L5"].value == pytest.approx(2 * np.hypot(10, 5) / 80)
    assert m["HR_L4"].value == pytest.approx(1)


def test_slip_on_the_sacrum_uses_the_perpendicular_of_its_plate():
    # S1 plate at 45 degrees down to the front; L5's corner 4 along it and 3 above it.
    u, n = np.array([1, -1]) / np.sqrt(2), np.array([1, 1]) / np.sqrt(2)
    sp = np.array([0.0, 0.0])
    corners = {"S1": {"SP": sp, "SA": sp + 40 * u}, "L5": {"IP": sp + 4 * u + 3 * n, "SA": sp + 50 * n + 40 * u, "SP": sp + 50 * n, "IA": sp + 3 * n + 40 * u}}
    assert values(corners)["SLIP_L5_S1"].value == pytest.approx(10)


def test_missing_corners_are_named():
    corners = lumbar()
    del corners["S1"]
    m = values(corners)
    assert m["LL_L1_S1"].value is None and m["LL_L1_S1"].status is MeasuredStatus.NOT_MEASURABLE
    assert m["LL_L1_S1"].reason == "not found on the film: S1"
    assert m["LL_L1_L5"].value is not None


def test_corner_outside_the_film_is_not_used():
    detection = make_detection(on_film(lumbar(), "left", (1, 1)))
    l1 = dict(detection.corners["L1"])
    l1["SA"] = Corner(l1["SA"].position, l1["SA"].covariance, CornerStatus.OUTSIDE)
    changed = type(detection)({**detection.corners, "L1": l1}, "left")
    m = {x.definition.id: x for x in measure(changed)}
    assert m["LL_L1_S1"].value is None and "L1 SA" in m["LL_L1_S1"].reason
    assert m["SS"].value == pytest.approx(40)


def test_uncertain_corners_and_names_are_said():
    m = values(lumbar(), naming_confidence=0.3)
    assert m["LL_L1_S1"].status is MeasuredStatus.UNCERTAIN and "level names" in m["LL_L1_S1"].reason
    assert m["HR_L3"].status is MeasuredStatus.OK  # true whatever the level is called
    m = {x.definition.id: x for x in measure(make_detection(on_film(lumbar(), "left", (1, 1)), status=CornerStatus.UNCERTAIN))}
    assert m["SS"].status is MeasuredStatus.UNCERTAIN and m["SS"].reason == "uncertain corners: S1 SA, S1 SP"


def test_corners_that_fall_together_are_not_measurable():
    corners = lumbar()
    corners["L4"]["IP"] = corners["L4"]["SP"]
    assert values(corners)["HR_L4"].reason.startswith("its corners fall together")


def test_table_is_complete_and_unambiguous():
    ids = [d.id for d in MEASUREMENTS]
    assert len(ids) == len(set(ids))
    assert all(d.name and d.source and d.positive and d.unit in ("deg", "%", "ratio", "mm") for d in MEASUREMENTS)


def test_millimetres_only_where_the_spacing_is_a_length():
    detection = make_detection(on_film(lumbar(), "left", (0.2, 0.1)), "left")
    for source, status in (
        (SpacingSource.CALIBRATED, "ok"), (SpacingSource.RULER, "ok"), (SpacingSource.DETECTOR, "uncertain"),
        (SpacingSource.FILE, "not measurable"), (SpacingSource.UNKNOWN, "not measurable"),
    ):
        m = {x.definition.id: x for x in measure(detection, (0.2, 0.1), source)}
        assert m["DS_L3"].status.value == status, source
        if status != "not measurable":
            assert m["DS_L3"].value == pytest.approx(20.0)
    assert {x.definition.id: x for x in measure(detection)}["DS_L3"].reason == "the film's pixel spacing is not known"


def test_moving_a_corner_updates_what_it_enters_and_nothing_else():
    detection = make_detection(on_film(lumbar(), "right", (0.2, 0.1)), "right", status=CornerStatus.UNCERTAIN)
    live = Evaluation(detection, (0.2, 0.1))
    before = list(live.measured)
    moved = detection.corners["S1"]["SP"].position + (10.0, 25.0)
    changed = live.move("S1", "SP", moved)
    assert {MEASUREMENTS[i].id for i in changed} >= {"LL_L1_S1", "SS", "SL_L5_S1", "SLIP_L5_S1"}
    assert all(a is b for i, (a, b) in enumerate(zip(before, live.measured)) if i not in changed)
    corners = {level: {k: c.position for k, c in named.items()} for level, named in detection.corners.items()}
    corners["S1"]["SP"] = moved
    for a, b in zip(live.measured, measure(make_detection(corners, "right"), (0.2, 0.1))):
        assert a.value == pytest.approx(b.value) if b.value is not None else a.value is None
    assert "S1 SP" not in live.measured[changed[0]].reason  # who moved it has looked at it


def test_intervals_agree_with_simulation():
    """The delta method against 4000 draws of every corner from its covariance."""
    rng = np.random.default_rng(1)
    corners = on_film(lumbar(), "left", (0.5, 0.4))
    detection = make_detection(corners, "left")  # covariance: one pixel squared
    spread = {m.definition.id: (m.interval[1] - m.interval[0]) / 2 for m in measure(detection, (0.5, 0.4), SpacingSource.CALIBRATED) if m.value is not None}
    draws = {name: [] for name in ("LL_L1_S1", "SS", "LDI", "SLIP_L4_L5", "DHI_L2_L3", "HR_L3", "DS_L4")}
    definitions = {d.id: d for d in MEASUREMENTS}
    plane = {(level, k): np.array([-p[0] * 0.5, -p[1] * 0.4]) for level, named in corners.items() for k, p in named.items()}
    for _ in range(4000):
        noisy = {key: p + rng.normal(size=2) * (0.5, 0.4) for key, p in plane.items()}
        for name, values_ in draws.items():
            values_.append(definitions[name].formula(noisy))
    for name, values_ in draws.items():
        assert spread[name] == pytest.approx(1.6449 * np.std(values_), rel=0.08), name
