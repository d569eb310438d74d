"""The order of packages, enforced: imports go downwards only."""

import sys

import pytest

from ouroboros.docs.order import ORDER, ROOT, imports, main, package, sources

# Packages from elsewhere that a part may use, of those that would give its work away.
OUTSIDE = {"hw.params": set(), "hw": {"amaranth"}, "sw": set(), "floorplan": set(),
           "tb": {"amaranth", "cocotb", "cocotb_tools"}, "docs": {"amaranth"}}
CHECKED = {"amaranth", "cocotb", "cocotb_tools"}
# Never: software models know formats of the hardware, not the hardware.
REFUSED = {("sw", "hw"): {"hw.params"}, ("floorplan", "hw"): {"hw.params"}}

# stdlib only, because they run before anything is installed
BARE = ["tb/flow/setup.py"]


def refused(names: set[str], me: str) -> list[str]:
    """Those of ``names`` that package ``me`` may not import."""
    wrong, part = [], me.split(".")[0]
    outside = OUTSIDE.get(me, OUTSIDE[part])
    for name in sorted(names):
        root = name.split(".")[0]
        if root in CHECKED and root not in outside:
            wrong.append(name)
        if root in ("hw", "sw", "tb", "floorplan", "docs", "tests"):
            wrong.append(name)               # found only by luck: the package is ouroboros
        if root == "ouroboros" and name.count("."):
            other = package(name.removeprefix("ouroboros."))
            if other != me and (other not in ORDER or ORDER.index(other) > ORDER.index(me)
                                or other not in REFUSED.get((part, other.split(".")[0]), {other})):
                wrong.append(name)
    return wrong


@pytest.mark.parametrize("me", ORDER)
def test_imports_go_downwards(me):
    for path in sources():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if package(module) == me:
            wrong = refused(imports(path.read_text(), module), me)
            assert not wrong, f"{module} may not import {wrong[0]}"


def test_the_command_prints_the_order(capsys):
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ORDER


def test_every_package_has_a_place_in_the_order():
    found = {package(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in sources()}
    assert found == set(ORDER)


@pytest.mark.parametrize("path", BARE)
def test_bootstrap_is_bare(path):
    roots = {name.split(".")[0] for name in imports((ROOT / path).read_text(), path)}
    assert roots <= sys.stdlib_module_names


def test_no_postponed_annotations_in_hw():
    for path in (ROOT / "hw").rglob("*.py"):
        assert "from __future__ import annotations" not in path.read_text(), path


@pytest.mark.parametrize("me, text, wrong", [
    ("hw.params", "import amaranth", ["amaranth"]),
    ("hw.kv", "from ouroboros.hw.core import bus", ["ouroboros.hw.core.bus"]),
    ("hw.core", "from ouroboros.sw.golden import macro", ["ouroboros.sw.golden.macro"]),
    ("sw.golden", "from ouroboros.hw.cim.macro import Macro", ["ouroboros.hw.cim.macro.Macro"]),
    ("sw.mapper", "def f():\n    import ouroboros.tb.lib", ["ouroboros.tb.lib"]),
    ("sw.place", "from ouroboros.sw.cli import command", ["ouroboros.sw.cli.command"]),
    ("sw.place", "from sw.lib import errors", ["sw.lib.errors"]),
    ("tb", "from tests import conftest", ["tests.conftest"]),
    ("sw.perf", "import numpy\nfrom ouroboros.hw.params.machine import Machine\nimport json", []),
    ("floorplan", "import ouroboros.sw.place.instance", []),
    ("floorplan", "from ouroboros.tb.flow import emit", ["ouroboros.tb.flow.emit"]),
    ("sw.wafer", "import ouroboros.floorplan.plan", ["ouroboros.floorplan.plan"]),
])
def test_the_rule_itself(me, text, wrong):
    assert refused(imports(text, "example"), me) == wrong


def test_relative_import():
    with pytest.raises(AssertionError, match=r"^example: relative import"):
        imports("from . import other", "example")
