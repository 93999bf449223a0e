"""The task of step 1a: find every vertebra of a film, name it, and say which side the patient faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SpineLandmarksLib.core import column, frames
from SpineLandmarksLib.core.anatomy import LEVELS
from SpineLandmarksLib.model import dsnt, looks
from SpineLandmarksLib.model.locate import MOST_TURNED, locate
from SpineLandmarksLib.model.looks import CANVAS
from SpineLandmarksLib.model.networks import STRIDE, LocatorNet
from SpineLandmarksLib.model.sampling import Pyramid, network_input, sample

from ..labels import LabelledFilm
from . import augment
from .shelf import Shelf


@dataclass(frozen=True)
class LocateConfig(augment.Exposure):
    batch: int = 8
    rotation: float = MOST_TURNED  # degrees
    bend: float = 7.0  # canvas pixels
    whole_film: float = 0.35  # share of canvases that show the film as it is used, nearly
    sigma: float = 1.5  # of the DSNT target, heat-map pixels
    dsnt_weight: float = 0.5
    js_weight: float = 1.0  # of the Jensen-Shannon term, within dsnt_weight
    name_weight: float = 1.0
    facing_weight: float = 0.2
    simulated_share: float = 0.4  # of the canvases, when there are simulated films
    frontal_share: float = 0.12  # of the canvases, when there are films that are not lateral
    negative_share: float = 0.0  # of the canvases, their greys inverted; learnt best by itself, with fit.only
    negative_weight: float = 0.1
    aspect: float = 0.06  # standard deviation of the log of width over height


@dataclass
class _Column:
    """What is known of one film: centres by level index, the typical gap, and where to look away."""

    indices: np.ndarray
    centres: np.ndarray
    gap: float
    unlabelled: np.ndarray  # (m, 2) places where a vertebra may stand that nobody labelled


def _column_of(film: LabelledFilm) -> _Column:
    levels = film.levels
    centres = np.array([column.body_centre(film.corners[level], level) for level in levels])
    bodies = column.bodies_of(levels, centres)
    unlabelled = [bodies[0] + k * (bodies[0] - bodies[1]) for k in (1, 2, 3, 4, 5)]
    if levels[-1] != "S1":
        unlabelled += [bodies[-1] + k * (bodies[-1] - bodies[-2]) for k in (0.7, 1, 2)]
    return _Column(np.array([LEVELS.index(x) for x in levels]), centres, column.median_gap(bodies), np.array(unlabelled))


class LocateTask:
    """Batches, loss and validation of the locating network."""

    error_name = "missed"

    def __init__(self, config: LocateConfig, films: list[LabelledFilm], simulated: list[LabelledFilm] = (), device: str = "cpu"):
        self.config, self.device = config, device
        # Fewer labelled vertebrae are no column.
        real, made = ([film for film in some if len(film.levels) > 2] for some in (films, simulated))
        if not real:
            raise ValueError("there is no film with three labelled vertebrae or more to learn from or to validate on: name lateral films with corners")
        frontal = [film for film in (*films, *simulated) if film.facing_right is None]
        self.columns = [_column_of(film) for film in (*real, *made)]
        self.films = [*real, *made, *frontal]
        self.shelf = Shelf(self.films, device)
        self.real, self.simulated = range(len(real)), range(len(real), len(self.columns))
        # Real ones are few: as often as simulated ones.
        kinds = [[i for i in range(len(self.columns), len(self.films)) if self.films[i].kind == kind] for kind in ("real", "simulated")]
        self.frontal = [some for some in kinds if some]

    @staticmethod
    def build() -> LocatorNet:
        return LocatorNet()

    def _view(self, film: Pyramid, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A random film -> canvas map: nearly the whole film, or a closer look at one of some places (n, 2)."""
        matrix = looks.whole(film)
        whole = rng.random() < self.config.whole_film
        linear = np.eye(3)
        linear[:2, :2] = augment.random_linear(rng, self.config.rotation * (0.4 if whole else 1), 0.05, 0.05, self.config.aspect)
        middle = np.array(CANVAS) / 2
        if whole:
            target = middle + rng.normal(0, 0.03, 2) * CANVAS
            return frames.translation(*target) @ linear @ frames.translation(*-middle) @ matrix
        focus = frames.apply(matrix, places[rng.integers(len(places))])
        linear[:2, :2] *= np.exp(rng.uniform(np.log(0.75), np.log(2.0)))
        target = rng.uniform([0.2, 0.1], [0.8, 0.9]) * CANVAS
        return frames.translation(*target) @ linear @ frames.translation(*-focus) @ matrix

    def _frontal_canvas(self, rng: np.random.Generator):
        """A film that faces neither side: nothing else is learnt from it."""
        some = self.frontal[rng.integers(len(self.frontal))]
        index = some[rng.integers(len(some))]
        pyramid = self.shelf[index]
        middle = np.array(pyramid.size) / 2
        view = self._view(pyramid, middle + rng.normal(0, 0.15, (1, 2)) * pyramid.size, rng)
        picture, inside = sample([pyramid], [view], CANVAS)
        if rng.random() < 0.5:
            picture, inside = picture.flip(-1), inside.flip(-1)
        return dict(picture=picture, inside=inside, points=np.zeros((0, 2)), right=0.5)

    def _canvas(self, rng: np.random.Generator):
        if self.frontal and rng.random() < self.config.frontal_share:
            return self._frontal_canvas(rng)
        some = self.simulated if self.simulated and rng.random() < self.config.simulated_share else self.real
        index = some[rng.integers(len(some))]
        film, pyramid, col = self.films[index], self.shelf[index], self.columns[index]
        for _ in range(20):
            matrix = self._view(pyramid, col.centres, rng)
            mirrored = rng.random() < 0.5
            if mirrored:
                matrix = frames.mirror(CANVAS[0]) @ matrix
            bend = augment.random_bend(rng, CANVAS[1], self.config.bend)
            points = augment.unbend(frames.apply(matrix, col.centres), bend)
            shown = ((points > 2) & (points < np.array(CANVAS) - 3)).all(axis=1)
            if shown.sum() >= 2:
                break
        picture, inside = sample([pyramid], [matrix], CANVAS, bend)
        away = augment.unbend(frames.apply(matrix, col.unlabelled), bend)
        return dict(
            picture=picture, inside=inside, points=points[shown], indices=col.indices[shown], away=away,
            gap=col.gap * frames.scale_of(matrix), right=float(film.facing_right != mirrored),
            named=1.0 if film.levels_certain else 0.3,
        )

    def loss(self, model: nn.Module, rng: np.random.Generator) -> Tensor:
        c = self.config
        canvases = [self._canvas(rng) for _ in range(c.batch)]
        pictures, inside = (torch.cat([v[part] for v in canvases]) for part in ("picture", "inside"))
        pictures = augment.photometric(pictures, inside, rng, c)
        # Nothing else is learnt from a negative: it will be inverted before it is read.
        negative = torch.as_tensor(rng.random(c.batch) < c.negative_share, device=self.device)
        pictures[negative] = (1 - pictures[negative]) * inside[negative]
        out = model(network_input(pictures, inside))
        h, w = out.presence.shape[-2:]
        right = torch.tensor([v["right"] for v in canvases], device=self.device)
        loss = c.facing_weight * F.binary_cross_entropy_with_logits(out.facing, right, weight=(~negative).to(right.dtype))
        loss = loss + c.negative_weight * F.binary_cross_entropy_with_logits(out.negative, negative.to(right.dtype))
        presence = naming = place = 0.0
        weight = 0.0
        for i, v in enumerate(canvases):
            if negative[i] or not len(v["points"]):
                continue
            cells = torch.as_tensor((v["points"] + 0.5) / STRIDE - 0.5, dtype=torch.float32, device=self.device)
            presence = presence + _presence_loss(out.presence[i], cells, v["gap"] / STRIDE, v["away"]) / len(cells)
            # Names are read anywhere within the body, not only at its exact centre.
            jitter = torch.as_tensor(rng.normal(0, 0.1 * v["gap"] / STRIDE, (3, len(cells), 2)), dtype=torch.float32, device=self.device)
            spots = (cells + jitter).reshape(-1, 2)
            grid = torch.stack([(2 * spots[:, 0] + 1) / w - 1, (2 * spots[:, 1] + 1) / h - 1], -1)
            read = F.grid_sample(out.levels[i : i + 1], grid[None, None], padding_mode="border", align_corners=False)[0, :, 0].T
            wanted = torch.as_tensor(v["indices"], device=self.device).repeat(3)
            naming = naming + v["named"] * F.cross_entropy(read, wanted, label_smoothing=0.02, reduction="sum") / 3
            heat = dsnt.spatial_softmax(out.levels[i, v["indices"]])
            size = heat.new_tensor([w, h])
            distance = (dsnt.dsnt(heat) - dsnt.to_normalised(cells, size)).norm(dim=-1)
            js = dsnt.js_divergence(heat, dsnt.gaussian(cells, (w, h), c.sigma))
            place = place + v["named"] * (distance + c.js_weight * js).sum()
            weight += v["named"] * len(cells)
        return loss + presence / c.batch + (c.name_weight * naming + c.dsnt_weight * place) / max(weight, 1.0)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Share of L1-S1 not within half a body of the truth at the right level; of any level; films shifted, their
        side told wrong, and taken for a negative or the other way round."""
        total = right = found = faced = shifted = inverted = 0
        for index in self.real:
            film, col = self.films[index], self.columns[index]
            located, negative = locate(model, [self.shelf[index], self.shelf[index].inverted()])
            inverted += (located.negative_log_odds > 0) + (negative.negative_log_odds < 0)
            chain = located.chain
            faced += located.facing_right == film.facing_right
            offsets = []
            for level, centre in zip(col.indices, col.centres):
                if level < LEVELS.index("L1"):
                    continue
                total += 1
                if chain is None:
                    continue
                distance = np.linalg.norm(chain.centres - centre, axis=1)
                nearest = int(distance.argmin())
                if distance[nearest] < 0.4 * col.gap:
                    found += 1
                    offsets.append(LEVELS.index(chain.levels[nearest]) - level)
                    right += offsets[-1] == 0
            shifted += bool(offsets) and int(np.median(offsets)) != 0
        return {
            self.error_name: 1 - right / total, "missed_any_level": 1 - found / total,
            "shifted_films": shifted, "facing_wrong": len(self.real) - faced, "polarity_wrong": inverted,
            "vertebrae": total,
        }


def _presence_loss(logits: Tensor, cells: Tensor, gap: float, away: np.ndarray) -> Tensor:
    """Penalty-reduced focal loss of Zhou et al., "Objects as Points" (2019), eq. 1, summed.

    ``away``: canvas points around which nothing is said, because vertebrae there are not labelled.
    """
    h, w = logits.shape
    y, x = torch.meshgrid(torch.arange(h, dtype=logits.dtype), torch.arange(w, dtype=logits.dtype), indexing="ij")
    grid = torch.stack([x, y], -1).to(logits.device)
    sigma = float(np.clip(0.14 * gap, 0.8, 3.0))
    target = torch.exp(-((grid - cells[:, None, None]) ** 2).sum(-1) / (2 * sigma**2)).amax(0)
    ignored = torch.as_tensor((away + 0.5) / STRIDE - 0.5, dtype=logits.dtype, device=logits.device)
    counted = ((grid - ignored[:, None, None]) ** 2).sum(-1).amin(0) > (0.6 * gap) ** 2
    peak = torch.zeros_like(target)
    nearest = cells.round().long()
    peak[nearest[:, 1].clamp(0, h - 1), nearest[:, 0].clamp(0, w - 1)] = 1
    probability = logits.sigmoid()
    positive = -F.logsigmoid(logits) * (1 - probability) ** 2
    negative = -F.logsigmoid(-logits) * probability**2 * (1 - target) ** 4
    return (positive * peak + negative * counted * (1 - peak)).sum()
