"""How far to trust a heat-map's spread: factors that make nominal 90 % intervals hold 90 % of real films.

Spreads of heat-maps rank errors well but are too wide, more so on vertebral bodies than on the
sacrum, whose plate is hard to see. One factor for each, by split-conformal scaling (Angelopoulos and
Bates 2021, arXiv 2107.07511, sec. 2): the 90th percentile of |error| / half width on held-out films, of the
values that are not called uncertain: those ask for a look, and one plate that was missed must not widen
the intervals of all that were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from SpineLandmarksLib.core.detection import Detection
from SpineLandmarksLib.core.measurements import measure
from SpineLandmarksLib.core.measurements.evaluate import MeasuredStatus
from SpineLandmarksLib.core.measurements.geometry import wrapped

#: (film name, detection with the heat-maps' own covariances, truth as a detection)
Pair = tuple[str, Detection, Detection]

#: Where the sacrum's factor is looked for.
_SACRAL_FACTORS = (0.2, 5.0)


def scaled(detection: Detection, body: float, sacrum: float) -> Detection:
    """The same detection with standard deviations multiplied by these factors."""
    corners = {
        level: {name: replace(c, covariance=c.covariance * (sacrum if level == "S1" else body) ** 2) for name, c in named.items()}
        for level, named in detection.corners.items()
    }
    return replace(detection, corners=corners)


def residuals(pair: Pair) -> list[tuple[str, bool, bool, float]]:
    """(parameter, whether it is called uncertain, whether S1 enters it, |error| over the interval's half
    width) of every angle that both the detection and the truth have."""
    _, found, truth = pair
    out = []
    for mine, true in zip(measure(found), measure(truth)):
        d = mine.definition
        if d.unit == "deg" and mine.value is not None and true.value is not None and mine.interval is not None:
            half = (mine.interval[1] - mine.interval[0]) / 2
            uncertain = mine.status is MeasuredStatus.UNCERTAIN
            out.append((d.id, uncertain, any(level == "S1" for level, _ in d.needs), abs(float(wrapped(mine.value - true.value))) / half))
    return out


def factors(pairs: Sequence[Pair], level: float = 0.9) -> tuple[float, float]:
    """(body, sacrum) factors, from values that are not called uncertain; raises ValueError without any to compare."""
    bodies = [z for pair in pairs for _, uncertain, sacral, z in residuals(pair) if not (uncertain or sacral)]
    if not bodies:
        raise ValueError("no film has an angle that both its truth and its detection hold: label whole vertebrae.")
    body = float(np.quantile(bodies, _finite(level, len(bodies))))
    low, high = _SACRAL_FACTORS
    for _ in range(9):  # wider intervals cover more: halve the (logarithmic) bracket
        sacrum = float(np.sqrt(low * high))
        rescaled = [(name, scaled(found, body, sacrum), truth) for name, found, truth in pairs]
        covered = [z <= 1 for pair in rescaled for _, uncertain, sacral, z in residuals(pair) if sacral and not uncertain]
        low, high = (low, sacrum) if not covered or np.mean(covered) >= _finite(level, len(covered)) else (sacrum, high)
    return body, float(high)


def _finite(level: float, count: int) -> float:
    """The share of ``count`` calibration values to cover so that a new one is covered with probability
    ``level`` (Angelopoulos and Bates 2021, eq. 1)."""
    return min(1.0, float(np.ceil((count + 1) * level)) / count)


def coverage(pairs: Sequence[Pair]) -> dict[str, tuple[int, int]]:
    """Group of parameters -> (covered, all), each film judged with factors from the others alone."""
    groups: dict[str, list[bool]] = {"without S1": [], "with S1": [], "L1-L5, L1-S1, SS": [], "called uncertain": []}
    for held_out in pairs:
        body, sacrum = factors([pair for pair in pairs if pair[0] != held_out[0]])
        name, found, truth = held_out
        for id, uncertain, sacral, z in residuals((name, scaled(found, body, sacrum), truth)):
            if uncertain:
                groups["called uncertain"].append(z <= 1)
                continue
            groups["with S1" if sacral else "without S1"].append(z <= 1)
            if id in ("LL_L1_L5", "LL_L1_S1", "SS"):
                groups["L1-L5, L1-S1, SS"].append(z <= 1)
    return {name: (int(sum(hits)), len(hits)) for name, hits in groups.items()}


def detection_of_errors(pairs: Sequence[Pair], share: float = 0.05) -> tuple[float, list[tuple[float, float]]]:
    """How well spreads find bad corners: area under the ROC curve for corners off by more than
    ``share`` of the body's width, and the risk-coverage curve, (share of corners kept, the surest
    first; their median error in % of the width)."""
    errors, spreads = [], []
    for _, found, truth in pairs:
        for level in found.levels:
            plate = [found.corners[level][k].position for k in ("SA", "SP")]
            width = float(np.linalg.norm(plate[0] - plate[1]))
            for name, true in truth.corners.get(level, {}).items():
                if name in found.corners[level]:
                    error = float(np.linalg.norm(found.corners[level][name].position - true.position)) / width
                    if error < 0.5:  # beyond, another vertebra was read: an error of naming
                        errors.append(error)
                        spreads.append(found.corners[level][name].sd / width)
    errors, spreads = np.array(errors), np.array(spreads)
    bad = errors > share
    ranks = spreads.argsort().argsort() + 1.0
    n = int(bad.sum())
    auc = float((ranks[bad].sum() - n * (n + 1) / 2) / max(n * (len(bad) - n), 1))
    order = spreads.argsort()
    curve = [(k, 100 * float(np.median(errors[order[: max(1, round(k * len(order)))]]))) for k in (0.25, 0.5, 0.75, 0.9, 1.0)]
    return auc, curve
