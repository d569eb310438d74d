"""Which files of the project a result was made by, and their digest: the key of what is kept."""

import hashlib
import re
from functools import cache
from pathlib import Path

__all__ = ["digest", "sources"]

_PACKAGE = __name__.partition(".")[0]
_ROOT = Path(__file__).resolve().parents[2]
_IMPORT = re.compile(
    rf"^\s*from {_PACKAGE}\.([\w.]+) import (?:\(([^)]*)\)|([\w, ]+))", re.MULTILINE)


def digest(source: Path) -> str:
    """Digest of a source file and all files of the project that it depends on."""
    total = hashlib.sha256()
    for path in sources(source):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def sources(source: Path) -> list[Path]:
    """A source file and every file of the project that it imports, directly or not; sorted."""
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imports(path))
    return sorted(found)


@cache
def _imports(source: Path) -> tuple[Path, ...]:
    found = []
    for module, wrapped, plain in _IMPORT.findall(source.read_text(encoding="utf-8")):
        base = _ROOT.joinpath(*module.split("."))
        candidates = [base.with_suffix(".py"),
                      *(base / f"{name.split()[0]}.py" for name in (wrapped or plain).split(",")
                        if name.strip())]
        found += [path for path in candidates if path.is_file()]
    return tuple(found)
