"""The test plan: what is required, where that stands, and the tests that show it."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["PLAN", "Item", "PlanError", "load_plan"]

ROOT = Path(__file__).resolve().parents[2]
PLAN = Path(__file__).with_name("plan.toml")


class PlanError(OuroborosError):
    """The plan names what is not there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A requirement."""

    requirement: str
    """One sentence."""
    where: str
    """File that states it."""
    tests: tuple[str, ...]
    """Files of tests below the project's root, or ``FILE::TEST``."""


def load_plan(path: Path = PLAN) -> tuple[Item, ...]:
    """Every requirement with its tests.

    Raises
    ------
    PlanError
        If a requirement has no test, or one that is not there.
    """
    found = []
    for entry in tomllib.loads(path.read_text())["item"]:
        item = Item(requirement=entry["requirement"], where=entry["where"],
                    tests=tuple(entry["tests"]))
        where = f"{path.name}, {item.requirement!r}"
        if not (ROOT / item.where).is_file():
            raise PlanError(f"{where}: where must be a file of the project, not {item.where}")
        if not item.tests:
            raise PlanError(f"{where}: tests must name at least one test")
        for test in item.tests:
            file, _, name = test.partition("::")
            source = ROOT / file
            if not source.is_file() or (name and not re.search(
                    rf"^(?:async )?def {re.escape(name)}\(", source.read_text(), re.MULTILINE)):
                raise PlanError(f"{where}: test {test} must be there")
        found.append(item)
    return tuple(found)
