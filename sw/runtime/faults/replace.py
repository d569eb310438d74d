"""Where a program goes on when cores are lost, and what has to be written for it."""

from collections.abc import Iterable, Iterator

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.program.program import Program, Write
from ouroboros.sw.runtime.faults.probe import Found

__all__ = ["Contents", "moved", "remap"]

REGISTERS = (Unit.STAGE, Unit.CREDIT, Unit.ROUTER)
"""Units that a reset empties, or whose entries have changed since they were written; others are
memories."""


def remap(program: Program, model: QuantModel, found: Found) -> Program:
    """The program on what is left of its machine: every core that is alive stays what it was.

    What a lost core did is done by the free core that is nearest to it. If there is none, all is
    laid out anew, with fewer KV cores.

    Raises
    ------
    BlockError, MapperError, NocError
        If too little is left.
    """
    routes = Routes(found.faults)
    name = program.placement.partition(" ")[0]
    live = [core for core in program.machine.mesh.coordinates
            if core in found.alive and routes.live.live[_number(program.machine, core)]]
    try:
        cores: list[Position] | None = moved([role.core for role in program.roles], live)
    except BlockError:
        cores = None
    return map_model(program.machine, model, placement=name, cores=cores, context=program.context,
                     routes=routes, deaf=found.deaf)


def moved(cores: list[Position], live: Iterable[Position]) -> list[Position]:
    """Cores of a layout, those that are lost replaced by the nearest free ones.

    One step each, not a chain of small ones: every step is a core that the host has to load.

    Raises
    ------
    BlockError
        If too few are free.
    """
    standing = set(live)
    free = sorted(standing.difference(cores))
    found = list(cores)
    for n, core in enumerate(cores):
        if core in standing:
            continue
        if not free:
            raise BlockError(f"core {core} cannot be replaced: no core is free")
        found[n] = min(free, key=lambda to, at=core: (  # type: ignore[misc]
            abs(to[0] - at[0]) + abs(to[1] - at[1]), to))
        free.remove(found[n])
    return found


class Contents:
    """What the memories of a machine's cores hold, as far as the host knows.

    Parameters
    ----------
    program : Program, optional
        What has been loaded; nothing without.
    """

    def __init__(self, program: Program | None = None):
        self._held: dict[Position, dict[tuple[int, int], tuple[int, ...]]] = {}
        self._roles: dict[Position, tuple[str, ...]] = {}
        if program is not None:
            for core in program.images:
                self.written(program, core)

    def missing(self, program: Program, core: Position) -> list[Write]:
        """What must be written into a core after a reset, so that it does its part."""
        held = self._held.get(core, {})
        # KV of another part of the model is worth nothing, however it lies.
        other = self._roles.get(core) != _stages(program, core)
        return [write for write in program.images[core].writes
                if write.unit in REGISTERS or (other and write.unit == Unit.KV)
                or held.get((write.unit, write.address)) != write.values]

    def sent(self, core: Position, writes: Iterable[Write]) -> None:
        """These are on their way: until a core has taken them nobody knows what it holds."""
        for write in writes:
            self._held.get(core, {}).pop((write.unit, write.address), None)

    def written(self, program: Program, core: Position) -> None:
        """A core has taken all that it must hold."""
        held = self._held.setdefault(core, {})
        for write in program.images[core].writes:
            held[write.unit, write.address] = write.values
        self._roles[core] = _stages(program, core)

    def forget_kv(self) -> None:
        """Every core's KV is to be emptied."""
        for held in self._held.values():
            held.pop((Unit.KV, 0), None)

    def keeps_kv(self, program: Program, core: Position) -> bool:
        """Whether a core's KV survives its part of ``program``."""
        return all(write.unit != Unit.KV for write in self.missing(program, core))


def lost_turns(program: Program, lost: Iterable[Position]) -> Iterator[tuple[int, int, int]]:
    """(members, member, ring) of each KV core that holds nothing."""
    for core in lost:
        for write in program.images[core].writes:
            if write.unit == Unit.KV:
                config = KV_CONFIG.unpack(write.values[0])
                yield config["members"], config["member"], config["ring"]


def _stages(program: Program, core: Position) -> tuple[str, ...]:
    return tuple(stage.name for stage in program.stages if stage.core == core)


def _number(machine: Machine, core: Position) -> int:
    return core[0] - 1 + machine.mesh.width * (core[1] - 1)
