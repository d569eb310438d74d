"""A model cut into tiles for a machine: options in, tiles and what they send out."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.api.shared import OnWafer, WithDead, WithMembers, WithShape
from ouroboros.sw.block.cores import SPARES_PER_DIE, CoreCount, count_cores
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.ports import PortLoad, port_loads
from ouroboros.sw.mapper.tiles import tile_model
from ouroboros.sw.models.shape import ModelShape, load_shape
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import SCHEMA, Instance, write_instance

__all__ = ["TileOptions", "Tiled", "cut", "tile_shape"]


@dataclass(frozen=True, kw_only=True)
class TileOptions(WithDead, WithMembers, WithShape, OnWafer):
    """A model, a machine, and cores that hold nothing."""

    spares_per_die: int = option(SPARES_PER_DIE, metavar="N")
    """Cores of each die that hold nothing."""
    out: Path | None = option(None, written=True, mark=SCHEMA)
    """Write the instance for ouroboros map --instance, .json or .json.gz."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tiled:
    """Tiles of a model, counted."""

    count: CoreCount
    """Cores by what they hold, beside the crossbar minimum."""
    instance: Instance
    """Tiles, and what they send."""
    ports: tuple[PortLoad, ...]
    """Flits of the busiest core of each kind."""

    @property
    def injected_bytes(self) -> int:
        """Bytes per token that cores send, a multicast once."""
        return sum(net.volume_bytes for net in self.instance.nets)

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        machine, shape, instance = self.count.machine, self.count.shape, self.instance
        return {
            "machine": machine.name, "model": shape.name, "model_source": shape.source,
            **self.count.as_dict(), "ports": [asdict(load) for load in self.ports],
            "tiles": instance.tiles, "edges": len(instance.edges), "nets": len(instance.nets),
            "bytes_per_token": instance.volume, "injected_bytes_per_token": self.injected_bytes}


def cut(machine: Machine, shape: ModelShape, *, members: int | None, dead: tuple[int, ...],
        spares_per_die: int) -> Tiled:
    """Cut a model into tiles.

    Raises
    ------
    OuroborosError
        If it does not fit; the message says how many such machines it takes.
    """
    count = count_cores(machine, shape, members=members, dead=len(dead),
                        spares_per_die=spares_per_die)
    instance = tile_model(count, defects=dead)
    return Tiled(count=count, instance=instance, ports=tuple(port_loads(
        instance.tile_names, instance.nets, machine.noc.flit_bits // 8)))


def tile_shape(options: TileOptions) -> Tiled:
    """Cut the model that options name, and write the instance if wanted.

    Raises
    ------
    OuroborosError
        If a file is wrong, or the model does not fit.
    """
    machine = load_machine(options.machine)
    found = cut(machine, load_shape(options.model), members=options.members,
                dead=dead_cores(options.dead, machine.mesh),
                spares_per_die=options.spares_per_die)
    if options.out is not None:
        write_instance(found.instance, options.out)
    return found
