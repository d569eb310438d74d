"""The busiest link of a model's own placement, for the wafer model."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hw.params.machine import Machine
from sw.perf.assumptions import Assumption
from sw.perf.errors import PerfError
from sw.shapes.shape import ModelShape

__all__ = ["BusiestLink", "read_busiest_link"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BusiestLink:
    """What ``ouroboros map --model`` found."""

    flits: float
    """Flits per token on multicast trees, headers and credits included."""
    machine: str
    """Name of the machine."""
    model: str
    """Name of the shape."""
    where: str
    """File, for people."""

    def check(self, machine: Machine, shape: ModelShape) -> None:
        """Refuse the placement of another model or machine.

        Raises
        ------
        PerfError
            If it is one.
        """
        for what, have, want in (("machine", self.machine, machine.name),
                                 ("model", self.model, shape.name)):
            if have != want:
                raise PerfError(f"{self.where}: {what} must be {want!r}, as for the wafer model, "
                                f"not {have!r}")

    def replace(self, default: Assumption) -> Assumption:
        """The assumption with this figure and its source; the default stays beside it."""
        return replace(
            default, value=self.flits,
            source=f"ouroboros map --model {self.model} --machine {self.machine}, {self.where}; "
                   f"not scaled; default {default.value:g} {default.unit}: {default.source}")


def read_busiest_link(path: Path) -> BusiestLink:
    """Read what ``ouroboros map --model .. --json`` wrote.

    Raises
    ------
    PerfError
        If the file is none of these.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PerfError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PerfError(f"{path}: must be the JSON file of ouroboros map --model ({error})"
                        ) from None
    try:
        tiling = found["tiling"]
        flits, machine, model = found["busiest_link_flits"], tiling["machine"], tiling["model"]
    except (KeyError, TypeError):
        raise PerfError(f"{path}: must have the keys 'busiest_link_flits' and 'tiling' (with "
                        "'machine' and 'model'), as ouroboros map --model --json writes them"
                        ) from None
    if type(flits) not in (int, float) or not 0 <= flits < float("inf"):
        raise PerfError(f"{path}: key 'busiest_link_flits' must be a number of at least 0, "
                        f"not {flits!r}")
    return BusiestLink(flits=flits, machine=str(machine), model=str(model), where=str(path))
