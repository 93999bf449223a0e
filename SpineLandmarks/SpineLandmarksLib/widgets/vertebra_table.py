"""The table of vertebrae: which corners are sure, which were edited, which are missing."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ..core.anatomy import ENDPLATES, corners_of
from ..core.detection import CornerStatus, Detection

_COLOURS = {CornerStatus.OK: "#2e8b57", CornerStatus.EDITED: "#3c78d8", CornerStatus.UNCERTAIN: "#c77700", CornerStatus.OUTSIDE: "#808080"}
_CORNERS = tuple(name for plate in ENDPLATES.values() for name in plate)


class VertebraTable:
    """One row a level, one column a corner; a cell says a corner's status and its standard deviation."""

    def __init__(self, table):
        self.table = table
        table.setColumnCount(1 + len(_CORNERS))
        table.setHorizontalHeaderLabels([_("Level"), *_CORNERS])
        table.verticalHeader().setVisible(False)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        self._levels: tuple[str, ...] = ()

    def fill(self, detection: Detection | None) -> None:
        self._levels = detection.levels if detection is not None else ()
        self.table.setRowCount(len(self._levels))
        for row, level in enumerate(self._levels):
            self._write(row, 0, level + (" ?" if level in detection.unseen else ""), None)
            for column, name in enumerate(_CORNERS, start=1):
                corner = detection.corners[level].get(name)
                if name not in corners_of(level):
                    self._write(row, column, "", None)
                elif corner is None:
                    self._write(row, column, _("not visible"), "#808080")
                else:
                    self._write(row, column, f"{corner.status.value} ± {corner.sd:.1f} px", _COLOURS[corner.status])

    def _write(self, row: int, column: int, text: str, colour: str | None) -> None:
        item = self.table.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem()
            self.table.setItem(row, column, item)
        item.setText(text)
        item.setForeground(qt.QBrush(qt.QColor(colour)) if colour else qt.QBrush())

    def selected(self) -> tuple[str | None, str | None]:
        """(level, corner name or None for the whole vertebra), or two None."""
        row, column = self.table.currentRow(), self.table.currentColumn()
        if not 0 <= row < len(self._levels):
            return None, None
        level = self._levels[row]
        name = _CORNERS[column - 1] if column > 0 else None
        return level, name if name in corners_of(level) else None

    def select(self, level: str, name: str | None) -> None:
        """Select a corner's cell without telling those who listen to clicks."""
        if level not in self._levels:
            return
        was_blocked = self.table.blockSignals(True)
        self.table.setCurrentCell(self._levels.index(level), 1 + _CORNERS.index(name) if name in _CORNERS else 0)
        self.table.blockSignals(was_blocked)
