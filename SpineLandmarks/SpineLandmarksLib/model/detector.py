"""Film in, named corners out: the two-step model end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..core import column
from ..core.anatomy import CORNERS, corners_of
from ..core.column import Pose
from ..core.detection import Corner, CornerStatus, Detection
from ..core.radiograph import Radiograph
from .crops import read_corners
from .locate import locate
from .sampling import Pyramid
from .weights import Networks

#: A corner whose heat-map spreads further than this share of the body's width is uncertain.
UNCERTAIN_SPREAD = 0.12


#: A lateral film shows clearly which side the patient faces (0.97 and more on the real films, held
#: out of training); on AP films the network wavers (0.86 and less).
MIN_FACING_CONFIDENCE = 0.9

#: Median spread of the corners' heat-maps over the width of the body: 0.061 and less on the same real
#: films, 0.066 to 0.095 on AP films, whose bodies have no such corners.
MAX_MEDIAN_SPREAD = 0.075

#: How often step 2 reads: the second time on crops cut by its own first corners, which tames the
#: tails of S1 and L5, whose plates lie far from square to the column (see RESULTS.md).
REFINEMENTS = 2


class NoSpineFound(Exception):
    """Nothing on the film looks like a column of vertebrae seen from the side."""


class Detector:
    """Runs the networks; one instance serves any number of films.

    ``progress``, where given, is called with a step's name and the share done (0 to 1); it may
    raise to stop, and what it raises passes through.
    """

    def __init__(self, networks: Networks, device: str = "cpu"):
        self.networks = networks
        self.device = device

    @property
    def version(self) -> str:
        return self.networks.version

    def detect(self, film: Radiograph, progress: Callable[[str, float], None] = lambda step, share: None) -> Detection:
        """Detect all visible vertebrae; raises NoSpineFound when there is no chain of them."""
        nets = self.networks
        progress("prepare", 0.0)
        pyramid = Pyramid(film.pixels, self.device)
        progress("find vertebrae", 0.1)
        located = locate(nets.locator, pyramid)
        chain = located.chain
        if chain is None:
            raise NoSpineFound("no column of vertebrae was found: load an upright lateral film of the spine.")
        if located.facing_confidence < MIN_FACING_CONFIDENCE:
            raise NoSpineFound("it cannot be told which side the patient faces, so this seems not to be a lateral film: load an upright lateral one.")
        right = located.facing_right
        poses = column.poses_from_centres(chain.levels, chain.centres, right)
        corners, spreads = self._read(pyramid, chain.levels, poses, right, film.size, lambda step, share: progress(step, 0.4 + 0.6 * share))
        if np.median(spreads) > MAX_MEDIAN_SPREAD:
            raise NoSpineFound("corners are sharp nowhere, so this seems not to be a lateral film: load an upright lateral one.")
        progress("done", 1.0)
        return Detection(
            corners, "right" if right else "left", located.facing_confidence, chain.naming_confidence,
            frozenset(level for level, seen in zip(chain.levels, chain.seen) if not seen),
        )

    def read_vertebra(self, film: Radiograph, level: str, pose: Pose, facing: str) -> dict[str, Corner]:
        """Corners of one vertebra that a reader has pointed at: steps 1b and 2 alone."""
        corners, _ = self._read(Pyramid(film.pixels, self.device), [level], [pose], facing == "right", film.size)
        return corners[level]

    def _read(
        self, pyramid: Pyramid, levels: Sequence[str], poses: list[Pose], right: bool, size: tuple[int, int],
        progress: Callable[[str, float], None] = lambda step, share: None,
    ) -> tuple[dict[str, dict[str, Corner]], list[float]]:
        """Steps 1b and 2 from rough poses: corners by level, and each corner's spread over its body's width."""
        nets = self.networks
        steps = [("find corners", nets.corners, nets.corners_crop)]
        steps += [("refine corners", nets.refiner, nets.refiner_crop)] * REFINEMENTS
        for number, (step, network, shape) in enumerate(steps):
            progress(step, number / len(steps))
            points, covariances = read_corners(network, shape, pyramid, poses, right)
            poses = [column.pose_from_corners(dict(zip(CORNERS, p)), level) for level, p in zip(levels, points)]
        corners, spreads = {}, []
        for level, p, c, pose in zip(levels, points, covariances, poses):
            corners[level] = _named(level, p, c, pose.width, size, nets.sd_scale[level == "S1"])
            spreads += [corner.sd / pose.width / nets.sd_scale[level == "S1"] for corner in corners[level].values()]
        return corners, spreads


def _named(level: str, points: np.ndarray, covariances: np.ndarray, width: float, size: tuple[int, int], sd_scale: float) -> dict[str, Corner]:
    named = {}
    for name, position, covariance in zip(CORNERS, points, covariances):
        if name not in corners_of(level):
            continue
        spread = float(np.sqrt(np.trace(covariance) / 2))
        if np.any(position < -0.5) or np.any(position > np.array(size) - 0.5):
            status = CornerStatus.OUTSIDE
        elif spread > UNCERTAIN_SPREAD * width:
            status = CornerStatus.UNCERTAIN
        else:
            status = CornerStatus.OK
        named[name] = Corner(position, covariance * sd_scale**2, status)
    return named
