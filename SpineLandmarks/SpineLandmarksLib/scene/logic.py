"""What Slicer's console and the panel both do: films in, landmark lists and values out. No view."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ..core.column import Pose
from ..core.detection import Corner, Detection
from ..core.editing import Reader
from ..core.measurements import Measured, measure
from ..core.plausibility import checked
from ..core.radiograph import Radiograph
from .film import radiograph_of
from .folder import put_in_folder
from .markups import create_landmarks, read_landmarks
from .state import State
from .study import Study, film_of, helpers_of

Progress = Callable[[str, float], None]
#: Runs a function and returns what it returns; the panel's keeps the window alive meanwhile.
Runner = Callable[[Callable[[Progress], object]], object]


def _silent(step: str, share: float) -> None:
    pass


class DetectionLogic:
    """Detects on volume nodes and measures landmark lists of one scene.

    The networks are loaded with the first film and kept; ``weights`` is a folder of somebody's own
    training, None for those that ship. ``file_of`` tells the DICOM file that a
    volume came from, where the caller has a database that knows.
    """

    def __init__(self, scene, device: str = "auto", file_of: Callable[[object], Path | None] = lambda volume: None):
        self.scene = scene
        self.device = device
        self.weights: Path | None = None
        self._file_of = file_of
        self._detectors: dict[tuple[str, str], object] = {}

    @property
    def detector(self):
        """The detector on the chosen device, loaded when first asked for, and again when its weights have
        changed; raises ImportError without torch, WeightsError, DeviceError."""
        from ..model.detector import Detector
        from ..model.device import choose_device
        from ..model.weights import FOLDER, identity, load

        folder = self.weights or FOLDER
        key = self.device, identity(folder)
        if key not in self._detectors:
            device = choose_device(self.device)
            self._detectors[key] = Detector(load(folder, device), device)
        return self._detectors[key]

    def radiograph(self, volume) -> Radiograph:
        """The film in a volume node; raises FilmError."""
        return radiograph_of(volume, self._file_of(volume) if volume is not None else None)

    def detect(self, volume, progress: Progress = _silent, run: Runner | None = None):
        """Detect on a volume node and return the new fiducial list.

        ``run`` may do the computing elsewhere than in this thread; it gets a function that takes a
        progress callback and touches no node. Raises FilmError when the volume is not one film,
        NoSpineFound, and what ``progress`` raises.
        """
        radiograph = self.radiograph(volume)

        def compute(report: Progress) -> Detection:
            return self.detector.detect(radiograph, report)

        detection = run(compute) if run is not None else compute(progress)
        as_read = radiograph.as_read(detection.turns, detection.negative)
        return self.add_landmarks(volume, checked(detection, as_read.spacing), as_read)

    def add_landmarks(self, volume, detection: Detection, radiograph: Radiograph):
        """Show a detection on its volume, whose film was read as ``radiograph``: the fiducial list, its lines and
        labels, in the film's folder."""
        landmarks = create_landmarks(self.scene, f"{volume.GetName() or 'film'} corners", detection, radiograph)
        Study(landmarks, volume)
        put_in_folder(self.scene, volume, landmarks)
        return landmarks

    def reader(self, landmarks) -> Reader:
        """Reads a single vertebra on the film of a list; raises ValueError when the film is gone."""
        film = film_of(landmarks)
        if film is None:
            raise ValueError("the film of these corners is no longer in the scene: load it and detect again.")
        radiograph = self._as_read(film, landmarks)

        def read(level: str, pose: Pose, facing: str) -> dict[str, Corner]:
            return self.detector.read_vertebra(radiograph, level, pose, facing)

        return read

    def _as_read(self, film, landmarks) -> Radiograph:
        """A volume node's film as a list's corners were read on it."""
        state = State.load(landmarks)
        return self.radiograph(film).as_read(state.turns, state.negative)

    def remove_helpers(self, landmarks) -> None:
        """Remove the lines and labels of a list that is going."""
        for node in helpers_of(landmarks):
            self.scene.RemoveNode(node)

    def measure(self, landmarks) -> list[Measured]:
        """Every parameter from where the points stand now; raises ValueError for a foreign list."""
        state = State.load(landmarks)
        return measure(read_landmarks(landmarks, state), state.spacing and tuple(state.spacing), state.source)

    def export_report(self, landmarks, directory: Path) -> Path:
        """Write the tables, picture and .mrk.json of a list as it stands now into a new folder of
        ``directory``, named after the film, and return it. Raises ValueError when the film is gone,
        OSError when it cannot be written. Nothing that is there is overwritten."""
        from ..one_by_one import write_film
        from ..report.result import FilmResult
        from ..report.tables import Tables

        film = film_of(landmarks)
        if film is None:
            raise ValueError("the film of these corners is no longer in the scene: load it and detect again.")
        name = re.sub(r"[^\w.-]+", "_", film.GetName() or "film")
        out, number = directory / name, 2
        while out.exists():
            out, number = directory / f"{name}_{number}", number + 1
        out.mkdir(parents=True)
        result = FilmResult(
            name, "ok", "as corrected in 3D Slicer", radiograph=self._as_read(film, landmarks),
            detection=read_landmarks(landmarks), measured=tuple(self.measure(landmarks)),
        )
        write_film(out, result)
        with Tables(out) as tables:
            tables.add(result)
        return out

    def process_folder(self, folder: str | Path, out: str | Path, progress: Progress = _silent) -> int:
        """Run the shell's ``batch`` over a folder in this process, going on where an earlier run has
        stopped; returns the number of films failed or refused. ``progress`` may raise to stop.

        Raises BatchError when there is nothing to do or ``out`` holds the folder or foreign tables, OSError when ``out`` cannot be written.
        """
        from ..archive.executors import Serial
        from ..archive.process import gather, plan, process
        from ..archive.work import Job, use_detector
        from ..model.weights import FOLDER, identity

        detector = self.detector
        job = Job(str(folder), str(out), str(self.weights or FOLDER), detector.device, None)
        use_detector(job, detector)
        todo = plan(job, identity(self.weights or FOLDER)).todo
        done = 0

        def told(count: int) -> None:
            nonlocal done
            done += count
            progress(f"{done} of {len(todo)} films", done / len(todo))

        try:
            process(job, todo, Serial(), 1, told)
        finally:
            counts = gather(job)
        return sum(count for status, count in counts.items() if status != "ok")
