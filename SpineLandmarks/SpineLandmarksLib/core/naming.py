"""Names a column of vertebrae: which candidates form the chain, and which level each one is.

A single vertebra is hard to name; the order of the whole chain, its spacing and its sacrum say
more. Candidates are strung together by dynamic programming over levels, so that every choice of
chain and names is weighed against every other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import LEVELS

_SACRUM = LEVELS.index("S1")

#: S1 is located at its plate, so it stands nearer to L5 than other bodies to each other.
_SACRAL_GAP = 0.7

#: Cost of a vertebra that was not seen between two that were: dear, because a wide disc must not
#: become a vertebra.
_SKIP_COST = 2.5

#: How far down a step must go, as the cosine to the vertical: the sacrum of a slipped or very
#: lordotic spine lies nearly behind L5.
_LEAST_DOWN, _LEAST_DOWN_SACRUM = 0.15, -0.3

#: Spread of log(gap / expected gap) between neighbours.
_GAP_SPREAD = 0.35

#: Presence that speaks neither for nor against a vertebra: peaks of maps trained with the focal
#: loss stay low, and one that stands in line with others is a vertebra at 0.15 already.
_NEUTRAL_PRESENCE = 0.15

#: The same for a name, and the least probability that a name is given: a single blot must not
#: rename a whole column.
_NEUTRAL_NAME, _LEAST_NAME = 0.1, 0.01

#: What a body's name counts: bodies look alike, so neighbours that are named wrong are wrong
#: together, and all of them must not outvote one sacrum. That looks like nothing else, and its name
#: counts whole.
_BODY_NAME = 0.15

#: Limit of one candidate's presence, in nats.
_PRESENCE_LIMIT = 3.0


@dataclass(frozen=True)
class Chain:
    """Vertebrae from cranial to caudal, neighbours all.

    levels : their names.
    centres : (n, 2) film pixels.
    seen : (n,) False where a centre was interpolated between its neighbours.
    naming_confidence : probability, 0 to 1, of the names against all of them shifted up or down.
    evidence : nats in favour of such a chain being there at all.
    """

    levels: tuple[str, ...]
    centres: np.ndarray
    seen: np.ndarray
    naming_confidence: float
    evidence: float


def _typical_gap(centres: np.ndarray, presence: np.ndarray) -> float:
    strong = centres[presence > 0.3] if (presence > 0.3).sum() > 1 else centres
    distances = np.linalg.norm(strong[:, None] - strong[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(axis=1)))


def _edge_costs(centres: np.ndarray, expected: float, least_down: float) -> np.ndarray:
    """Cost (n, n) of stepping from a candidate to the next one caudal of it, infinite where the
    step goes less far down than ``least_down`` of its length."""
    step = centres[None] - centres[:, None]
    length = np.linalg.norm(step, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        down = np.where(length > 0, step[..., 1] / length, -1)
        misfit = np.log(length / expected) / _GAP_SPREAD
    cost = 0.5 * misfit**2 + 2.0 * (1 - down)
    return np.where(down > least_down, cost, np.inf)


def name_chain(centres: np.ndarray, presence: np.ndarray, level_log_probabilities: np.ndarray) -> Chain | None:
    """Find and name the best chain.

    Parameters
    ----------
    centres : (n, 2) candidates in film pixels, the film upright.
    presence : (n,) probability of each one being a vertebra at all.
    level_log_probabilities : (n, 18) log-probability of each level, given that it is one.

    Returns
    -------
    The chain, or None when no two candidates form one.
    """
    centres, presence = np.asarray(centres, float), np.clip(presence, 1e-4, 1 - 1e-4)
    n = len(centres)
    if n < 2:
        return None
    gap = _typical_gap(centres, presence)
    neutral = np.log(_NEUTRAL_PRESENCE / (1 - _NEUTRAL_PRESENCE))
    logit = np.clip(np.log(presence / (1 - presence)) - neutral, -_PRESENCE_LIMIT, _PRESENCE_LIMIT)
    names = np.maximum(level_log_probabilities, np.log(_LEAST_NAME))
    counts = np.where(np.arange(len(LEVELS)) == _SACRUM, 1.0, _BODY_NAME)
    node = logit[:, None] + counts * (names - np.log(_NEUTRAL_NAME))

    best = np.zeros((len(LEVELS), n))
    origin = np.full((len(LEVELS), n, 2), -1)  # (level, candidate) that a chain came from
    for level in range(len(LEVELS)):
        arrival = np.zeros(n)
        for skip in (1, 2):
            if level - skip < 0:
                continue
            sacral = level == _SACRUM
            expected = gap * (skip - 1 + (_SACRAL_GAP if sacral else 1.0))
            steps = _edge_costs(centres, expected, _LEAST_DOWN_SACRUM if sacral else _LEAST_DOWN)
            through = best[level - skip][:, None] - steps - _SKIP_COST * (skip - 1)
            source = through.argmax(axis=0)
            score = through[source, np.arange(n)]
            better = score > arrival
            arrival = np.where(better, score, arrival)
            origin[level][better] = np.stack([np.full(n, level - skip), source], axis=1)[better]
        best[level] = node[:, level] + arrival

    evidence = float(best.max())
    level, candidate = np.unravel_index(best.argmax(), best.shape)
    path = []
    while candidate >= 0 and len(path) < len(LEVELS):
        path.append((int(level), int(candidate)))
        level, candidate = origin[level, candidate]
    path.reverse()
    if len(path) < 2:
        return None
    return _with_gaps_filled(path, centres, _naming_confidence(path, names), evidence)


def _naming_confidence(path: list[tuple[int, int]], log_probabilities: np.ndarray) -> float:
    """Softmax over shifts of the chain; neighbours share their evidence, so it counts as the
    mean of the chain times two, not as their sum."""
    scores = {}
    for shift in range(-3, 4):
        if all(0 <= level + shift < len(LEVELS) for level, _ in path):
            scores[shift] = 2 * np.mean([log_probabilities[candidate, level + shift] for level, candidate in path])
    values = np.array(list(scores.values()))
    return float(np.exp(scores[0] - values.max()) / np.exp(values - values.max()).sum())


def _with_gaps_filled(path: list[tuple[int, int]], centres: np.ndarray, confidence: float, evidence: float) -> Chain:
    levels, points, seen = [], [], []
    for level, candidate in path:
        if levels and level == levels[-1] + 2:
            levels.append(level - 1)
            points.append((points[-1] + centres[candidate]) / 2)
            seen.append(False)
        levels.append(level)
        points.append(centres[candidate])
        seen.append(True)
    return Chain(tuple(LEVELS[i] for i in levels), np.array(points), np.array(seen), confidence, evidence)
