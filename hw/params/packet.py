"""Packets on the mesh: one header flit, then up to eight payload flits.

The first 64 bits of a header are what a router reads; the last 64 depend on the kind. Cores have
x, y from 1; an edge port lies at 0 or just past the last core.
"""

from enum import IntEnum, IntFlag

from ouroboros.hw.params.format import Field, Format
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.widths import (
    COORDINATE_BITS,
    CREDIT_BITS,
    DIE_BITS,
    DIE_CORE_BITS,
    ENTRY_BITS,
    FLAG_BITS,
    KIND_BITS,
    LABEL_BITS,
    LENGTH_BITS,
    MEMBER_BITS,
    OFFSET_BITS,
    OPERAND_BITS,
    POSITION_BITS,
    SEQUENCE_BITS,
    STAGE_BITS,
    UNIT_BITS,
    VC_BITS,
    WORD_ADDRESS_BITS,
)


class Kind(IntEnum):
    """What a packet carries."""

    DATA = 0
    """Operand of a token: payload goes to the token's slot in the destination's buffer."""
    CREDIT = 1
    """Returns one token credit; no payload."""
    WRITE = 2
    """Configuration: payload flits are written to consecutive entries of a unit."""
    READ = 3
    """Asks for entries of a unit; no payload; answered by REPLY packets to the sender."""
    REPLY = 4
    """Answer to READ: one packet per entry."""


class Flag(IntFlag):
    """Properties of a token, carried by each of its packets."""

    FREE = 1
    """Control token: frees the sequence's KV blocks, computes nothing."""
    POISON = 2
    """A KV core was full: the token runs through without effect."""
    QUIET = 4
    """No logits and no argmax wanted (all prompt tokens but the last)."""
    STREAM = 8
    """The logits are sent to the host."""


TABLE_ADDRESS = Format((Field("core", DIE_CORE_BITS), Field("die", DIE_BITS)))
"""What ``way_x`` (low bits) and ``way_y`` hold on a channel of class 2: the destination's die, and
its number among the routers of that die, as the host counts them in the routers' tables."""

ROUTE_BITS = 64
HEADER_BITS = 128


def _place(prefix: str) -> tuple[Field, Field]:
    return Field(f"{prefix}x", COORDINATE_BITS), Field(f"{prefix}y", COORDINATE_BITS)


def _filled(fields: tuple[Field, ...], bits: int, spare: str) -> tuple[Field, ...]:
    used = sum(field.bits for field in fields)
    if used > bits:
        raise ValueError(f"fields up to {fields[-1].name} must fit {bits} bits, not {used}")
    return *fields, Field(spare, bits - used)


ROUTE = _filled((
    *_place("dst_"), *_place("way_"), *_place("src_"), Field("kind", KIND_BITS),
    Field("vc", VC_BITS), Field("length", LENGTH_BITS), Field("label", LABEL_BITS),
    Field("ordered", 1)), ROUTE_BITS, "route_spare")
"""First 64 bits: ``length`` counts payload flits, ``label`` 0 means unicast.

The route class of a packet is that of the channel it is on (``NocParams``). On class 0, and on the
control channel, ``way_x``, ``way_y`` are a waypoint, or 0, 0 for none: the packet goes there first,
and on from there on class 1. On class 2 they are a ``TABLE_ADDRESS``. ``vc`` is the channel on
which the packet was injected; with ``ordered`` it stays there as long as its class allows, without,
each router picks a channel of the class. Packets of one token are told apart by ``offset`` in
``DATA_HEADER``, their chunk number in flits, so that they may arrive in any order.
"""

DATA_HEADER = Format(_filled((
    *ROUTE, Field("sequence", SEQUENCE_BITS), Field("position", POSITION_BITS),
    Field("stage", STAGE_BITS), Field("operand", OPERAND_BITS), Field("offset", OFFSET_BITS),
    Field("flags", FLAG_BITS)), HEADER_BITS, "spare"))
"""Header of DATA; ``offset`` is the flit address within the slot where the payload begins."""

CONFIG_HEADER = Format(_filled((
    *ROUTE, Field("unit", UNIT_BITS), Field("address", ENTRY_BITS), Field("count", 8),
    *_place("back_"), Field("back_table", 1)), HEADER_BITS, "spare"))
"""Header of WRITE, READ and REPLY; ``count`` is the number of entries asked for by READ.

``back_x``, ``back_y`` of a READ become ``way_x``, ``way_y`` of its REPLY packets, which go on class
2 if ``back_table`` is 1.
"""

CREDIT_HEADER = Format(_filled((*ROUTE, Field("counter", CREDIT_BITS)), HEADER_BITS, "spare"))
"""Header of CREDIT; ``counter`` names the sender's credit counter."""


class Port(IntEnum):
    """Ports of a router, and bits of a multicast port mask. y grows to the south."""

    NORTH = 0
    EAST = 1
    SOUTH = 2
    WEST = 3
    LOCAL = 4

    @property
    def step(self) -> tuple[int, int]:
        """Way to the router beyond: what it adds to x and y; (0, 0) for the core's own port."""
        return ((0, -1), (1, 0), (0, 1), (-1, 0), (0, 0))[self]

    @property
    def opposite(self) -> "Port":
        """Port of the router beyond that faces this one."""
        return Port((2, 3, 0, 1, 4)[self])

    def beyond(self, position: Position) -> Position:
        """What lies beyond this port of the router at ``position``."""
        return position[0] + self.step[0], position[1] + self.step[1]


