"""Changes made by hand, each with the test that fails on it: ``by_hand.toml``."""

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["BY_HAND", "VARIABLE", "ByHandError", "Change", "is_noticed", "load_changes"]

ROOT = Path(__file__).resolve().parents[2]
BY_HAND = Path(__file__).with_name("by_hand.toml")
VARIABLE = "OUROBOROS_REPLACED"
FAILED = 1
"""Exit code of pytest if a test failed; errors of use have others."""


class ByHandError(OuroborosError):
    """An entry of ``by_hand.toml`` is not of the sources as they are, or its test does not run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One text of a source in place of another."""

    name: str
    """What is broken, in a few words."""
    file: str
    """Source below the project's root."""
    old: str
    """Text that stands there once."""
    new: str
    """What stands there instead."""
    test: str
    """Test that fails then, as pytest names it."""


def load_changes(path: Path = BY_HAND) -> tuple[Change, ...]:
    """Every change.

    Raises
    ------
    ByHandError
        If a text does not stand in its file exactly once.
    """
    found = tuple(Change(**entry) for entry in tomllib.loads(path.read_text())["change"])
    for one in found:
        source = ROOT / one.file
        if not source.is_file() or source.read_text().count(one.old) != 1:
            raise ByHandError(f"{path.name}, {one.name!r}: old must stand once in {one.file}; "
                              "where the code has changed, so must the entry")
    return found


def is_noticed(change: Change) -> bool:
    """Whether its test fails on the changed source. Nothing is written: see ``replaced``.

    Raises
    ------
    ByHandError
        If pytest finds no such test, or cannot run it.
    """
    told = {"file": str(ROOT / change.file), "old": change.old, "new": change.new}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
         "-p", "ouroboros.tb.mutate.replaced", change.test],
        cwd=ROOT, env=os.environ | {VARIABLE: json.dumps(told)}, capture_output=True, text=True,
        check=False)
    if done.returncode not in (0, FAILED):
        raise ByHandError(f"{change.name}: {change.test} must run, but pytest ends with "
                          f"{done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    return done.returncode == FAILED
