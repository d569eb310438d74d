"""Results on disk, one file a point, named by its digest: what is there is not computed again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.errors import FileError
from ouroboros.sw.lib.write import json_text, write
from ouroboros.sw.sweep.point import Point, point_digest

__all__ = ["SCHEMA", "Store"]

SCHEMA = "ouroboros-point-1"


class Store:
    """A folder of results.

    Parameters
    ----------
    folder : Path
        Made if it is not there.

    Raises
    ------
    FileError
        If it cannot be made.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{folder}: {error.strerror or error}") from error

    def path(self, kind: str, point: Point) -> Path:
        """File of a point."""
        return self.folder / f"{point_digest(kind, point)}.json"

    def get(self, kind: str, point: Point) -> dict[str, Any] | None:
        """What was found for a point; None: nothing yet.

        A file that is not whole (it was copied so: this project writes a file whole or not at all)
        counts as nothing.
        """
        try:
            held = json.loads(self.path(kind, point).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(held, dict) or held.get("schema") != SCHEMA or "found" not in held:
            return None
        return dict(held["found"])

    def put(self, kind: str, point: Point, found: Mapping[str, Any]) -> None:
        """Keep what was found.

        Raises
        ------
        FileError
            If the system refuses, as a full disk does; what was kept before stays.
        """
        write(self.path(kind, point), json_text(
            {"kind": kind, "point": dict(point), "found": dict(found)}, SCHEMA))
