"""The folder that ``ouroboros emit`` fills: whose it is, and its files."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ouroboros.sw.lib.errors import FileError
from ouroboros.sw.lib.write import check_outputs, write

__all__ = ["MANIFEST", "SCHEMA", "check_ours", "fill", "sha256"]

MANIFEST = "manifest.json"
SCHEMA = "ouroboros-emit-2"


def sha256(text: str) -> str:
    """Digest of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_ours(folder: Path, others: Mapping[str, Path | None]) -> None:
    """Make the folder; refuse, before the work, one that holds files of somebody else.

    Parameters
    ----------
    others : Mapping[str, Path | None]
        Other files that are written, by option.

    Raises
    ------
    FileError
        Names the folder and the first file in it that no ``MANIFEST`` of this command lists.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = sorted({str(path.relative_to(folder)) for path in folder.rglob("*")
                          if not path.is_dir()} - _written(folder))
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}") from error
    if strange:
        raise FileError(f"{folder}: must be a new or empty folder, or one with nothing but what "
                        f"this command wrote before, but it holds {strange[0]!r}: remove that, or "
                        "name another folder with --out")
    check_outputs({f"{MANIFEST} of {folder}": folder / MANIFEST,
                   **{what: path for what, path in others.items() if path is not None}})
    for what, path in others.items():
        if path is not None and path.resolve().is_relative_to(folder.resolve()):
            raise FileError(f"{path}: {what} must be outside {folder}, which is replaced as a "
                            "whole")


def _written(folder: Path) -> set[str]:
    """Names that the manifest in a folder lists, itself included."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    if not isinstance(found, dict) or found.get("schema") != SCHEMA \
            or not isinstance(found.get("files"), dict):
        return set()
    return {MANIFEST, *found["files"]}


def fill(folder: Path, files: Mapping[str, str], manifest: str) -> None:
    """Write the files and the manifest that lists them; what an earlier one listed goes."""
    for name in _written(folder) - {MANIFEST, *files}:
        (folder / name).unlink(missing_ok=True)
    # First, so that the folder is ours if the user stops this.
    write(folder / MANIFEST, manifest)
    for name, text in files.items():
        write(folder / name, text)
