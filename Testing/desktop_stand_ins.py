"""Stand-ins for what slicer-core lacks of the desktop program: Qt, the scripted-module classes, the
parameter-node wrapper. They remember what is set and call what is connected, no more: tests with
them prove the panel's own logic, not its look or PythonQt's behaviour."""

from __future__ import annotations

import importlib.util
import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path

import slicer
import vtk

from .conftest import ROOT

MODULE = ROOT / "SpineLandmarks"


class Widget:
    """Any widget: attributes, setX, and signals."""

    def __init__(self, *_):
        self._signals: dict[str, list] = {}
        self.enabled = self.visible = True
        self.text = self.currentPath = ""

    def connect(self, signal, slot):
        self._signals.setdefault(signal.split("(")[0], []).append(slot)

    def disconnect(self, signal, slot=None):
        self._signals.pop(signal.split("(")[0], None)

    def emit(self, signal, *values):
        for slot in list(self._signals.get(signal, ())):
            slot(*values)

    def click(self):
        if self.enabled:
            for slot in list(self._signals.get("clicked", ())):
                slot()

    def blockSignals(self, blocked):
        return False

    def addItem(self, text, data):
        self.currentData = getattr(self, "currentData", data)

    def __getattr__(self, name):
        if name.startswith("set") and len(name) > 3:
            attribute = name[3].lower() + name[4:]
            return lambda *values: setattr(self, attribute, values[0] if len(values) == 1 else values)
        if name in ("addAttribute", "addWidget", "deleteLater", "verticalHeader"):
            return lambda *_: self
        raise AttributeError(name)


class Item:
    def __init__(self):
        self._text = ""

    def text(self):
        return self._text

    def setText(self, text):
        self._text = text

    def setToolTip(self, text):
        pass

    def setForeground(self, brush):
        self.brush = brush


class Table(Widget):
    def __init__(self, *_):
        super().__init__()
        self.items: dict[tuple[int, int], Item] = {}
        self.rowCount = self.columnCount = 0
        self.current = (-1, -1)

    def item(self, row, column):
        return self.items.get((row, column))

    def setItem(self, row, column, item):
        assert row < self.rowCount and column < self.columnCount
        self.items[row, column] = item

    def setRowCount(self, count):
        self.rowCount = count
        self.items = {k: v for k, v in self.items.items() if k[0] < count}

    def currentRow(self):
        return self.current[0]

    def currentColumn(self):
        return self.current[1]

    def setCurrentCell(self, row, column):
        self.current = row, column

    def pick(self, row, column):
        self.current = row, column
        self.emit("cellClicked", row, column)

    def texts(self, column):
        return [self.items[row, column].text() for row in range(self.rowCount)]


def _qt():
    qt = types.ModuleType("qt")
    anything = type("Anything", (), {"__getattr__": lambda self, name: 0})()
    qt.Qt = qt.QAbstractItemView = anything
    qt.QTableWidgetItem = Item
    qt.QBrush, qt.QColor = (lambda *a: a), (lambda *a: a)
    qt.QShortcut, qt.QKeySequence = Widget, (lambda key: key)
    qt.QTimer = types.SimpleNamespace(singleShot=lambda milliseconds, function: function())
    qt.QFileDialog = types.SimpleNamespace(getOpenFileName=lambda *_: "", getExistingDirectory=lambda *_: "")
    return qt


class _ModuleWidget:
    def __init__(self, parent=None):
        self.parent = types.SimpleNamespace(isEntered=True)
        self.layout = Widget()

    def setup(self):
        pass

    def resourcePath(self, name):
        return str(MODULE / "Resources" / name)


class _ModuleLogic:
    def getParameterNode(self):
        node = slicer.mrmlScene.GetFirstNodeByName("SpineLandmarksParameters")
        return node or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "SpineLandmarksParameters")


