"""What Slicer's console and the panel both do: films in, landmark lists and values out. No view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..core.measurements import Measured, measure
from .endplates import create_endplates, update_endplates
from .film import radiograph_of
from .markups import create_landmarks, read_landmarks

Progress = Callable[[str, float], None]


def _silent(step: str, share: float) -> None:
    pass


class DetectionLogic:
    """Detects on volume nodes and measures landmark lists of one scene.

    The networks are loaded with the first film and kept. Endplate models follow their lists
    through :meth:`refresh`, which the owner calls when a point has moved.
    """

    def __init__(self, scene, device: str = "cpu"):
        self.scene = scene
        self.device = device
        self._detector = None
        self._endplates: dict[str, object] = {}  # landmark list's id -> model node

    @property
    def detector(self):
        """The detector, loaded when first asked for; raises ImportError without torch, WeightsError."""
        if self._detector is None:
            from ..model.detector import Detector
            from ..model.weights import load

            self._detector = Detector(load(device=self.device), self.device)
        return self._detector

    def detect(self, volume, progress: Progress = _silent):
        """Detect on a volume node and return the new fiducial list.

        Raises FilmError when the volume is not one film, NoSpineFound, and what ``progress`` raises.
        """
        radiograph = radiograph_of(volume)
        detection = self.detector.detect(radiograph, progress)
        name = volume.GetName() or "film"
        landmarks = create_landmarks(self.scene, f"{name} corners", detection, radiograph)
        self.add_endplates(landmarks, f"{name} endplates")
        return landmarks

    def add_endplates(self, landmarks, name: str):
        """Add the model node that shows a list's endplates, and return it."""
        model = create_endplates(self.scene, name)
        self._endplates[landmarks.GetID()] = model
        self.refresh(landmarks)
        return model

    def refresh(self, landmarks) -> None:
        """Redraw the endplates of a list."""
        model = self._endplates.get(landmarks.GetID())
        if model is not None and model.GetScene() is not None:
            update_endplates(model, landmarks)

    def measure(self, landmarks) -> list[Measured]:
        """Every parameter from where the points stand now; raises ValueError for a foreign list."""
        detection, spacing = read_landmarks(landmarks)
        return measure(detection, spacing)

    def process_folder(self, folder: str | Path, out: str | Path, progress: Progress = _silent) -> int:
        """Run the shell's ``detect`` over a folder; returns the number of films not done."""
        from ..batch import process_films
        from ..films.find import find_films

        return process_films(find_films([Path(folder)], Path(out)), Path(out), self.detector, progress=progress)