MESH_PORTS = (Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST)
"""Ports to other routers, or to the outside at the edge."""


LABEL_ENTRY = Format((Field("ports", len(Port)),))
"""Entry of a router's label table: the set of output ports of a multicast packet."""


FAULT_ADDRESS = 1
"""Address of ``FAULT_ENTRY`` in ``Unit.CONTROL``."""

FAULT_ENTRY = Format((Field("stuck", len(Port)), Field("flip", len(Port)), Field("bit", 10),
                      Field("once", 1)))
"""What is hurt in a tile, for tests: ports that pass nothing, LOCAL being the core's own; ports
that invert data bit ``bit`` of the flits that they send, or with ``once`` of the next one."""


class Turn(IntEnum):
    """Entry of the tables for class 2: where a packet goes from here."""

    NONE = 0
    """Nowhere; it is dropped."""
    NORTH = 1
    """Port ``n`` is ``n + 1``."""
    EAST = 2
    SOUTH = 3
    WEST = 4
    LOCAL = 5
    ARRIVED = 6
    """Only in ``DIES``: this is the die; ``CORES`` tells, and the packet goes on as arrival."""


class Unit(IntEnum):
    """Targets of WRITE and READ inside a core. Macro m's rows are unit ``WEIGHT + m``."""

    CONTROL = 0
    """Address 0, any data: clears counters and trace. Address 1 (``noc.faults``): ``FAULT_ENTRY``,
    what is hurt."""
    PROGRAM = 1
    """Instructions (``hw.params.isa``), one flit each."""
    STAGE = 2
    """Stage table (``STAGE_ENTRY``)."""
    CREDIT_LIST = 3
    """Whom to credit when a token leaves (``CREDIT_ENTRY``)."""
    CREDIT = 4
    """Credit counters: sets the count."""
    DEST = 5
    """Destination list (``DEST_ENTRY``)."""
    PARAM = 6
    """Words of ``lanes`` x 16 bits; entry takes ceil(lanes * 16 / flit_bits) flits."""
    SILU = 7
    """SiLU table: 256 int16, index = u8 as an unsigned byte, one entry per flit."""
    STEP = 8
    """Drain steps: leaf mask, 32 bits."""
    KV = 9
    """Address 0: ``KV_CONFIG``."""
    LABEL = 10
    """Router label table (``LABEL_ENTRY``)."""
    COUNTER = 11
    """Read only: event counters (``hw.params.counters``), 48 bits each."""
    TRACE = 12
    """Read only: token trace ring (``TRACE_ENTRY``)."""
    ROUTER = 13
    """Address 0, write: mask of the router's dead ports (``LABEL_ENTRY``). Read: first 64 bits of
    the header of the packet that it dropped last."""
    DIES = 14
    """Router's table of dies for class 2: ``Turn`` by die."""
    CORES = 15
    """Router's table of cores of its own die for class 2: ``Turn`` by core."""
    WEIGHT = 16
    """Rows of macro 0: ``outputs`` int8, output 0 in the low byte; macro m at WEIGHT + m."""


STAGE_ENTRY = Format((
    Field("slot_first", 5), Field("slot_count", 6), Field("base", WORD_ADDRESS_BITS),
    Field("stride", WORD_ADDRESS_BITS),
    Field("program", 10), Field("credit_first", 6), Field("credit_count", 6)))
"""Slots ``slot_first ..``; slot s lies at word ``base + (s - slot_first) * stride``."""

CREDIT_ENTRY = Format((*_place(""), Field("counter", CREDIT_BITS), *_place("way_"),
                       Field("table", 1)))
"""One sender to be credited, and the way there (``ROUTE``); on class 2 if ``table`` is 1."""

DEST_ENTRY = Format((
    *_place(""), Field("label", LABEL_BITS), Field("stage", STAGE_BITS),
    Field("operand", OPERAND_BITS), Field("vc", VC_BITS), Field("credits", 1 << CREDIT_BITS),
    *_place("way_"), Field("unordered", 1)))
"""One destination, or multicast group; ``credits`` is the mask of counters a token takes from.

``vc``, ``way_x`` and ``way_y`` choose the route; packets have ``ordered`` 0 if ``unordered`` is 1.
"""

KV_CONFIG = Format((
    Field("k_macros", 32), Field("v_macros", 32), Field("k_groups", 8), Field("k_blocks", 9),
    Field("v_slots", 6), Field("head_dim", 10), Field("heads", 5),
    Field("members", MEMBER_BITS + 1), Field("member", MEMBER_BITS), Field("ring", 1),
    Field("v_stays", 1)))
"""How KV blocks lie in this core's macros.

``k_groups`` row groups per K block, ``k_blocks`` K blocks per K macro, ``v_slots`` V blocks side by
side (outputs / head_dim). Block j of sequence s lies in member ``j % members`` of the head, with
``ring`` in member ``(j + s) % members``. With ``v_stays`` V grows in the macro where it is, as
long as that has room; else in the next one, as K does.
"""

TRACE_ENTRY = Format((
    Field("stage", STAGE_BITS), Field("sequence", SEQUENCE_BITS),
    Field("position", POSITION_BITS), Field("flags", FLAG_BITS),
    Field("start", 32), Field("end", 32), Field("spare", 20)))
"""One token of one stage: the cycle its first instruction after the first WAIT was picked (operands
complete) and the cycle of its END."""
