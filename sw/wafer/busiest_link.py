"""The busiest link of a model's own placement, for the wafer model."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.block.cores import CoreCount
from ouroboros.sw.lib import json_file
from ouroboros.sw.mapper.tiles import tile_model
from ouroboros.sw.perf.errors import PerfError

__all__ = ["BusiestLink", "read_busiest_link"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BusiestLink:
    """What ``ouroboros map`` or ``ouroboros relieve`` found for the tiles of a model."""

    load_bytes: float
    """Per token, on multicast trees, headers and credits included."""
    instance: str
    """Name of the tiles: model and machine, see ``sw.mapper.tiles.tile_model``."""
    digest: str
    """Of tiles and edges: made with other options, they differ."""
    where: str
    """File, for people."""

    def check(self, count: CoreCount) -> None:
        """Refuse a placement of other tiles than those of ``count``.

        Raises
        ------
        PerfError
            If it is one of another model or machine, or of one tiled otherwise.
        """
        wanted = f"{count.shape.name} on {count.machine.name}"
        if self.instance != wanted:
            raise PerfError(f"{self.where}: key 'instance' must be {wanted!r}, the tiles of the "
                            f"wafer model, not {self.instance!r}")
        digest = tile_model(count).digest
        if self.digest != digest:
            raise PerfError(
                f"{self.where}: key 'digest' must be {digest[:12]}.., that of {wanted} with "
                f"{count.members} members of a KV head, not {self.digest[:12]}..: place these "
                f"tiles by ouroboros map --members {count.members}, or give the --members that "
                "the file was made with")


def read_busiest_link(path: Path) -> BusiestLink:
    """Read what ``ouroboros map --json`` or ``ouroboros relieve --json`` wrote.

    Raises
    ------
    PerfError
        If the file is none of these, or its instance does not say who sends to whom.
    """
    found = json_file.read_value(path, PerfError)
    links = found.get("links", found) if isinstance(found, dict) else None
    if not (isinstance(links, dict) and "busiest_bytes" in links
            and {"instance", "digest"} <= found.keys()):
        raise PerfError(f"{path}: must have the keys 'instance', 'digest' and 'busiest_bytes', as "
                        "ouroboros map and relieve write them")
    load = links["busiest_bytes"]
    if type(load) not in (int, float) or not 0 <= load < float("inf"):
        raise PerfError(f"{path}: key 'busiest_bytes' must be a number of at least 0, not {load!r}")
    return BusiestLink(load_bytes=load, instance=str(found["instance"]),
                       digest=str(found["digest"]), where=str(path))
