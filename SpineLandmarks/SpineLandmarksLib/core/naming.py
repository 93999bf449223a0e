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

#: Naming confidence from which nothing more is done for the names.
SURE_NAMES = 0.85

#: Limit of one candidate's presence, in nats.
_PRESENCE_LIMIT = 3.0


@dataclass(frozen=True)
class Chain:
    """Vertebrae from cranial to caudal, neighbours all.

    levels : their names.
    centres : (n, 2) film pixels.
    seen : (n,) False where a centre was interpolated between its neighbours.
    naming_confidence : probability, 0 to 1, of the least sure name against all others that its vertebra could have.
    evidence : nats in favour of such a chain being there at all.
    """

    levels: tuple[str, ...]
    centres: np.ndarray
    seen: np.ndarray
    naming_confidence: float
    evidence: float


def _node_evidence(presence: np.ndarray, level_log_probabilities: np.ndarray) -> np.ndarray:
    """What speaks for each candidate being a vertebra of each name, (18, n) nats."""
    presence = np.clip(presence, 1e-4, 1 - 1e-4)
    neutral = np.log(_NEUTRAL_PRESENCE / (1 - _NEUTRAL_PRESENCE))
    there = np.clip(np.log(presence / (1 - presence)) - neutral, -_PRESENCE_LIMIT, _PRESENCE_LIMIT)
    named = np.maximum(level_log_probabilities, np.log(_LEAST_NAME)) - np.log(_NEUTRAL_NAME)
    counts = np.where(np.arange(len(LEVELS)) == _SACRUM, 1.0, _BODY_NAME)
    return (there[:, None] + counts * named).T


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


class _Chains:
    """Every chain weighed against every other, by dynamic programming from above and from below."""

    def __init__(self, centres: np.ndarray, presence: np.ndarray, level_log_probabilities: np.ndarray):
        self._centres = centres
        self._gap = _typical_gap(centres, presence)
        self._steps: dict[tuple[int, bool], np.ndarray] = {}
        node = _node_evidence(presence, level_log_probabilities)
        above, self._from = self._pass(node, -1)
        below, self._to = self._pass(node, 1)
        #: (18, n) nats for the best chain through each candidate by each name.
        self.through = above + below - node

    def _step(self, level: int, skip: int) -> np.ndarray:
        """Costs (n, n) of stepping onto ``level`` from ``skip`` above it."""
        sacral = level == _SACRUM
        if (skip, sacral) not in self._steps:
            expected = self._gap * (skip - 1 + (_SACRAL_GAP if sacral else 1.0))
            least_down = _LEAST_DOWN_SACRUM if sacral else _LEAST_DOWN
            self._steps[skip, sacral] = _edge_costs(self._centres, expected, least_down) + _SKIP_COST * (skip - 1)
        return self._steps[skip, sacral]

    def _pass(self, node: np.ndarray, back: int) -> tuple[np.ndarray, np.ndarray]:
        """Best chains that come to each candidate from one side: (18, n) nats, and (18, n, 2) the level and
        candidate next on that side, -1 where nothing is. ``back``: -1 from above, 1 from below."""
        n = node.shape[1]
        best, beyond = np.zeros(node.shape), np.full((*node.shape, 2), -1)
        for level in range(len(LEVELS))[::-back]:
            arrival = np.zeros(n)
            for skip in (1, 2):
                other = level + back * skip
                if not 0 <= other < len(LEVELS):
                    continue
                cost = self._step(level, skip).T if back < 0 else self._step(other, skip)
                through = best[other] - cost  # (this one, the other one)
                source = through.argmax(axis=1)
                score = through[np.arange(n), source]
                better = score > arrival
                arrival = np.where(better, score, arrival)
                beyond[level][better] = np.stack([np.full(n, other), source], axis=1)[better]
            best[level] = node[level] + arrival
        return best, beyond

    def best(self) -> Chain | None:
        """The best of all; None where even that is a single candidate."""
        path = [tuple(map(int, np.unravel_index(self.through.argmax(), self.through.shape)))]
        while (step := tuple(map(int, self._from[path[0]]))) != (-1, -1):
            path.insert(0, step)
        while (step := tuple(map(int, self._to[path[-1]]))) != (-1, -1):
            path.append(step)
        if len(path) < 2:
            return None
        return _with_gaps_filled(path, self._centres, _naming_confidence(path, self.through), float(self.through.max()))


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
    if len(centres) < 2:
        return None
    return _Chains(np.asarray(centres, float), np.asarray(presence, float), level_log_probabilities).best()


def _naming_confidence(path: list[tuple[int, int]], through: np.ndarray) -> float:
    """Of the least sure name. ``through`` (18, n) weighs each name that a candidate could have in the best chain
    that gives it: one with all names shifted, or with one vertebra more or fewer below it."""
    odds = np.exp(through - through.max(axis=0))
    share = odds / odds.sum(axis=0)
    return float(min(share[level, candidate] for level, candidate in path))


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
