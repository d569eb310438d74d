"""Widths stand in one place: none is a literal in the hardware, and others work as well."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ouroboros.hw.params import widths

ROOT = Path(__file__).parents[3]
WIDTHS = {value for name, value in vars(widths).items() if name.endswith("_BITS") and value > 3}
ARITHMETIC = {"sfu/lanes.py", "sfu/scalar.py", "sfu/track.py", "sfu/sfu.py"}
"""Numbers of bits there are those of numbers, and no field's."""
OTHERS = """
from ouroboros.hw.params import widths
for name, bits in {others!r}.items():
    setattr(widths, name, bits)
"""


def literal_widths(source):
    """Lines with a signal, port or field whose width is a number that stands for something."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        shapes = []
        if name in ("Signal", "In", "Out", "unsigned", "Shape"):
            shapes = node.args[:1]
        elif isinstance(node.args[0], ast.Dict):
            shapes = node.args[0].values
        for shape in shapes:
            if isinstance(shape, ast.Constant) and shape.value in WIDTHS:
                yield shape.lineno


def test_a_literal_width_is_found():
    source = 'Signal(7)\nx = In(24)\nStructLayout({"a": 1,\n "b": 20})\nSignal(BITS)\nrange(7)'
    assert sorted(literal_widths(source)) == [1, 2, 4]


@pytest.mark.parametrize("folder", ["array", "cim", "core", "kv", "lib", "mesh", "noc", "sfu"])
def test_no_width_is_a_literal(folder):
    files = sorted((ROOT / "hw" / folder).glob("*.py"))
    found = [f"hw/{folder}/{file.name}:{line}" for file in files
             if f"{folder}/{file.name}" not in ARITHMETIC
             for line in literal_widths(file.read_text())]
    assert files and found == []


def run(tmp_path, others, *arguments):
    """Pytest in a process of its own, with other widths from the start."""
    (tmp_path / "other_widths.py").write_text(OTHERS.format(others=others))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "other_widths",
         *arguments], cwd=ROOT, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, timeout=120,
        capture_output=True, text=True, check=False)


@pytest.mark.long
def test_blocks_work_with_other_widths(tmp_path):
    """Coordinates of a second wafer, at the cost of labels; longer names and addresses."""
    done = run(tmp_path, {"COORDINATE_BITS": 8, "LABEL_BITS": 5, "SEQUENCE_BITS": 17,
                          "POSITION_BITS": 21, "WORD_ADDRESS_BITS": 13, "OFFSET_BITS": 15},
               "tests/hw/core/test_send.py", "tests/hw/noc/test_port.py",
               "tests/hw/core/test_slots.py::test_a_token_is_known_by_name",
               "tests/hw/sfu/test_walk.py::test_b_starts_again_after_wrap")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_header_that_does_not_fit_is_refused(tmp_path):
    """Eight bits of coordinates take two bits more than are left."""
    done = run(tmp_path, {"COORDINATE_BITS": 8}, "tests/hw/core/test_send.py")
    assert done.returncode != 0
    assert "fields up to ordered must fit 64 bits, not 66" in done.stdout + done.stderr
