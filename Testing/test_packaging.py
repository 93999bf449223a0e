"""What ships: every library file in CMake, every widget and parameter that the module names in its .ui."""

import ast
import re
import xml.etree.ElementTree as ET

from .conftest import ROOT

MODULE = ROOT / "SpineLandmarks"


def test_cmake_lists_every_library_file_and_resource():
    text = (MODULE / "CMakeLists.txt").read_text().replace("${MODULE_NAME}", "SpineLandmarks")
    listed = set(re.findall(r"^\s+(SpineLandmarks\S*\.py|Resources/\S+|SpineLandmarksLib/weights/\S+)$", text, re.M))
    there = {f.relative_to(MODULE).as_posix() for f in (MODULE / "SpineLandmarksLib").rglob("*.py")} | {"SpineLandmarks.py"}
    there |= {f.relative_to(MODULE).as_posix() for f in (MODULE / "Resources").rglob("*") if f.is_file()}
    there |= {f.relative_to(MODULE).as_posix() for f in (MODULE / "SpineLandmarksLib" / "weights").iterdir() if f.suffix in (".safetensors", ".json")}
    assert listed == there


def test_every_widget_that_the_module_uses_is_in_the_ui():
    ui = ET.parse(MODULE / "Resources" / "UI" / "SpineLandmarks.ui")
    names = {w.get("name") for w in ui.iter("widget")}
    source = (MODULE / "SpineLandmarks.py").read_text()
    used = set(re.findall(r"self\.ui\.(\w+)", source))
    assert used and used <= names


def test_every_slicer_parameter_name_is_a_field_of_the_parameter_node():
    ui = ET.parse(MODULE / "Resources" / "UI" / "SpineLandmarks.ui")
    bound = {p.find("string").text for p in ui.iter("property") if p.get("name") == "SlicerParameterName"}
    tree = ast.parse((MODULE / "SpineLandmarks.py").read_text())
    (node,) = [c for c in tree.body if isinstance(c, ast.ClassDef) and c.name == "SpineLandmarksParameterNode"]
    fields = {a.target.id for a in node.body if isinstance(a, ast.AnnAssign)}
    assert bound and bound <= fields


def test_module_imports_at_file_scope_only_what_slicer_bundles():
    tree = ast.parse((MODULE / "SpineLandmarks.py").read_text())
    roots = {(n.module if isinstance(n, ast.ImportFrom) else n.names[0].name).split(".")[0] for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))}
    assert roots <= {"__future__", "pathlib", "sys", "qt", "slicer", "vtk"}
