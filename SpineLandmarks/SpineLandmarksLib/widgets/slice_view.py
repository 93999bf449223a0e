"""The slice view that shows the film: layout, letters, keys, and the widget's traps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import qt
import slicer

from ..scene import view
from ..scene.film import set_window
from ..scene.state import State

_VIEW, _OTHER_VIEW = "Red", "Yellow"
#: Arrow key -> film pixels (x right, y down).
_KEYS = {"Left": (-1, 0), "Right": (1, 0), "Up": (0, -1), "Down": (0, 1)}


class FilmView:
    """The film in hand in the Red view, alone or with another one beside it in the Yellow view.

    Does nothing, quietly, where Slicer runs without a window.
    """

    def __init__(self):
        self._shortcuts: list = []

    @staticmethod
    def _widget(name: str = _VIEW):
        manager = slicer.app.layoutManager()
        return manager.sliceWidget(name) if manager is not None else None

    def show(self, film, landmarks) -> None:
        """Fill the screen with a film: one view, upright, fitted, with its own letters and window.
        ``landmarks``: its corners, which know how it stands, or None."""
        if self._widget() is None:
            return
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        self._fill(_VIEW, film, landmarks)

    def show_beside(self, film, landmarks, other, other_landmarks) -> tuple[str, str]:
        """Two films side by side; returns the ids of their views, for what belongs to only one of them."""
        if self._widget() is None:
            return "", ""
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        self._fill(_VIEW, film, landmarks)
        self._fill(_OTHER_VIEW, other, other_landmarks)
        return self._widget().mrmlSliceNode().GetID(), self._widget(_OTHER_VIEW).mrmlSliceNode().GetID()

    def _fill(self, name: str, film, landmarks) -> None:
        slicer.app.processEvents()  # a new layout gives its views their sizes
        widget = self._widget(name)
        composite = widget.mrmlSliceCompositeNode()
        composite.SetLinkedControl(False)
        composite.SetBackgroundVolumeID(film.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)
        set_window(film)
        state = State.load(landmarks) if landmarks is not None else None
        to_ras = np.array(state.index_to_ras) if state else view.film_to_ras(film)
        view.orient(widget.mrmlSliceNode(), film, to_ras)
        widget.fitSliceToBackground()
        view.set_letters(widget.mrmlSliceNode(), to_ras, state.facing if state else None)

    def restore_letters(self) -> None:
        for name in (_VIEW, _OTHER_VIEW):
            if self._widget(name) is not None:
                view.restore_letters(self._widget(name).mrmlSliceNode())

    def centre_on(self, ras: np.ndarray) -> None:
        if self._widget() is not None:
            view.centre_on(self._widget().mrmlSliceNode(), ras)

    def guard(self, landmarks) -> None:
        """Keep the middle button from moving all corners at once; call when they are shown."""
        for name in (_VIEW, _OTHER_VIEW):
            if self._widget(name) is not None and landmarks is not None and landmarks.GetDisplayNode() is not None:
                manager = self._widget(name).sliceView().displayableManagerByClassName("vtkMRMLMarkupsDisplayableManager")
                view.forbid_moving_all(manager, landmarks.GetDisplayNode())

    def take_keys(self, nudge: Callable[[np.ndarray], None], undo: Callable[[], None], redo: Callable[[], None]) -> None:
        """Arrow keys nudge by a film pixel, with Shift by five; Ctrl+Z and Ctrl+Y undo and redo."""
        if self._widget() is None or self._shortcuts:
            return
        actions = {}
        for key, step in _KEYS.items():
            actions[key] = lambda step=step: nudge(np.array(step, float))
            actions[f"Shift+{key}"] = lambda step=step: nudge(5 * np.array(step, float))
        actions |= {"Ctrl+Z": undo, "Ctrl+Y": redo}
        for key, action in actions.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), self._widget())
            shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
            shortcut.connect("activated()", action)
            self._shortcuts.append(shortcut)

    def release_keys(self) -> None:
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
