"""How long steps took the last time: what to expect of those that cannot tell how far they are."""

import contextlib
from pathlib import Path

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.json_file import read_object, write_object

__all__ = ["recall", "remember"]

_ENTRIES_MAX = 200


def recall(key: str) -> dict[str, float]:
    """Seconds of each step of a run, by its name; empty if there was none."""
    found = _read().get(key)
    return {name: float(value) for name, value in found.items()
            if isinstance(value, int | float)} if isinstance(found, dict) else {}


def remember(key: str, seconds: dict[str, float]) -> None:
    """Keep the seconds of steps; a step of no time was not done and keeps its old ones."""
    table = _read()
    before = table.pop(key, {})
    table[key] = (before if isinstance(before, dict) else {}) | {
        name: round(value, 3) for name, value in seconds.items() if value > 0}
    # A cache that cannot be written costs an estimate, nothing else.
    with contextlib.suppress(OSError, OuroborosError):
        _path().parent.mkdir(parents=True, exist_ok=True)
        write_object(_path(), dict(list(table.items())[-_ENTRIES_MAX:]))


def _path() -> Path:
    return cache_folder("times") / "run.json"


def _read() -> dict[str, object]:
    try:
        return dict(read_object(_path()))
    except OuroborosError:
        return {}
