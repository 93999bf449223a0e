"""What each room may import, proved in fresh interpreters where the forbidden does not exist."""

import subprocess
import sys

import pytest

BLOCK = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(name + ' is blocked')
sys.meta_path.insert(0, Block())
import pkgutil, importlib
for room in {rooms!r}:
    package = importlib.import_module('SpineLandmarksLib.' + room)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):
        importlib.import_module(module.name)
print('imported', len([m for m in sys.modules if m.startswith('SpineLandmarksLib.')]))
"""


def imports(rooms, blocked):
    done = subprocess.run([sys.executable, "-c", BLOCK.format(rooms=rooms, blocked=blocked)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


SLICER = ["slicer", "qt", "ctk", "vtk", "mrml"]


@pytest.mark.parametrize(
    ("rooms", "blocked"),
    [
        (["core"], [*SLICER, "torch", "SimpleITK", "pydicom", "PIL", "scipy", "safetensors"]),
        (["films"], [*SLICER, "torch", "PIL", "scipy"]),
        (["report"], [*SLICER, "torch", "SimpleITK", "pydicom", "scipy"]),
        (["model"], [*SLICER, "SimpleITK", "pydicom", "PIL", "scipy", "matplotlib", "torchvision"]),
        (["shell"], SLICER),
    ],
)
def test_room_imports_without_what_it_must_not_use(rooms, blocked):
    code, output = imports(rooms, blocked)
    assert code == 0, output
    assert "imported" in output


def test_the_block_itself_works():
    code, output = imports(["model"], ["torch"])
    assert code != 0 and "torch is blocked" in output


def test_help_does_not_load_torch():
    script = (
        "import sys\nfrom SpineLandmarksLib.shell.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'SimpleITK', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
