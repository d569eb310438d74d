"""A node of the traffic laboratory: source, sink and counters in SystemVerilog."""

from enum import IntEnum
from pathlib import Path

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.library import flat_ports
from ouroboros.hw.noc.link import Link
from ouroboros.hw.params.format import Field, Format
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import HEADER_BITS, ROUTE

__all__ = ["BINS", "DROP_HEADER", "EVERY_NODE", "HISTOGRAM", "IN_TURN", "NODES_MAX",
           "TRACE_ENTRY", "TRACE_PACKETS_MAX", "UNIFORM", "Count", "Error", "LabNode", "Setting",
           "Table", "node_verilog", "read_signature", "write_signature"]

_BODY = Path(__file__).with_suffix(".sv")
NODES_MAX = 256
"""Nodes that the 8-bit numbers of the bench can tell apart."""
TRACE_PACKETS_MAX = 1024
"""Packets of a trace in one node."""
BINS = 1024
"""Bins of the histogram of latencies, one cycle each; the last has all that is slower."""
HISTOGRAM = 1 << 15
"""Read address of the histogram."""
DROP_HEADER = 1 << 14
"""Read address of the header of the latest packet that the router dropped."""
EVERY_NODE = 1 << 8
"""Node number that all nodes take for theirs."""
UNIFORM, IN_TURN = 1 << 8, 1 << 9
"""Values of ``Setting.DESTINATION`` that are no node."""
SEEN = 256
"""How far an unordered packet of a pair may overtake another before the scoreboard gives up."""

LAB_HEADER = Format((*ROUTE, Field("serial", 16), Field("made", 32), Field("waited", 16)))
"""Header of the laboratory's packets: number within the pair, cycle when it was made, and cycles
until its head left."""

TRACE_ENTRY = Format((Field("trace_cycle", 32), Field("trace_destination", 8),
                      Field("trace_length", 4), Field("trace_way", 14),
                      Field("trace_multicast", 1)))
"""Packet of a trace, ``length`` being its payload, and ``way`` the header's way_x and way_y. Of a
multicast packet ``destination`` is the number of copies - 1, and ``way`` the label."""


class Table(IntEnum):
    """What a write goes to."""

    SETTINGS = 0
    ROUTES = 1
    GROUP = 2
    """By source: bit 0, the node is in a multicast group of it; bit 1, the source has groups
    without the node, so that numbers of packets are missing here."""
    TRACES = 3
    LABELS = 4
    """Of the router, as the next three."""
    DEAD = 5
    DIES = 6
    CORES = 7


class Setting(IntEnum):
    """Addresses of ``Table.SETTINGS``; probabilities are in 1 / 2**24, ordered in 1 / 16."""

    RUN = 0
    SOURCE_STATE = 1
    SINK_STATE = 2
    PACKET = 3
    DESTINATION = 4
    """Node number, ``UNIFORM`` for a random one, ``IN_TURN`` for one after the other."""
    LENGTH = 5
    """Shortest payload, and in bits 4..8 the number of lengths."""
    STALL = 6
    WINDOW_START = 7
    WINDOW_END = 8
    ORDERED = 9
    SIZE = 10
    """Width, and in bits 8..16 the number of nodes."""
    WAYPOINT = 11
    MULTICAST = 12
    LABEL = 13
    """Label of the node's multicast group, and in bits 7..15 its members."""
    TRACE_END = 14
    STOP = 15
    """First cycle in which no packet is made any more."""


