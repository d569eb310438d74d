"""The newcomer's table: every block has a test of its own name, or a pointer that reaches it."""

import ast
import re
import tomllib
from functools import cache

import pytest

from ouroboros.docs.blocks import ROOT, blocks, components

BLOCKS = list(blocks())
MODULE = re.compile(r"\bouroboros((?:\.\w+)+)\b")


@cache
def reached(path):
    """Files of the project that a file imports, or names, at any distance; itself too."""
    found, todo = set(), [path]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += named(one)
    return frozenset(found)


@cache
def named(path):
    """Files that a file imports, or names as a simulator's test module."""
    tree, files = ast.parse((ROOT / path).read_text(encoding="utf-8")), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [found.group() for found in MODULE.finditer(node.value)]
        else:
            continue
        for name in names:
            file = name.removeprefix("ouroboros.").replace(".", "/") + ".py"
            if (ROOT / file).is_file():
                files.append(file)
    return files


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.file)
def test_every_block_is_covered(block):
    assert block.test, (f"{block.file} must have a test tests/{block.file.rpartition('/')[0]}/"
                        f"test_{block.file.rpartition('/')[2]} or a pointer in docs/blocks.toml")
    for path in (block.test, block.golden, block.bench, block.proof):
        assert not path or (ROOT / path).is_file(), path
    assert block.file in reached(block.test) | (reached(block.bench) if block.bench else set())
    if block.proof:
        assert block.file in reached(block.proof)
    if block.golden:
        tests = reached(block.test) | (reached(block.bench) if block.bench else set())
        assert block.golden in tests, f"{block.test} does not use {block.golden}"


def test_pointers_are_to_blocks():
    said = tomllib.loads((ROOT / "docs" / "blocks.toml").read_text(encoding="utf-8"))
    files = {block.file for block in BLOCKS}
    for key, pointers in said.items():
        assert key in files or (ROOT / key).is_dir(), key
        assert pointers.keys() <= {"test", "golden", "bench", "proof"}
        own = ROOT / "tests" / key.rpartition("/")[0] / f"test_{key.rpartition('/')[2]}"
        assert not ("test" in pointers and own.exists()), f"{key} has a test of its own"


def test_components_are_found():
    assert components("class A(wiring.Component):\n    pass\nclass B(Component):\n    pass\n"
                      "class C:\n    pass\n") == ("A", "B")
    assert len(BLOCKS) > 40


def test_a_file_reaches_what_it_imports():
    assert "hw/sfu/track.py" in reached("tests/hw/sfu/test_sfu.py")
    assert "hw/mesh/die.py" not in reached("tests/hw/sfu/test_sfu.py")
