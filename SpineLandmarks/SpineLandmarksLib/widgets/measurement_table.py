"""The table of measurements: value, interval, usual range, and why a value is missing."""

from __future__ import annotations

from collections.abc import Sequence

import qt

from ..core.measurements import Measured, MeasuredStatus
from ..core.measurements.text import COLUMNS, COMPARISON, cells, usual

_UNCERTAIN, _MISSING, _USUAL, _UNUSUAL = "#c77700", "#808080", "#2e8b57", "#d03050"


def _colour(m: Measured) -> str | None:
    if m.status is MeasuredStatus.NOT_MEASURABLE:
        return _MISSING
    if m.status is MeasuredStatus.UNCERTAIN:
        return _UNCERTAIN
    within = usual(m)
    return None if within is None else _USUAL if within else _UNUSUAL


class MeasurementTable:
    """Fills a QTableWidget; what cannot be measured comes last. Rows keep their places while a
    corner is dragged, and only those that change are written."""

    def __init__(self, table):
        self.table = table
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.verticalHeader().setVisible(False)
        self._order: list[int] = []
        self._rows: dict[int, int] = {}
        self._comparing = False

    def clear(self) -> None:
        self.table.setRowCount(0)
        self._order, self._rows = [], {}

    def fill(self, measured: Sequence[Measured], others: Sequence[Measured] | None = None) -> None:
        """Show every parameter, and beside it the same of another film."""
        titles = list(COLUMNS if others is None else (*COLUMNS[:-1], *COMPARISON, COLUMNS[-1]))
        order = sorted(range(len(measured)), key=lambda i: measured[i].value is None)
        if order != self._order or (others is not None) != self._comparing or self.table.columnCount != len(titles):
            self._order, self._comparing = order, others is not None
            self._rows = {index: row for row, index in enumerate(order)}
            self.table.setColumnCount(len(titles))
            self.table.setHorizontalHeaderLabels(titles)
            self.table.setRowCount(len(order))
        self.update(range(len(measured)), measured, others)

    def update(self, indices, measured: Sequence[Measured], others: Sequence[Measured] | None = None) -> None:
        """Write the rows of some parameters, by their places in ``measured``."""
        for index in indices:
            m, row = measured[index], self._rows.get(index)
            if row is None:
                continue
            d = m.definition
            for column, text in enumerate(cells(m, others[index] if others is not None else None)):
                item = self.table.item(row, column)
                if item is None:
                    item = qt.QTableWidgetItem()
                    item.setToolTip(f"{d.id}: + {d.positive}; {d.source}")
                    self.table.setItem(row, column, item)
                if item.text() != text:
                    item.setText(text)
            colour = _colour(m)
            self.table.item(row, 1).setForeground(qt.QBrush(qt.QColor(colour)) if colour else qt.QBrush())

    def index_at(self, row: int) -> int | None:
        """The place in the table of parameters of what a row shows."""
        return self._order[row] if 0 <= row < len(self._order) else None
