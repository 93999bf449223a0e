"""The task of steps 1b and 2: corners of one vertebra on a crop around a roughly known pose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from SpineLandmarksLib.core import column, frames
from SpineLandmarksLib.core.anatomy import CORNERS, ENDPLATES, LEVELS, corners_of
from SpineLandmarksLib.core.column import Pose
from SpineLandmarksLib.core.measurements.geometry import turn_between
from SpineLandmarksLib.model import dsnt
from SpineLandmarksLib.model.crops import CropShape
from SpineLandmarksLib.model.networks import CornerNet
from SpineLandmarksLib.model.sampling import network_input, sample

from ..labels import LabelledFilm
from . import augment
from .shelf import Shelf

#: How far strayed poses are turned at most, degrees: L5 of a real film stands 30 from where it is sought.
_STRAYED = 45.0

#: Crops that are validated at once, and how many say enough.
_PORTION, _ENOUGH = 64, 2000


@dataclass(frozen=True)
class CornerConfig(augment.Exposure):
    """One of the two corner networks; spreads are standard deviations in body widths or degrees."""

    crop_size: int
    crop_span: float  # side of the crop over the width of the body
    poses_from: str  # "centres" (step 1b) or "corners" (step 2)
    jitter_shift: float
    jitter_scale: float
    jitter_rotation: float
    sacral_jitter: float = 1.0  # the shifts of S1, over those of a body
    strayed_share: float = 0.0  # of the crops, turned as far as the guess of a slipped vertebra may be off
    sigma: float = 1.0  # of the target, heat-map pixels
    js_weight: float = 1.0
    slope_weight: float = 0.5
    batch: int = 24
    aspect: float = 0.08  # standard deviation of the log of width over height
    simulated_share: float = 0.25  # of the crops, when there are simulated films
    simulated_levels: tuple[str, ...] = LEVELS  # of which levels those crops are
    sacral_share: float = 0.0  # of the crops, that are drawn from S1 alone
    validation_draws: int = 4

    def __post_init__(self):
        if self.poses_from not in ("centres", "corners"):
            raise ValueError(f'poses_from must be "centres" (step 1b) or "corners" (step 2), not {self.poses_from!r}')
        if unknown := set(self.simulated_levels) - set(LEVELS):
            raise ValueError(f"simulated_levels: {', '.join(sorted(unknown))} is no level; levels are {', '.join(LEVELS)}")


class CornerTask:
    """Batches, loss and validation of a corner network."""

    error_name = "corner_error"

    def __init__(self, config: CornerConfig, films: list[LabelledFilm], simulated: list[LabelledFilm] = (), device: str = "cpu"):
        self.config, self.device = config, device
        self.films = [*films, *simulated]
        self.shelf = Shelf(self.films, device)
        items = [(i, level) for i, film in enumerate(self.films) for level in film.levels]
        self.items = [item for item in items if item[0] < len(films)]
        if not self.items:
            raise ValueError("there is no labelled vertebra to learn from or to validate on: name lateral films with corners")
        self.simulated = [(i, level) for i, level in items if i >= len(films) and level in config.simulated_levels]
        self.sacra = [[item for item in some if item[1] == "S1"] for some in (self.items, self.simulated)]

    @staticmethod
    def build() -> CornerNet:
        return CornerNet()

    def _pose(self, film: LabelledFilm, level: str, rng: np.random.Generator) -> Pose:
        """The pose that the step before would hand over, with errors of its size."""
        c = self.config
        true = column.pose_from_corners(film.corners[level], level)
        shift = lambda of: c.jitter_shift * (c.sacral_jitter if of == "S1" else 1.0) * true.width
        if c.poses_from == "centres":
            levels = film.levels
            centres = np.array([column.body_centre(film.corners[x], x) + rng.normal(0, shift(x), 2) for x in levels])
            pose = column.poses_from_centres(levels, centres, film.facing_right)[levels.index(level)]
        else:
            moved = {k: p + rng.normal(0, shift(level), 2) for k, p in film.corners[level].items()}
            pose = column.pose_from_corners(moved, level)
            pose = Pose(pose.centre + rng.normal(0, shift(level), 2), pose.posterior, pose.width)
        strayed = c.strayed_share and rng.random() < c.strayed_share
        angle = rng.uniform(-_STRAYED, _STRAYED) if strayed else rng.normal(0, c.jitter_rotation)
        turn = frames.rotation_about(np.zeros(2), angle)
        return Pose(pose.centre, turn[:2, :2] @ pose.posterior, pose.width * np.exp(rng.normal(0, c.jitter_scale)))

    def _crops(self, items, rng: np.random.Generator, augmented: bool):
        c = self.config
        films, targets, weights, matrices = [], [], [], []
        for index, level in items:
            film = self.films[index]
            pose = self._pose(film, level, rng)
            matrix = CropShape(c.crop_size, c.crop_span).frame(pose, film.facing_right)
            if augmented:
                middle = np.full(2, (c.crop_size - 1) / 2)
                linear = np.eye(3)
                linear[:2, :2] = augment.random_linear(rng, 4, 0.05, 0.06, c.aspect)
                matrix = frames.translation(*middle) @ linear @ frames.translation(*-middle) @ matrix
            target, weight = np.zeros((len(CORNERS), 2)), np.zeros(len(CORNERS))
            for k, corner in enumerate(CORNERS):
                if corner in corners_of(level):
                    target[k] = frames.apply(matrix, film.corners[level][corner])
                    on_crop = np.all((target[k] >= 0) & (target[k] <= c.crop_size - 1))
                    weight[k] = film.weights[level][corner] * on_crop
            films.append(self.shelf[index])
            targets.append(target)
            weights.append(weight)
            matrices.append(matrix)
        pictures, masks = sample(films, matrices, (c.crop_size, c.crop_size))
        if augmented:
            pictures = augment.photometric(pictures, masks, rng, c)
        as_tensor = lambda a: torch.as_tensor(np.array(a), dtype=torch.float32, device=self.device)
        return network_input(pictures, masks), as_tensor(targets), as_tensor(weights), matrices

    def _pick(self, rng: np.random.Generator) -> tuple[int, str]:
        c = self.config
        simulated = bool(self.simulated) and rng.random() < c.simulated_share
        items, sacra = (self.simulated if simulated else self.items), self.sacra[simulated]
        # One vertebra in eight is S1, which looks like no other and enters most angles.
        if sacra and rng.random() < c.sacral_share:
            items = sacra
        return items[rng.integers(len(items))]

    def loss(self, model: nn.Module, rng: np.random.Generator) -> Tensor:
        """Euclidean distance + JS to a Gaussian (DSNT paper) + error across the endplate."""
        inputs, targets, weights, _ = self._crops([self._pick(rng) for _ in range(self.config.batch)], rng, augmented=True)
        heatmaps = model(inputs)
        side = heatmaps.shape[-1]
        found = dsnt.dsnt(heatmaps)
        size = torch.tensor([self.config.crop_size] * 2, dtype=torch.float32, device=self.device)
        wanted = dsnt.to_normalised(targets, size)
        distance = (found - wanted).norm(dim=-1)
        cells = dsnt.to_pixels(wanted, size.new_tensor([side, side]))
        js = dsnt.js_divergence(heatmaps, dsnt.gaussian(cells, (side, side), self.config.sigma))
        loss = (weights * (distance + self.config.js_weight * js)).sum() / weights.sum().clamp_min(1e-6)
        # Angles come from endplates: what matters is the difference of the two corners' errors
        # across the plate, (SA, SP) and (IA, IP) being neighbours in CORNERS.
        error = (found - wanted).unflatten(1, (2, 2))
        plate = wanted.unflatten(1, (2, 2))
        along = nn.functional.normalize(plate[:, :, 1] - plate[:, :, 0], dim=-1, eps=1e-6)
        across = torch.stack([-along[..., 1], along[..., 0]], -1)
        tilt = ((error[:, :, 1] - error[:, :, 0]) * across).sum(-1).abs()
        both = weights.unflatten(1, (2, 2)).amin(-1)
        return loss + self.config.slope_weight * (both * tilt).sum() / both.sum().clamp_min(1e-6)

    def _portions(self) -> Iterator[list[tuple[int, str]]]:
        """What to validate, as often as there are draws, in portions that fit into memory however many films there are.
        Of many vertebrae one draw says as much as several of few."""
        for _ in range(max(1, min(self.config.validation_draws, _ENOUGH // len(self.items)))):
            for start in range(0, len(self.items), _PORTION):
                yield self.items[start : start + _PORTION]

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Median corner error in per cent of body width, from the jittered poses of training."""
        rng = np.random.default_rng(0)
        errors, slopes = [], []
        for some in self._portions():
            inputs, _, _, matrices = self._crops(some, rng, augmented=False)
            found = CornerNet.coordinates(model(inputs)).double().cpu().numpy()
            for (index, level), matrix, points in zip(some, matrices, found):
                film = self.films[index]
                true = film.corners[level]
                width = column.pose_from_corners(true, level).width
                points = dict(zip(CORNERS, frames.apply(np.linalg.inv(matrix), points)))
                sure = [k for k in corners_of(level) if film.weights[level][k] > 0.2]
                errors += [np.abs(points[k] - true[k]) / width * 100 for k in sure]
                for a, b in ENDPLATES.values():
                    if a in sure and b in sure:
                        slopes.append(turn_between(points[b] - points[a], true[b] - true[a]))
        x, y = np.median(errors, axis=0)
        p90 = np.percentile(np.linalg.norm(errors, axis=1), 90)
        return {
            self.error_name: float((x + y) / 2), "x": float(x), "y": float(y), "p90": float(p90),
            "slope": float(np.median(slopes)), "slope_p90": float(np.percentile(slopes, 90)),
        }