def _parameter_node_wrapper(cls):
    """Fields as attributes kept in the MRML node; nodes as references, the rest as JSON-free text."""
    fields = dict(cls.__annotations__)

    class Wrapped:
        def __init__(self, node):
            object.__setattr__(self, "node", node)

        def __getattr__(self, name):
            if name in fields:
                if "vtkMRML" in fields[name]:
                    return self.node.GetNodeReference(name)
                return float(self.node.GetParameter(name) or getattr(cls, name))
            return getattr(self.node, name)

        def __setattr__(self, name, value):
            assert name in fields, name
            if "vtkMRML" in fields[name]:
                self.node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
            else:
                self.node.SetParameter(name, str(value))
            self.node.Modified()

        def connectGui(self, ui):
            return 1

        def disconnectGui(self, tag):
            assert tag == 1

        def __hash__(self):
            return hash(self.node)

        def __eq__(self, other):
            return isinstance(other, Wrapped) and other.node == self.node

    return Wrapped


def _load_ui(path):
    return Widget()


def _children(_):
    """The named widgets of the module's own .ui, tables as tables."""
    ui = ET.parse(MODULE / "Resources" / "UI" / "SpineLandmarks.ui")
    names = {w.get("name"): w.get("class") for w in ui.iter("widget")}
    return types.SimpleNamespace(**{name: (Table if kind == "QTableWidget" else Widget)() for name, kind in names.items()})


class App(Widget):
    """A Slicer without a window; ``copied`` is the clipboard."""

    def __init__(self):
        super().__init__()
        self.shown_errors: list[str] = []
        self.copied = ""

    def layoutManager(self):
        return None

    def processEvents(self):
        pass

    def testingEnabled(self):
        return False

    def clipboard(self):
        return types.SimpleNamespace(setText=lambda text: setattr(self, "copied", text))

    def setOverrideCursor(self, cursor):
        pass

    def restoreOverrideCursor(self):
        pass


def load_module(monkeypatch, scene):
    """The module file, loaded the way Slicer does, into this process's scene; returns (module, app)."""
    app = App()
    app.shown_errors = []
    monkeypatch.setitem(sys.modules, "qt", _qt())
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr, i18n.translate = (lambda text: text), (lambda context, text: text)
    scripted = types.ModuleType("slicer.ScriptedLoadableModule")
    scripted.ScriptedLoadableModule = type("ScriptedLoadableModule", (), {"__init__": lambda self, parent: setattr(self, "parent", parent)})
    scripted.ScriptedLoadableModuleWidget, scripted.ScriptedLoadableModuleLogic = _ModuleWidget, _ModuleLogic
    scripted.ScriptedLoadableModuleTest = type("ScriptedLoadableModuleTest", (__import__("unittest").TestCase,), {"delayDisplay": lambda self, text: None})
    wrapper = types.ModuleType("slicer.parameterNodeWrapper")
    wrapper.parameterNodeWrapper = _parameter_node_wrapper
    for module in (i18n, scripted, wrapper):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(slicer, "app", app, raising=False)
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer.util, "loadUI", _load_ui)
    monkeypatch.setattr(slicer.util, "childWidgetVariables", _children)
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, **_: app.shown_errors.append(text))
    monkeypatch.setattr(slicer.util, "showStatusMessage", lambda text, *_: None)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda *_: None)
    for name in [name for name in sys.modules if name.startswith("SpineLandmarksLib.widgets")]:
        monkeypatch.delitem(sys.modules, name)
    spec = importlib.util.spec_from_file_location("SpineLandmarks", MODULE / "SpineLandmarks.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "SpineLandmarks", module)
    spec.loader.exec_module(module)
    return module, app


def observers_of(node: vtk.vtkObject) -> int:
    """How many events of a node somebody listens to (of those that matter here)."""
    events = ("ModifiedEvent", "PointModifiedEvent")
    return sum(node.HasObserver(e if e == "ModifiedEvent" else node.PointModifiedEvent) for e in events)


def write_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
