"""JSON files, plain or gzipped, read with errors that name file and key."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ouroboros.sw.lib.errors import FileError
from ouroboros.sw.lib.write import write

__all__ = ["array", "integer", "integers", "read_object", "text", "write_object"]

GZIP = b"\x1f\x8b"
INT64 = 1 << 63
Object = dict[str, Any]


def read_object(path: Path) -> Object:
    """The JSON object in a file; gzip is told by its first bytes, not by the name."""
    raw = path.read_bytes()
    try:
        found = json.loads(gzip.decompress(raw) if raw[:2] == GZIP else raw)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path}: not a whole gzip file ({error})") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: not JSON ({error})") from None
    if not isinstance(found, dict):
        raise FileError(f"{path}: must hold one JSON object, not a {type(found).__name__}")
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


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -INT64 <= value < INT64:
        raise FileError(f"{what} must be a whole number below 2**63, not {value!r:.60}")
    return value


def integer(found: Object, key: str, path: Path) -> int:
    """A whole number."""
    return _whole(_get(found, key, path), f"{path}: key {key!r}")


def text(found: Object, key: str, path: Path) -> str:
    """A string."""
    value = _get(found, key, path)
    if not isinstance(value, str):
        raise FileError(f"{path}: key {key!r} must be a string, not {value!r:.60}")
    return value


def array(found: Object, key: str, path: Path) -> list[Any]:
    """A list of anything."""
    value = _get(found, key, path)
    if not isinstance(value, list):
        raise FileError(f"{path}: key {key!r} must be a list, not {value!r:.60}")
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
                                 f"not {value!r:.60}")
            for item in row:
                _whole(item, f"{path}: {key}[{n}]")
    return np.array(values, np.int64).reshape(shape)
