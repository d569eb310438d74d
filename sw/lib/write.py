"""Files that commands write: whole or not at all, and never over what another program wrote."""

import gzip
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.errors import FileError

__all__ = ["check_folder", "check_output", "check_outputs", "json_text", "replaced", "write"]

HEAD_BYTES = 4096
"""The mark of what wrote a file lies in these."""
_GZIP = b"\x1f\x8b"


def check_output(path: Path, mark: str) -> None:
    """Refuse, before the work, a file that cannot be written or that is not ours to replace.

    A file may be replaced if it is empty, no regular file (a pipe, a terminal), or holds the mark
    that whoever writes it puts into its first ``HEAD_BYTES``, gzipped or not.

    Raises
    ------
    FileError
        If the folder is missing, or the file is someone else's; the message names it.
    """
    if not path.parent.is_dir():
        raise FileError(f"{path}: folder {str(path.parent)!r} must exist")
    if path.is_file() and path.stat().st_size and mark.encode() not in _head(path):
        raise FileError(f"{path}: must be a new file, or one that this command wrote before "
                        f"({mark}): remove it or name another")


def check_outputs(outputs: Mapping[str, Path], inputs: Iterable[Path] = ()) -> None:
    """Refuse, before the work, outputs that are inputs or each other.

    Parameters
    ----------
    outputs : Mapping[str, Path]
        Files to be written, by what they are in the user's words, such as ``--json``.
    inputs : Iterable[Path]
        What is read; files that do not exist are left out.

    Raises
    ------
    FileError
        Names the file and its roles.
    """
    read = [path for path in inputs if path.exists()]
    for what, path in outputs.items():
        if any(_same(path, other) for other in read):
            raise FileError(f"{path}: must be another file than is read, for {what} replaces it")
    for (what, path), (other_what, other) in combinations(outputs.items(), 2):
        if _same(path, other):
            raise FileError(f"{path}: must not be both {what} and {other_what}")


def check_folder(folder: Path, marks: Mapping[str, str], others: Mapping[str, Path | None],
                 ) -> None:
    """Make a folder, and refuse, before the work, files in it that are not ours to replace.

    Parameters
    ----------
    marks : Mapping[str, str]
        Mark of each file, by its name in the folder.
    others : Mapping[str, Path | None]
        Other outputs, as in ``check_outputs``.

    Raises
    ------
    FileError
        If one is someone else's, or one of the others; the message names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}") from error
    for name, mark in marks.items():
        check_output(folder / name, mark)
    check_outputs({**{f"{name} of {folder}": folder / name for name in marks},
                   **{what: path for what, path in others.items() if path is not None}})


def json_text(results: Mapping[str, Any], schema: str) -> str:
    """Results as JSON text that begins with the key ``schema``, their mark.

    Raises
    ------
    FileError
        If a number is infinite or none, which JSON has no word for; the message names the key.
    """
    try:
        return json.dumps({"schema": schema, **results}, indent=2, allow_nan=False,
                          default=_plain) + "\n"
    except ValueError:
        raise FileError(f"results must have finite numbers or null, but {schema} has "
                        f"{_undefined(results)}") from None


def write(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all.

    Raises
    ------
    FileError
        If the system refuses; the message names the file.
    """
    with replaced(path) as aside:
        aside.write_bytes(content if isinstance(content, bytes) else content.encode())


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to be filled beside ``path``, which takes its name once it is whole.

    What is no regular file is filled itself, and so is a file in a folder that takes no other.

    Raises
    ------
    FileError
        If the system refuses; the message names the file.
    """
    # The link of a pipe (/dev/stdout) leads to no path.
    target = path.resolve() if path.is_file() or not path.exists() else path
    direct = (path.exists() and not path.is_file()) or not os.access(target.parent, os.W_OK)
    aside = target if direct else target.with_name(f".ouroboros-{os.getpid()}{target.suffix}")
    try:
        yield aside
        if not direct:
            aside.replace(target)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    finally:
        if not direct:
            aside.unlink(missing_ok=True)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if file.read(len(_GZIP)) != _GZIP:
                file.seek(0)
                return file.read(HEAD_BYTES)
        with gzip.open(path) as packed:
            return packed.read(HEAD_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def _same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        # Two outputs may go to one pipe or terminal, one after the other.
        return path.is_file() and path.samefile(other)
    return path.resolve() == other.resolve()


def _plain(value: Any) -> Any:
    """The number that a number of numpy's is."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"results must hold numbers, text, lists and objects, not {value!r}")


def _undefined(value: Any, key: str = "") -> str | None:
    """Key and value of the first number that is not finite."""
    if isinstance(value, Mapping):
        parts = [(f"{key}.{name}" if key else str(name), part) for name, part in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(f"{key}[{n}]", part) for n, part in enumerate(value)]
    else:
        number = value.item() if hasattr(value, "item") else value
        return f"{key} = {number}" if isinstance(number, float) and not math.isfinite(number) \
            else None
    return next(filter(None, (_undefined(part, name) for name, part in parts)), None)