class Count(IntEnum):
    """Read addresses of the counters."""

    SENT = 0
    """Copies of packets whose head has left; a multicast packet counts for each member."""
    RECEIVED = 1
    INJECTED = 2
    """Flits in the window, as the next."""
    ACCEPTED = 3
    MEASURED = 4
    """Copies of packets made in the window."""
    DONE = 5
    """Of these, arrived; the next five are about them."""
    LATENCY = 6
    NETWORK = 7
    ROUTERS = 8
    LATENCY_MAX = 9
    EXCESS_MAX = 10
    """Cycles over 3 + 2 H + (L - 1), H link hops of the XY path, or both its legs, and L flits."""
    TOO_FAST = 11
    """Packets that took less than that."""
    ERRORS = 12
    FIRST_ERROR = 13
    """Cycle, ``Error``, source (x, y) and channel."""
    IN_ORDER = 14
    """Ordered packets received."""
    REFUSED = 15
    """Packets that were not sent since there is no way to their destination."""
    BY_CLASS = 16
    """Packets received on class 0, the next on 1, 2 and control."""
    CAUGHT_UP = 20
    """Every packet of the window has left the source's queue."""
    QUIET = 21
    """Nothing more will be sent."""
    OFFERED = 22
    """Flits of packets made in the window, once for a multicast packet."""


class Error(IntEnum):
    """What the scoreboard finds wrong."""

    MISROUTED = 1
    PAYLOAD = 2
    TWICE = 3
    ORDER = 4
    LENGTHS = 5
    MIXED = 6
    TOO_LATE = 7
    CHANNEL = 8
    OVERRUN = 9


def lab_node_signature(noc: NocParams) -> wiring.Signature:
    """Ports of a ``LabNode``.

    Members
    -------
    number : In(8)
        x + width * y, from 0; static.
    link_out, link_in : Out(Link(noc)), In(Link(noc))
        To the router's LOCAL port and from it.
    write, read : In(write_signature()), In(read_signature())
        See there.
    value : Out(64)
        What was asked for in the cycle before; 0 if another node was.
    """
    return wiring.Signature({
        "number": In(8), "link_out": Out(Link(noc)), "link_in": In(Link(noc)),
        "write": In(write_signature()), "read": In(read_signature()), "value": Out(64)})


def write_signature() -> wiring.Signature:
    """Write to a table of one node, or of all of them (bit 8 of ``node``)."""
    return wiring.Signature({"valid": Out(1), "node": Out(9), "table": Out(3), "address": Out(10),
                             "data": Out(64)})


def read_signature() -> wiring.Signature:
    """Read of a counter of one node, or the sum over all of them."""
    return wiring.Signature({"valid": Out(1), "node": Out(9), "address": Out(16)})


class LabNode(wiring.Component):
    """Stands for a node where modules are connected; its body is ``node_verilog``."""

    def __init__(self, noc: NocParams):
        super().__init__(lab_node_signature(noc))


def node_verilog(noc: NocParams, name: str) -> str:
    """SystemVerilog of module ``name``, a ``LabNode``."""
    ports = [("input", "clk", 1), ("input", "rst", 1)]
    ports += [("input" if flow is In else "output", port, len(value))
              for port, flow, value in flat_ports(lab_node_signature(noc).create())]
    header = ",\n".join(f"  {direction} wire [{bits - 1}:0] {port}"
                        for direction, port, bits in ports)
    constants = {
        "FLIT_BITS": noc.flit_bits, "CHANNELS": noc.channels, "DEPTH": noc.vc_depth,
        "VC_BITS": ceil_log2(noc.channels), "CLASS1": noc.vcs, "TRANSIT": noc.transit_vc,
        "CONTROL": noc.control_vc, "MULTICAST_PAYLOAD": noc.multicast_flits - 1,
        "TRACE": TRACE_PACKETS_MAX, "BINS": BINS, "SEEN": SEEN, "COUNTS": 1 + max(Count),
        "HEADER_BITS": HEADER_BITS}
    for form in (LAB_HEADER, TRACE_ENTRY):
        offset = 0
        for field in form.fields:
            constants[field.name.upper()] = offset
            offset += field.bits
    for names in (Table, Count, Error):
        constants |= {member.name: int(member) for member in names}
    lines = "\n".join(f"localparam {key} = {value};" for key, value in constants.items())
    return f"module {name} (\n{header}\n);\n\n{lines}\n\n{_BODY.read_text()}"
