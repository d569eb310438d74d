"""A placed program: what the host writes into a machine, and how it talks to it afterwards."""

from dataclasses import dataclass, field

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.params.position import Position

__all__ = ["NO_WAY", "CoreImage", "Detours", "EmbedTarget", "PoolStage", "Program", "Role",
           "StageInfo", "Way", "Write"]

NO_WAY = (0, 0)
"""No waypoint: XY."""


@dataclass(frozen=True, slots=True)
class Write:
    """Consecutive configuration entries of one unit."""

    unit: int
    """``hw.params.packet.Unit``; weights of macro m are unit ``WEIGHT + m``."""
    address: int
    """Entry that the first value goes to."""
    values: tuple[int, ...]
    """Entries as unsigned integers."""


@dataclass(frozen=True, slots=True)
class Way:
    """How unicast packets get from one place to another; the default is XY."""

    at: tuple[int, int] = NO_WAY
    """Header fields ``way_x``, ``way_y``: a waypoint, (0, 0), or a ``TABLE_ADDRESS``."""
    table: bool = False
    """By the routers' tables, on channels of class 2."""


@dataclass(frozen=True, slots=True)
class Detours:
    """What the host must know of a network with dead parts."""

    there: dict[Position, tuple[int, int]]
    """Waypoint from the host's port, (0, 0) for none, to every live core that it can exchange
    packets with. The host needs no tables: it is who loads them."""
    back: dict[Position, tuple[int, int]]
    """From these cores to the host's port."""
    writes: tuple[tuple[Position, Write], ...]
    """Dead ports and tables of routers, written before anything else."""


@dataclass(frozen=True, slots=True)
class StageInfo:
    """One stage of one core, for reports and counters."""

    name: str
    """For example ``l0.qkv``; slices and members carry a number: ``l0.kv.2``."""
    kind: str
    """embed, qkv, kv, proj, up, down or lm."""
    layer: int
    """Transformer block, from 0; -1 for embed and lm."""
    core: Position
    """Where it runs."""
    index: int
    """Number of the stage in its core."""
    slots: int
    """Tokens it can hold."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a core does, for the mesh map."""

    core: Position
    """Where."""
    stages: tuple[str, ...]
    """Names of its stages."""
    macros_used: int
    """Macros that hold weights or KV blocks."""


@dataclass(slots=True)
class CoreImage:
    """Everything the host writes into one core before the run."""

    writes: list[Write] = field(default_factory=list)
    """In any order; the machine is drained."""


@dataclass(frozen=True, slots=True)
class PoolStage:
    """A KV group's member in a pool of computing memory, which the host tells directly."""

    info: StageInfo
    """Its name, edge port, number there, and slots."""
    image: CoreImage
    """What a core with this stage would be written."""
    rank: PimParams
    """Of the pool."""


@dataclass(frozen=True, slots=True)
class EmbedTarget:
    """A residual slice of the first block: where the host injects an embedding row."""

    core: Position
    """Destination."""
    stage: int
    """Stage number there."""
    first: int
    """First channel of the slice."""
    channels: int
    """Channels of the slice."""
    rope_offset: int
    """Flit offset of the position's RoPE row in the slot, or -1 if this slice does not carry it."""
    counter: int
    """The host's credit counter for this stage."""
    slots: int
    """Tokens the host may have under way to it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A model placed on a machine."""

    machine: Machine
    """The machine it is placed on."""
    placement: str
    """Name of the placement."""
    context: int
    """Positions that a sequence may have."""
    sequences: int
    """Sequences that may be alive at once (page-table rows)."""
    vocab_size: int
    """Logits of one token."""
    dim: int
    """Channels of the residual."""
    images: dict[Position, CoreImage]
    """Configuration by core."""
    embed: tuple[EmbedTarget, ...]
    """Where tokens go in."""
    logit_slices: tuple[tuple[Position, int, int], ...]
    """(core, first token id, count) of every core that streams logits."""
    result_core: Position
    """The core that sends (value, id) for every token."""
    stages: tuple[StageInfo, ...]
    """Every stage."""
    roles: tuple[Role, ...]
    """Every core in use."""
    kv_blocks: int
    """Blocks of all sequences that a KV core can hold; one is K and V of every head in the core."""
    kv_sequence_blocks: int
    """The same for a sequence that is alone; fewer where its heads have to share column slots."""
    kv_members: int
    """KV cores that share a head: block j of a sequence lies in member j % kv_members."""
    detours: Detours | None = None
    """Ways of the host's packets around dead parts; None: nothing is dead, all go XY."""
    pools: tuple[PoolStage, ...] = ()
    """Members of KV groups at edge ports; they stand in no other part of the program."""

    @property
    def reachable(self) -> list[Position]:
        """Cores, idle ones included, that the host can write to and read from."""
        return self.machine.mesh.coordinates if self.detours is None else [*self.detours.there]

    def way_there(self, core: Position) -> tuple[int, int]:
        """Waypoint of the host's packets to a core, (0, 0) for none."""
        return NO_WAY if self.detours is None else self.detours.there[core]

    def way_back(self, core: Position) -> tuple[int, int]:
        """Waypoint of a core's replies to the host."""
        return NO_WAY if self.detours is None else self.detours.back[core]
