"""The import rules of the architecture, enforced."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# folder: packages it may import besides itself and the standard library
ALLOWED = {
    "hw/params": set(),
    "hw":        {"amaranth"},
    "sw":        {"numpy", "hw.params"},
    "floorplan": {"numpy", "hw.params", "sw"},
    "tb":        {"amaranth", "cocotb", "cocotb_tools", "numpy", "hw", "sw"},
}
OWN = {"hw", "sw", "tb", "floorplan", "tests"}
CHECKED = OWN | {"amaranth", "cocotb", "cocotb_tools", "numpy"}

# stdlib only, because they run before anything is installed
BARE = ["tb/setup.py"]


def sources(folder: str) -> list[Path]:
    inner = [ROOT / other for other in ALLOWED if other.startswith(folder + "/")]
    return [path for path in sorted((ROOT / folder).rglob("*.py"))
            if not any(path.is_relative_to(other) for other in inner)]


def imports(text: str, where: str) -> set[str]:
    """Dotted names of every checked module imported anywhere in a file."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in CHECKED}


def refused(names: set[str], folder: str) -> list[str]:
    allowed = ALLOWED[folder] | {folder.replace("/", ".")}
    return sorted(name for name in names
                  if not any(name == one or name.startswith(one + ".") for one in allowed))


@pytest.mark.parametrize("folder", ALLOWED)
def test_import_direction(folder):
    for path in sources(folder):
        name = str(path.relative_to(ROOT))
        wrong = refused(imports(path.read_text(), name), folder)
        assert not wrong, f"{name} may not import {wrong[0]}"


@pytest.mark.parametrize("path", BARE)
def test_bootstrap_is_bare(path):
    assert not imports((ROOT / path).read_text(), path)


def test_no_postponed_annotations_in_hw():
    for path in sources("hw"):
        assert "from __future__ import annotations" not in path.read_text(), path


@pytest.mark.parametrize("folder, text, wrong", [
    ("hw/params", "import amaranth", ["amaranth"]),
    ("hw",        "from sw.golden import macro", ["sw.golden.macro"]),
    ("sw",        "from hw.cim.macro import Macro", ["hw.cim.macro.Macro"]),
    ("sw",        "def f():\n    import tb.lib", ["tb.lib"]),
    ("tb",        "from tests import conftest", ["tests.conftest"]),
    ("sw",        "import numpy as np\nfrom hw.params.machine import Machine\nimport json", []),
    ("sw",        "from hw import params", []),
    ("floorplan", "import sw.place.instance", []),
    ("floorplan", "from tb.run import emit", ["tb.run.emit"]),
    ("sw",        "import floorplan.plan", ["floorplan.plan"]),
])
def test_the_rule_itself(folder, text, wrong):
    assert refused(imports(text, "example"), folder) == wrong


def test_relative_import():
    with pytest.raises(AssertionError, match=r"^example: relative import"):
        imports("from . import other", "example")
