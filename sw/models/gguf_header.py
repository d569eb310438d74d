"""The header of a GGUF file: what it says of a model, and where its tensors lie.

Every count and length is held against the size of the file before anything is read or made room
for: the reader of the library ``gguf`` trusts them, and makes several objects for each of a
vocabulary's strings.

Ref: ggml, docs/gguf.md, versions 2 and 3.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.read import refuse_foreign
from ouroboros.sw.models.decoder_shape import CheckpointError, positive

__all__ = ["ANNOUNCED", "Header", "Tensor", "read"]

ANNOUNCED = "a GGUF model"
"""What ``sw.lib.read.foreign`` calls the format."""
_VERSIONS = (2, 3)
_DIMENSIONS_MAX = 4
_NAME_MAX = 64
_SCALARS = dict(enumerate("BbHhIif?"))  | {10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_NESTED_MAX = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """Where a tensor lies."""

    name: str
    """As the file has it."""
    shape: tuple[int, ...]
    """Slowest dimension first, as numpy counts; the file has the fastest first."""
    kind: int
    """Number of its ggml type."""
    start: int
    """Offset of its first byte in the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """All of a GGUF file but the contents of its tensors."""

    path: Path
    """The file."""
    values: dict[str, Any]
    """Metadata by key: numbers, strings, lists."""
    tensors: dict[str, Tensor]
    """By name."""
    size: int
    """Bytes of the file."""

    def get(self, key: str, kind: type[Any], default: Any = None) -> Any:
        """A value of a type, or a default; None as the default: the key must be there.

        Raises
        ------
        CheckpointError
            If it is absent or of another type; the message names file and key.
        """
        value = self.values.get(key, default)
        if value is None:
            raise CheckpointError(f"{self.path}: key {key} must be present")
        if type(value) is not kind:
            raise CheckpointError(f"{self.path}: {key} must be of type {kind.__name__}, "
                                  f"not {str(value)[:40]!r}")
        return value

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number, at least 1, as ``get``."""
        value: int = self.get(key, int, default)
        if not 1 <= value < 2**31:
            raise CheckpointError(f"{self.path}: {key} must be between 1 and {2**31 - 1}, "
                                  f"not {value}")
        return value

    def positive(self, key: str, default: float | None = None) -> float:
        """A positive number, as ``get``."""
        value: float = self.get(key, float, default)
        if not positive(value):
            raise CheckpointError(f"{self.path}: {key} must be a positive number, not {value!r}")
        return value

    def strings(self, key: str) -> list[str]:
        """A list of strings, as ``get``."""
        return self._list(key, (str,), "strings")

    def numbers(self, key: str) -> list[float]:
        """A list of numbers, as ``get``."""
        return self._list(key, (int, float), "numbers")

    def _list(self, key: str, kinds: tuple[type[Any], ...], what: str) -> list[Any]:
        found: list[Any] = self.get(key, list)
        if not all(type(one) in kinds for one in found):
            raise CheckpointError(f"{self.path}: {key} must be a list of {what}")
        return found


def read(path: Path) -> Header:
    """Read the header of a file.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, corrupt, of another format or of another version.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
            refuse_foreign(path, head, ANNOUNCED, CheckpointError, (ANNOUNCED,))
            if head[:4] != b"GGUF":
                raise CheckpointError(f"{path}: must be {ANNOUNCED}, which begins with GGUF, "
                                      f"not {head[:4]!r}")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Cursor(path, content).header()
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read: {fault.strerror}") from fault


class _Cursor:
    """A place in the file, which moves on with all that is read."""

    def __init__(self, path: Path, content: mmap.mmap):
        self.path, self.content, self.at = path, content, 4

    def header(self) -> Header:
        version = self.number("I", "version")
        if version not in _VERSIONS:
            swapped = version.to_bytes(4, "little") in (n.to_bytes(4, "big") for n in _VERSIONS)
            raise CheckpointError(f"{self.path}: GGUF version must be 2 or 3, not "
                                  f"{'a file of a big-endian machine' if swapped else version}")
        tensors = self.count("number of tensors", 24)
        values: dict[str, Any] = {}
        for n in range(self.count("number of keys", 13)):
            key = self.string(f"key {n}")
            if key in values:
                raise self.corrupt(f"key {key} must be there once")
            values[key] = self.value(key, self.number("I", f"type of {key}"))
        found = [self.tensor(n) for n in range(tensors)]
        align = values.get("general.alignment", 32)
        if type(align) is not int or align < 1 or align & (align - 1):
            raise self.corrupt(f"general.alignment must be a power of two, not {align!r}")
        start = -(-self.at // align) * align
        by_name: dict[str, Tensor] = {}
        for name, shape, kind, offset in found:
            if name in by_name:
                raise self.corrupt(f"tensor {name} must be there once")
            by_name[name] = Tensor(name=name, shape=shape, kind=kind, start=start + offset)
        return Header(path=self.path, values=values, tensors=by_name, size=len(self.content))

    def take(self, size: int, what: str) -> bytes:
        if size > len(self.content) - self.at:
            raise CheckpointError(f"{self.path}: truncated or corrupt: {what} needs {size:,} bytes "
                                  f"at {self.at:,}, but the file ends at {len(self.content):,}")
        self.at += size
        return self.content[self.at - size:self.at]

    def number(self, form: str, what: str) -> Any:
        (value,) = struct.unpack("<" + form, self.take(struct.calcsize("<" + form), what))
        return value

    def count(self, what: str, least_bytes: int) -> int:
        """Of things that take so many bytes at least: no more than the file has room for."""
        count: int = self.number("Q", what)
        if count * least_bytes > len(self.content) - self.at:
            raise CheckpointError(f"{self.path}: truncated or corrupt: {what} is {count:,}, for "
                                  f"which the rest of the file, {len(self.content) - self.at:,} "
                                  "bytes, has no room")
        return count

    def string(self, what: str) -> str:
        raw = self.take(self.count(f"length of {what}", 1), what)
        # Pieces of some vocabularies are no text; their bytes come back by the same rule.
        return raw.decode("utf-8", errors="surrogateescape")

    def value(self, key: str, kind: int, nested: int = 0) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind], key)
        if kind == _STRING:
            return self.string(key)
        if kind != _ARRAY or nested == _NESTED_MAX:
            raise self.corrupt(f"{key} must be of a type from 0 to 12, not {kind}")
        inner = self.number("I", f"type of the elements of {key}")
        if inner in _SCALARS:
            form = _SCALARS[inner]
            size = struct.calcsize("<" + form)
            count = self.count(f"length of {key}", size)
            return list(struct.unpack(f"<{count}{form}", self.take(count * size, key)))
        count = self.count(f"length of {key}", 8)
        return [self.value(key, inner, nested + 1) for _ in range(count)]

    def tensor(self, n: int) -> tuple[str, tuple[int, ...], int, int]:
        name = self.string(f"name of tensor {n}")
        dimensions = self.number("I", f"dimensions of tensor {name}")
        if not 1 <= dimensions <= _DIMENSIONS_MAX:
            raise self.corrupt(f"tensor {name} must have 1 to {_DIMENSIONS_MAX} dimensions, "
                               f"not {dimensions}")
        shape = tuple(self.number("Q", f"shape of tensor {name}") for _ in range(dimensions))
        kind = self.number("I", f"type of tensor {name}")
        return name, shape[::-1], kind, self.number("Q", f"offset of tensor {name}")

    def corrupt(self, fault: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: corrupt: {fault}")
