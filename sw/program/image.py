"""A placed program read back from its core images: what a performance model has to know of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ouroboros.hw.params.isa import Op, disassemble
from ouroboros.hw.params.machine import Machine, MeshParams
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import (
    CREDIT_ENTRY,
    DEST_ENTRY,
    KV_CONFIG,
    LABEL_ENTRY,
    STAGE_ENTRY,
    Port,
    Unit,
)
from ouroboros.hw.params.position import Position
from ouroboros.sw.noc.routes.xy import neighbour, path
from ouroboros.sw.program.errors import ProgramError
from ouroboros.sw.program.program import NO_WAY, Program, StageInfo, Write

__all__ = ["Delivery", "Instruction", "Link", "Route", "Send", "Stage", "Token", "images",
           "multicast", "packet_flits", "read_stages", "unicast"]

DETOUR = ("predicted programs must have no packets that go around dead cores or links, and some of "
          "this one's do: only XY ways are modelled")
Link = tuple[Position, Port]
"""An output of a router; (core, LOCAL) leads into the core."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a program's time depends on."""

    position: int
    """From 0."""
    flags: int = 0
    """``hw.params.packet.Flag`` bits."""
    sequence: int = 0
    """Whose; with a ring, its number says at which member of a KV head it begins."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a stage program."""

    op: Op
    """What it does."""
    fields: Mapping[str, int]
    """Its operands."""

    def runs(self, flags: int) -> bool:
        """Whether it takes effect for a token with these flags."""
        need = self.fields["need"]
        return not flags & self.fields["skip"] and flags & need == need


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a packet from one core, or the host's port, to one receiver."""

    target: Position
    """The receiver."""
    links: tuple[Link, ...]
    """Router outputs that it passes, the last one the receiver's."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a SEND goes."""

    routes: tuple[Route, ...]
    """One for each receiver."""
    links: frozenset[Link]
    """Every router output in use; a multicast packet passes each once."""
    stage: int
    """Stage number at the receivers."""
    operand: int
    """Operand that its packets count for."""
    counters: int
    """Mask of the credit counters that ``acquire`` takes from."""


