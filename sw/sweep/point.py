"""Points: mappings of plain values; their digest says what a result belongs to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from ouroboros.sw.sweep.errors import SweepError

__all__ = ["POINTS_MAX", "Point", "code_digest", "grid", "parse_over", "point_digest"]

Point = Mapping[str, Any]
"""Names and values: text, numbers, yes or no, lists of these."""
POINTS_MAX = 100_000
ROOT = Path(__file__).resolve().parents[2]
PARTS = ("hw/params", "hw/configs", "sw/baselines", "sw/block", "sw/defects", "sw/energy", "sw/lib",
         "sw/models", "sw/perf", "sw/program", "sw/serving", "sw/sweep", "sw/wafer")
"""Folders that results depend on."""


def parse_over(text: str) -> tuple[str, tuple[str, ...]]:
    """Key and values of ``KEY=a,b,c``.

    Raises
    ------
    SweepError
        If there is no key, no value, or one twice.
    """
    key, equal, values = text.partition("=")
    found = tuple(value.strip() for value in values.split(","))
    if not (key and equal) or not all(found):
        raise SweepError(f"--over must be KEY=a,b,c, not {text!r}")
    for n, value in enumerate(found):
        if value in found[:n]:
            raise SweepError(f"--over {key} must have each value once, not {value!r} twice")
    return key.strip(), found


def grid(over: Sequence[tuple[str, tuple[str, ...]]]) -> list[dict[str, str]]:
    """Every combination of values, the last key fastest.

    Raises
    ------
    SweepError
        If a key stands twice, or points are more than ``POINTS_MAX``.
    """
    keys = [key for key, _ in over]
    for n, key in enumerate(keys):
        if key in keys[:n]:
            raise SweepError(f"--over must name each key once, not {key!r} twice")
    count = 1
    for _, values in over:
        count *= len(values)
    if count > POINTS_MAX:
        raise SweepError(f"points must be at most {POINTS_MAX:,}, not {count:,}")
    return [dict(zip(keys, values, strict=True)) for values in product(*(v for _, v in over))]


def point_digest(kind: str, point: Point) -> str:
    """SHA-256 of what makes a result: its kind, its point, and the code that computes it.

    A key whose value ends in the name of a file that exists counts with what the file holds.
    """
    files = {}
    for key, value in sorted(point.items()):
        if isinstance(value, str) and "." in value and Path(value).is_file():
            files[key] = hashlib.sha256(Path(value).read_bytes()).hexdigest()
    text = json.dumps({"kind": kind, "point": dict(point), "files": files, "code": code_digest()},
                      sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_digest() -> str:
    """SHA-256 of sources and data in ``PARTS``: a result of other code is no result of this one."""
    digest = hashlib.sha256()
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*")):
            if path.suffix in (".py", ".toml") and path.is_file():
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
