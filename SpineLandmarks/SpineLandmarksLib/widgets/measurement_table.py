"""The table of measurements: value, unit, usual range, and why a value is missing."""

from __future__ import annotations

import qt

from ..core.measurements import Measured, MeasuredStatus

_COLUMNS = ("Measurement", "Value", "Usual", "Note")
_COLOURS = {MeasuredStatus.OK: None, MeasuredStatus.UNCERTAIN: "#b36b00", MeasuredStatus.NOT_MEASURABLE: "#808080"}


def show_measurements(table, measured: list[Measured]) -> None:
    """Fill a QTableWidget; what cannot be measured comes last."""
    rows = sorted(measured, key=lambda m: m.value is None)
    table.setColumnCount(len(_COLUMNS))
    table.setHorizontalHeaderLabels(_COLUMNS)
    table.setRowCount(len(rows))
    for row, m in enumerate(rows):
        definition = m.definition
        unit = definition.unit_text
        usual = f"{definition.normal[0]:g} to {definition.normal[1]:g}{unit}" if definition.normal else ""
        value = "not measurable" if m.value is None else f"{m.value:.2f}{unit}" if definition.unit == "ratio" else f"{m.value:.1f}{unit}"
        for column, text in enumerate((definition.id, value, usual, m.reason)):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(f"{definition.name}; + {definition.positive}; {definition.source}")
            item.setFlags(item.flags() & ~qt.Qt.ItemIsEditable)
            if _COLOURS[m.status]:
                item.setForeground(qt.QBrush(qt.QColor(_COLOURS[m.status])))
            table.setItem(row, column, item)