@dataclass(frozen=True, slots=True)
class Send:
    """A SEND of a stage with its destination."""

    instruction: Instruction
    """The instruction."""
    delivery: Delivery
    """Its destination-list entry, resolved."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of one core."""

    info: StageInfo
    """Name, place and slots."""
    code: tuple[Instruction, ...]
    """Its program, END included."""
    dests: Mapping[int, Delivery]
    """Destination-list entries that the program uses."""
    owners: tuple[tuple[Position, int], ...]
    """Who is credited at END: core, or the host's port, and its counter for this stage."""
    kv: Mapping[str, int] | None
    """The core's ``KV_CONFIG``."""

    def sends(self, flags: int) -> list[Send]:
        """SENDs that a token with these flags executes."""
        return [Send(i, self.dests[i.fields["dest"]]) for i in self.code
                if i.op is Op.SEND and i.runs(flags)]

    def local_tokens(self, machine: Machine, token: Token) -> int:
        """KV tokens up to ``token`` whose block belongs to this core."""
        if self.kv is None:
            return token.position + 1
        size, mine = machine.block_tokens, self._mine(token)
        rounds, turn = divmod(token.position // size, self.kv["members"])
        tail = size if turn > mine else token.position % size + 1 if turn == mine else 0
        return rounds * size + tail

    def keeps(self, machine: Machine, token: Token) -> bool:
        """Whether K and V of ``token`` are written in this KV core."""
        assert self.kv is not None, "a KV core"
        return token.position // machine.block_tokens % self.kv["members"] == self._mine(token)

    def _mine(self, token: Token) -> int:
        """Which of ``members`` blocks that follow each other is this core's."""
        assert self.kv is not None, "a KV core"
        return (self.kv["member"] - token.sequence * self.kv["ring"]) % self.kv["members"]


def packet_flits(flits: int) -> int:
    """Flits on the network of a vector of ``flits``: one header for each packet."""
    return flits + -(-flits // PAYLOAD_FLITS_MAX)


def read_stages(program: Program) -> list[Stage]:
    """Every stage of ``program``, from what the host writes into its cores.

    Raises
    ------
    ProgramError
        If packets go around dead cores or links.
    """
    tables = {core: _tables(program, core) for core in program.images}
    labels = {core: table.get(Unit.LABEL, {}) for core, table in tables.items()}
    if any(program.way_there(core) != NO_WAY or program.way_back(core) != NO_WAY
           for core in tables):
        raise ProgramError(DETOUR)
    stages = []
    for info in program.stages:
        table = tables[info.core]
        entry = STAGE_ENTRY.unpack(table[Unit.STAGE][info.index])
        code: list[Instruction] = []
        at = entry["program"]
        while not code or code[-1].op is not Op.END:
            code.append(Instruction(*disassemble(table[Unit.PROGRAM][at])))
            at += 1
        used = {i.fields["dest"] for i in code if i.op is Op.SEND}
        owners = [CREDIT_ENTRY.unpack(table[Unit.CREDIT_LIST][entry["credit_first"] + n])
                  for n in range(entry["credit_count"])]
        _check_xy(table[Unit.DEST][n] for n in used)
        if any(owner["way_x"] or owner["way_y"] or owner["table"] for owner in owners):
            raise ProgramError(DETOUR)
        stages.append(Stage(
            info=info, code=tuple(code),
            dests={n: _delivery(program.machine.mesh, labels, info.core, table[Unit.DEST][n])
                   for n in used},
            owners=tuple(((owner["x"], owner["y"]), owner["counter"]) for owner in owners),
            kv=KV_CONFIG.unpack(table[Unit.KV][0]) if Unit.KV in table else None))
    return stages


def images(program: Program) -> dict[Position, list[Write]]:
    """What loading through the mesh writes into each core, in its order.

    Raises
    ------
    ProgramError
        If packets go around dead cores or links.
    """
    if program.detours is not None:
        raise ProgramError("program must be loaded through the mesh where packets go around dead "
                           "cores or links: routers have to be told of them first")
    return {core: image.writes for core, image in program.images.items()}


def _check_xy(entries: Iterable[int]) -> None:
    for entry in map(DEST_ENTRY.unpack, entries):
        if entry["way_x"] or entry["way_y"] or entry["vc"]:
            raise ProgramError(DETOUR)


def _tables(program: Program, core: Position) -> dict[int, dict[int, int]]:
    tables: dict[int, dict[int, int]] = {}
    for write in program.images[core].writes:
        if write.unit < Unit.WEIGHT:
            tables.setdefault(write.unit, {}).update(enumerate(write.values, write.address))
    return tables


def _delivery(mesh: MeshParams, labels: Mapping[Position, Mapping[int, int]],
              source: Position, word: int) -> Delivery:
    entry = DEST_ENTRY.unpack(word)
    if entry["label"]:
        routes = multicast(labels, source, entry["label"])
    else:
        routes = [unicast(mesh, source, (entry["x"], entry["y"]))]
    return Delivery(routes=tuple(routes),
                    links=frozenset(link for route in routes for link in route.links),
                    stage=entry["stage"], operand=entry["operand"], counters=entry["credits"])


def unicast(mesh: MeshParams, source: Position, target: Position) -> Route:
    """The XY route between two cores or edge ports."""
    return Route(target, tuple(path(source, target, mesh)))


def multicast(labels: Mapping[Position, Mapping[int, int]], source: Position,
              label: int) -> list[Route]:
    """Routes of a label's tree."""
    routes: list[Route] = []
    open_: list[Route] = [Route(source, ())]
    while open_:
        way = open_.pop()
        at = way.target
        mask = LABEL_ENTRY.unpack(labels[at][label])["ports"]
        for port in Port:
            if not mask >> port & 1:
                continue
            next_ = Route(at if port is Port.LOCAL else neighbour(at, port),
                          (*way.links, (at, port)))
            (routes if port is Port.LOCAL else open_).append(next_)
    return routes
