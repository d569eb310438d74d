"""Commands that pages show are run, and what they show as output is what comes out.

A block ``sh`` is run as it stands, one shell for the block, in an empty folder that has the
project's files but a ``build`` of its own. A block ``console`` has commands behind ``$`` and, below
each, what it prints; three dots stand for anything. One word after the language names the tier:
none, ``sim`` or ``slow``. ``not-run:`` and a reason stands on a block that is not run.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from ouroboros.sw.cli.main import cli

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|console|bash|shell)(?: ([^\n]*))?\n(.*?)^```$",
                   re.DOTALL | re.MULTILINE)
TIERS = {"": (), "sim": (pytest.mark.sim,), "slow": (pytest.mark.slow,)}
REASON = re.compile(r"not-run: \S+( \S+){2,}")
HIDDEN = r"^(\$ (?!python -m ouroboros\.docs\.tour |ouroboros wafer )|ouroboros [a-z]|make [a-z])"
"""A command; those of the tour, and the README's estimate, are compared by ``test_pages``."""
INLINE = re.compile(r"`(ouroboros [^`]+)`")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """One block of commands on a page."""

    page: str
    line: int
    language: str
    mark: str
    text: str


def blocks_of(text: str, page: str) -> list[Block]:
    return [Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2] or "", found[3])
            for found in BLOCK.finditer(text)]


def pages() -> list[Path]:
    return sorted({*ROOT.glob("*.md"),
                   *(page for part in ("docs", "hw", "sw", "tb", "floorplan")
                     for page in (ROOT / part).rglob("*.md"))})


def found() -> list[Block]:
    return [block for page in pages()
            for block in blocks_of(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))]


def steps(text: str) -> list[tuple[str, str]]:
    """Commands of a ``console`` block with what each must print."""
    pairs: list[tuple[str, str]] = []
    more = False
    for line in text.splitlines():
        if line.startswith("$ "):
            pairs.append((line[2:], ""))
        elif more:
            pairs[-1] = (pairs[-1][0] + "\n" + line, "")
        else:
            assert pairs, "a console block must begin with a command"
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + line + "\n")
            continue
        more = line.endswith("\\")
    return pairs


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with the project's programs on PATH."""
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb",
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("MAKEFLAGS", None)
    return subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, text=True,
                          capture_output=True, check=False, env=environment, timeout=3600)


def play(block: Block, folder: Path) -> str:
    """What is wrong with a block, empty if nothing is."""
    pairs = steps(block.text) if block.language == "console" else [(block.text, "...")]
    for command, want in pairs:
        done = shell(command, folder)
        if done.returncode:
            return f"{command}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        if not doctest.OutputChecker().check_output(want, done.stdout, FLAGS):
            return f"{command}\nmust print\n{want}and not\n{done.stdout}"
    return ""


def unknown(line: str) -> str:
    """First word of a command line that is no command, or no option of it; empty if all are."""
    words = line.replace("|", " ").replace("[", " ").replace("]", " ").split()[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        if found is None:
            return "" if name.startswith("..") else name
        command = found
    known = {word for param in command.get_params(context)
             for word in (*param.opts, *param.secondary_opts)}
    return next((word for word in words if word.startswith("--") and word not in known), "")


@pytest.fixture
def folder(tmp_path):
    """A folder with the project's files and a build folder of its own."""
    for path in ROOT.iterdir():
        if path.name not in ("build", ".git"):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "build").mkdir()
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize("block", [
    pytest.param(block, id=f"{block.page}:{block.line}", marks=TIERS.get(block.mark, ()))
    for block in found() if not block.mark.startswith("not-run:")])
def test_commands_of_pages_run(block, folder):
    assert block.language in ("sh", "console") and block.mark in TIERS, block
    wrong = play(block, folder)
    assert not wrong, wrong


def test_commands_in_sentences_exist():
    for page in pages():
        if page.parent.name == "decisions":             # they keep the names of their day
            continue
        text = page.read_text(encoding="utf-8")
        lines = [" ".join(code.split()) for code in INLINE.findall(text)]
        for block in blocks_of(text, page.name):
            lines += [line for line in block.text.replace("\\\n", " ").splitlines()
                      if line.startswith("ouroboros ")]
        for line in lines:
            wrong = unknown(line)
            assert not wrong, f"{page.relative_to(ROOT)}: {wrong!r} of {line!r} does not exist"


def test_unknown_words_are_seen():
    assert not unknown("ouroboros noc compare --on model --every --k 8")
    assert not unknown("ouroboros run .. --on golden|verilator")
    assert unknown("ouroboros nothing --on model") == "nothing"
    assert unknown("ouroboros noc compare --nothing 1") == "--nothing"


def test_what_is_not_run_has_a_reason():
    for block in found():
        assert not block.mark.startswith("not-run") or REASON.fullmatch(block.mark), block


def test_commands_are_in_blocks_that_are_run():
    """A command hidden in a block of another language would never be seen to break."""
    for page in {block.page for block in found()} | {"README.md"}:
        for language, text in re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$",
                                         (ROOT / page).read_text(encoding="utf-8"),
                                         re.DOTALL | re.MULTILINE):
            if language not in ("sh", "console"):
                assert not re.search(HIDDEN, text, re.MULTILINE), page


@pytest.mark.parametrize(("text", "wrong"), [
    ("```console\n$ echo one \\\n  two\none two\n```\n", ""),
    ("```console\n$ echo one 12.5 s\none ... s\n$ echo two\ntwo\n```\n", ""),
    ("```console\n$ echo one\ntwo\n```\n", "must print\ntwo"),
    ("```sh\nfalse\ntrue\n```\n", "exit code 1"),
    ("```sh\nouroboros --version\n```\n", ""),
])
def test_the_rule_itself(text, wrong, tmp_path):
    (block,) = blocks_of(text, "example")
    found = play(block, tmp_path)
    assert wrong in found and bool(wrong) == bool(found)
