"""Film in, named corners out: the two-step model end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np

from ..core import column
from ..core.anatomy import CORNERS, corners_of
from ..core.column import Pose
from ..core.detection import Corner, CornerStatus, Detection
from ..core.measurements.geometry import turn_between
from ..core.overlooked import with_overlooked
from ..core.radiograph import Radiograph
from .crops import Site, read_corners
from .locate import Located, locate
from .sampling import Pyramid
from .weights import Networks

#: A corner whose heat-map spreads further than this share of the body's width is uncertain.
UNCERTAIN_SPREAD = 0.12

#: So is one where this share of the film within a quarter of the body's width is of one grey, burnt out or black: on
#: simulated films such corners err by 15 % of the width (median, others by 2.4 %) and their heat-maps do not show it.
_FLAT_SHARE, _FLAT_RADIUS = 0.9, 0.25


#: A lateral film shows clearly which side the patient faces (0.99 and more on the real films, held
#: out of training); on AP films the network wavers (0.63 and less).
MIN_FACING_CONFIDENCE = 0.9

#: Evidence for a column (nats) that a film must show: 16 and more on the real films.
MIN_EVIDENCE = 8.0

#: A film whose names are sure at the first look stands upright: on the real films no turned one's are. Of the others
#: those with this much evidence do without a look at them turned: turned real films show 19 and less.
SURELY_UPRIGHT = 21.0

#: How much more evidence a turned film must show (nats): films are upright unless they clearly are not.
#: A real film that stands on its head shows 3.5 and more.
TURNING_MARGIN = 2.0

#: Median spread of the corners' heat-maps over the width of the body: 0.047 and less on the same real
#: films, 0.042 to 0.073 on AP films (which the facing above betrays as well). Networks that learn with the
#: Jensen-Shannon term to the end spread wider: 0.060 and less on real films.
MAX_MEDIAN_SPREAD = 0.065

#: A vertebra that step 1b finds further from where it was sought than its network is trained for (some two
#: standard deviations) is read again, on a crop cut by what was found, and so is one with a vague corner, until it
#: stands still: degrees, shift over the width of the body, log of the size; standard deviation over the width; and how
#: often at most. Nine more reads of 150 vertebrae on the real films.
_STRAYED_TURN, _STRAYED_SHIFT, _STRAYED_SIZE = 15.0, 0.2, 0.3
_VAGUE, _READ_AGAIN = 0.25, 3

#: A film is looked at with its greys inverted too where the log-odds of its being a negative exceed this; it is one
#: where these and what a column gains in evidence by it come to more than 0.
MAYBE_NEGATIVE = -1.5

Progress = Callable[[str, float], None]


def _silent(step: str, share: float) -> None:
    pass


@dataclass(frozen=True)
class _Reading:
    """A film turned upright and made bone bright, what was found on it so, and what it took."""

    film: Pyramid
    found: Located
    turns: int = 0
    negative: bool = False


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

    def detect(self, film: Radiograph, progress: Progress = _silent) -> Detection:
        """Detect all visible vertebrae; raises NoSpineFound when there is no chain of them."""
        (outcome,) = self.detect_many([film], progress)
        if isinstance(outcome, NoSpineFound):
            raise outcome
        return outcome

    def detect_many(self, films: Sequence[Radiograph], progress: Progress = _silent) -> list[Detection | NoSpineFound]:
        """Films of any sizes as shared batches, which keeps processors busier than one after the
        other; what would be raised for a film stands in its place."""
        progress("prepare", 0.0)
        pyramids = [Pyramid(film.pixels, self.device) for film in films]
        progress("find vertebrae", 0.1)
        readings = self._readings(pyramids)
        refusals = [_why_refused(reading.found) for reading in readings]
        sites, owners = [], []
        for index, (reading, refusal) in enumerate(zip(readings, refusals)):
            if refusal is None:
                chain, right = reading.found.chain, reading.found.facing_right
                poses = column.poses_from_centres(chain.levels, chain.centres, right)
                sites += [Site(reading.film, level, pose, right) for level, pose in zip(chain.levels, poses)]
                owners += [index] * len(chain.levels)
        read = self.read(sites, lambda step, share: progress(step, 0.4 + 0.6 * share)) if sites else []
        outcomes: list[Detection | NoSpineFound] = []
        for index, (reading, refusal) in enumerate(zip(readings, refusals)):
            mine = [vertebra for vertebra, owner in zip(read, owners) if owner == index]
            if refusal is None and np.median([s for _, _, spreads in mine for s in spreads]) > MAX_MEDIAN_SPREAD:
                refusal = NoSpineFound("corners are sharp nowhere, so this seems not to be a lateral film: load an upright lateral one.")
            outcomes.append(refusal or self._detection(reading, {level: corners for level, corners, _ in mine}))
        progress("done", 1.0)
        return outcomes

    def _detection(self, reading: _Reading, corners: dict[str, dict[str, Corner]]) -> Detection:
        found, chain = reading.found, reading.found.chain
        unseen = frozenset(level for level, seen in zip(chain.levels, chain.seen) if not seen)
        detection = Detection(
            corners, "right" if found.facing_right else "left", found.facing_confidence, chain.naming_confidence, unseen,
            reading.turns, reading.negative,
        )
        return with_overlooked(detection, partial(self._read_vertebra, reading.film))

    def _readings(self, films: Sequence[Pyramid]) -> list[_Reading]:
        """Each film as it is read best."""
        located = locate(self.networks.locator, films)
        return [self._upright(self._bone_bright(_Reading(film, found))) for film, found in zip(films, located)]

    def _bone_bright(self, reading: _Reading) -> _Reading:
        if reading.found.negative_log_odds < MAYBE_NEGATIVE:
            return reading
        film = reading.film.inverted()
        (found,) = locate(self.networks.locator, [film])
        gain = found.evidence - reading.found.evidence
        return _Reading(film, found, negative=True) if reading.found.negative_log_odds + gain > 0 else reading

    def _upright(self, reading: _Reading) -> _Reading:
        if reading.found.looks == 1 or reading.found.evidence >= SURELY_UPRIGHT:
            return reading
        films = [reading.film.turned(k) for k in (1, 2, 3)]
        others = locate(self.networks.locator, films)
        best = max(range(3), key=lambda k: others[k].evidence)
        if others[best].evidence <= reading.found.evidence + TURNING_MARGIN:
            return reading
        return replace(reading, film=films[best], found=others[best], turns=best + 1)

    def read_vertebra(self, film: Radiograph, level: str, pose: Pose, facing: str) -> dict[str, Corner]:
        """Corners of one vertebra that a reader has pointed at: steps 1b and 2 alone."""
        return self._read_vertebra(Pyramid(film.pixels, self.device), level, pose, facing)

    def _read_vertebra(self, film: Pyramid, level: str, pose: Pose, facing: str) -> dict[str, Corner]:
        ((_, corners, _),) = self.read([Site(film, level, pose, facing == "right")])
        return corners

    def read(self, sites: Sequence[Site], progress: Progress = _silent) -> list[tuple[str, dict[str, Corner], list[float]]]:
        """Steps 1b and 2 from rough poses: level, corners, and each corner's raw spread over its body's width."""
        nets = self.networks
        progress("find corners", 0.0)
        sites = self._found_where_sought(sites)
        progress("refine corners", 0.4)
        points, covariances = read_corners(nets.refiner, nets.refiner_crop, sites)
        sites = _posed(sites, points)
        read = []
        for site, p, c, flat in zip(sites, points, covariances, _flat(sites, points)):
            scale = nets.sd_scale[site.level == "S1"]
            corners = _named(site, p, c, flat, scale)
            read.append((site.level, corners, [corner.sd / scale / site.pose.width for corner in corners.values()]))
        return read

    def _found_where_sought(self, sites: Sequence[Site]) -> list[Site]:
        """Step 1b: the sites where it puts them, read until they stand still."""
        nets, sites = self.networks, list(sites)
        restless = list(range(len(sites)))
        for _ in range(1 + _READ_AGAIN):
            if not restless:
                break
            sought = [sites[i] for i in restless]
            points, covariances = read_corners(nets.corners, nets.corners_crop, sought)
            found = _posed(sought, points)
            for i, site in zip(restless, found):
                sites[i] = site
            restless = [
                i for i, guess, site, spread in zip(restless, sought, found, covariances)
                if _strayed(guess.pose, site.pose) or _vague(site, spread)
            ]
        return sites


def _posed(sites: Sequence[Site], points: np.ndarray) -> list[Site]:
    """The sites where corners (n, 4, 2) put them."""
    return [replace(site, pose=column.pose_from_corners(dict(zip(CORNERS, p)), site.level)) for site, p in zip(sites, points)]


def _strayed(guess: Pose, found: Pose) -> bool:
    return (
        turn_between(guess.posterior, found.posterior) > _STRAYED_TURN
        or np.linalg.norm(found.centre - guess.centre) > _STRAYED_SHIFT * found.width
        or abs(np.log(found.width / guess.width)) > _STRAYED_SIZE
    )


def _vague(site: Site, covariances: np.ndarray) -> bool:
    has = [name in corners_of(site.level) for name in CORNERS]
    return bool(_spreads(covariances)[has].max() > _VAGUE * site.pose.width)


def _spreads(covariances: np.ndarray) -> np.ndarray:
    """As :attr:`Corner.sd`, of (n, 2, 2) covariances: (n,)."""
    return np.sqrt(covariances.trace(axis1=1, axis2=2) / 2)


def _why_refused(found: Located) -> NoSpineFound | None:
    if found.chain is None or found.chain.evidence < MIN_EVIDENCE:
        return NoSpineFound("no column of vertebrae was found: load an upright lateral film of the spine.")
    if found.facing_confidence < MIN_FACING_CONFIDENCE:
        return NoSpineFound("it cannot be told which side the patient faces, so this seems not to be a lateral film: load an upright lateral one.")
    return None


def _flat(sites: Sequence[Site], points: np.ndarray) -> np.ndarray:
    """Which corners (n, 4, 2) lie where the film is of one grey: (n, 4). A film's vertebrae stand side by side."""
    radii = np.repeat([_FLAT_RADIUS * site.pose.width for site in sites], len(CORNERS)).reshape(-1, len(CORNERS))
    shares = np.empty_like(radii)
    for film, mine in groupby(range(len(sites)), lambda i: sites[i].film):
        here = list(mine)
        shares[here] = film.flat_shares(points[here].reshape(-1, 2), radii[here].ravel()).reshape(-1, len(CORNERS))
    return shares > _FLAT_SHARE


def _named(site: Site, points: np.ndarray, covariances: np.ndarray, flat: np.ndarray, sd_scale: float) -> dict[str, Corner]:
    named, width = {}, site.pose.width
    outside = ((points < -0.5) | (points > np.array(site.film.size) - 0.5)).any(1)
    vague = _spreads(covariances) > UNCERTAIN_SPREAD * width
    for k, name in enumerate(CORNERS):
        if name not in corners_of(site.level):
            continue
        if outside[k]:
            status = CornerStatus.OUTSIDE
        elif vague[k] or flat[k]:
            status = CornerStatus.UNCERTAIN
        else:
            status = CornerStatus.OK
        named[name] = Corner(points[k], covariances[k] * sd_scale**2, status)
    return named
