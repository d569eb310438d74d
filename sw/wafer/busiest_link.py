"""The busiest link of a model's own placement, for the wafer model."""

from dataclasses import dataclass, replace
from pathlib import Path

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.lib import json_file
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.assumptions import Assumption

__all__ = ["BusiestLink", "read_busiest_link"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BusiestLink:
    """What ``ouroboros map`` or ``ouroboros relieve`` found for the tiles of a model."""

    load_bytes: float
    """Per token, on multicast trees, headers and credits included."""
    instance: str
    """Name of the tiles: model and machine, see ``sw.tiling.model.tile_model``."""
    where: str
    """File, for people."""

    def assumption(self, default: Assumption, machine: Machine, shape: ModelShape) -> Assumption:
        """The assumption with this figure and its source; the default stays beside it.

        Raises
        ------
        PerfError
            If the placement is one of another model or machine.
        """
        wanted = f"{shape.name} on {machine.name}"
        if self.instance != wanted:
            raise PerfError(f"{self.where}: key 'instance' must be {wanted!r}, the tiles of the "
                            f"wafer model, not {self.instance!r}")
        return replace(
            default, value=self.load_bytes / (machine.noc.flit_bits // 8),
            source=f"{self.where}, the model's own placement, not scaled; default "
                   f"{default.value:g} {default.unit}: {default.source}")


def read_busiest_link(path: Path) -> BusiestLink:
    """Read what ``ouroboros map --json`` or ``ouroboros relieve --json`` wrote.

    Raises
    ------
    PerfError
        If the file is none of these, or its instance does not say who sends to whom.
    """
    found = json_file.read_value(path, PerfError)
    links = found.get("links", found) if isinstance(found, dict) else None
    if not isinstance(links, dict) or "busiest_bytes" not in links or "instance" not in found:
        raise PerfError(f"{path}: must have the keys 'instance' and 'busiest_bytes', as ouroboros "
                        "map and relieve write them")
    load = links["busiest_bytes"]
    if type(load) not in (int, float) or not 0 <= load < float("inf"):
        raise PerfError(f"{path}: key 'busiest_bytes' must be a number of at least 0, not {load!r}")
    return BusiestLink(load_bytes=load, instance=str(found["instance"]), where=str(path))
