"""JSON files, plain or gzipped, read with errors that name file and key."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ouroboros.hw.params.text import utf8
from ouroboros.sw.lib.errors import FileError, OuroborosError
from ouroboros.sw.lib.read import JSON, raw, refuse_foreign
from ouroboros.sw.lib.write import write

__all__ = ["array", "integer", "integers", "read_object", "read_value",
           "shown", "text", "write_object"]

GZIP = b"\x1f\x8b"
INT64 = 1 << 63
Object = dict[str, Any]


def read_value(path: Path, error: type[OuroborosError] = FileError) -> Any:
    """What a JSON file holds, with or without a byte order mark before it.

    Gzip is told by its first bytes, not by the name.
    """
    content = raw(path, error)
    refuse_foreign(path, content, "a JSON file", error, (JSON, "a gzip file"))
    try:
        return json.loads(utf8(gzip.decompress(content) if content[:2] == GZIP else content))
    except (OSError, EOFError, zlib.error) as fault:
        raise error(f"{path}: not a whole gzip file ({fault})") from None
    except (ValueError, RecursionError) as fault:
        raise error(f"{path}: not JSON ({fault})") from None


def read_object(path: Path, error: type[OuroborosError] = FileError) -> Object:
    """The JSON object in a file."""
    found = read_value(path, error)
    if not isinstance(found, dict):
        raise error(f"{path}: must hold one JSON object, not {shown(found)}")
    return found


def write_object(path: Path, found: Object) -> None:
    """Write compact JSON; gzipped, without a time stamp, if the name ends in ``.gz``."""
    raw = (json.dumps(found, separators=(",", ":"), allow_nan=False) + "\n").encode()
    write(path, gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)


def _get(found: Object, key: str, path: Path) -> Any:
    try:
        return found[key]
    except KeyError:
        raise FileError(f"{path}: key {key!r} is missing") from None


def shown(value: Any) -> str:
    """The beginning of a value as the file has it."""
    return json.dumps(value, ensure_ascii=False)[:60]


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -INT64 <= value < INT64:
        raise FileError(f"{what} must be a whole number below 2**63, not {shown(value)}")
    return value


def integer(found: Object, key: str, path: Path, low: int = -INT64, high: int = INT64) -> int:
    """A whole number, ``low`` to ``high``."""
    value = _whole(_get(found, key, path), f"{path}: key {key!r}")
    if not low <= value <= high:
        rule = f"at least {low:,}" if value < low else f"at most {high:,}"
        raise FileError(f"{path}: key {key!r} must be {rule}, not {value:,}")
    return value


def text(found: Object, key: str, path: Path) -> str:
    """A string."""
    value = _get(found, key, path)
    if not isinstance(value, str):
        raise FileError(f"{path}: key {key!r} must be a string, not {shown(value)}")
    return value


def array(found: Object, key: str, path: Path) -> list[Any]:
    """A list of anything."""
    value = _get(found, key, path)
    if not isinstance(value, list):
        raise FileError(f"{path}: key {key!r} must be a list, not {shown(value)}")
    return value


def integers(found: Object, key: str, path: Path, width: int = 1) -> np.ndarray[Any, Any]:
    """A list of whole numbers, or of lists of ``width`` of them: ``(n,)`` or ``(n, width)``."""
    values = array(found, key, path)
    try:
        table = np.array(values)
    except ValueError:
        table = np.empty(0, object)
    shape = (len(values),) if width == 1 else (len(values), width)
    if values and (table.dtype.kind != "i" or table.shape != shape):
        for n, value in enumerate(values):
            row = value if isinstance(value, list) and width > 1 else [value]
            if len(row) != width:
                raise FileError(f"{path}: {key}[{n}] must be {width} whole numbers, "
                                 f"not {shown(value)}")
            for item in row:
                _whole(item, f"{path}: {key}[{n}]")
    return np.array(values, np.int64).reshape(shape)
