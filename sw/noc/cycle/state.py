"""State of the cycle model: a few flat tables of int32, so that one compiled loop runs over them.

A router has six inputs (``Port``, then its sink's buffer) and six outputs (``Port``, then its
source): row ``6 * router + n`` of ``port``. After them come the ends of the wires between dies,
each a port where flits arrive and, the same row, leave. Row ``port * vcs + vc`` of ``channel`` is a
channel of a port. A flit is the row of its packet * 16 + its number in the packet. The constants
below name the columns.

A trace with waypoints or multicast has class 1 and copies too: channels of class 0 come first, then
those of class 1, and ``copying`` and ``masks`` are there. Otherwise they are not, and neither is
the code about them in the loop (``sw/noc/cycle/copies.py``).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.packet import MESH_PORTS, Port
from ouroboros.sw.noc.experiment.groups import group_of, groups_of
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.experiment.traffic import destination_table, seed_state, threshold

__all__ = ["PORTS", "SINK", "SOURCE", "State", "new_state", "with_packets"]

PORTS, SINK, SOURCE = 6, 5, 5

# scalars: next cycle, unused rows of packet, measured packets made and left, packets that have
# left in all and at a wrong sink, next packet of the trace, rows of the log
CYCLE, UNUSED, MEASURED, LEFT, DELIVERED, WRONG, TRACE, LOGGED = range(8)
# settings: vcs, flits of a ring, cycles of the event tables; first and last measured cycle, end;
# of the generators: limit, shortest packet, lengths; ordered; limit of the stalls; nodes; wire
# ends; most copies of packets that are made in a cycle; channels of class 0; masks of the channels
# of class 1
(VCS, ENTRIES, SLOTS, BEGIN, END, STOP, LIMIT, SHORTEST, LENGTHS, ORDERED, STALL, NODES, ENDS,
 COPIES_MADE, VCS_0, CLASS_1) = range(16)
# node: coordinates of the router, port where packets to the node leave it, flits in its input
# channels; source: destination (-1: drawn), queue of packets (-1: none), next flit of the packet
# being sent (-1: none), its channel, channel in turn; measured flits out and in, flits of measured
# packets; queue of its control packets, and whether it sent a flit of one last; of a core's sink: 1
# if headers wait a cycle for their look-up, cycle of the last flit, cycles that it waited behind a
# header
(X, Y, SIDE, HELD, DESTINATION, FIRST, LAST, SENDING, SENDING_VC, TURN_SOURCE, ACCEPTED,
 INJECTED, OFFERED, CONTROL, CONTROL_LAST, CONTROL_WENT, ASKS, SUNK, LAG) = range(19)
# port, as input: mask of channels with flits, channel in turn (wires), cycles from a grant until
# the credit can be used, output port before it; as output: masks of channels without owner, with
# credits, with all credits; input in turn, cycles from a grant to the next one's, input port
# beyond, credits of a channel; of a wire between dies: cycles for which a flit occupies it, cycle
# in which it is free
(OCCUPIED, TURN_IN, CREDIT_CYCLES, BEFORE, FREE, READY, FULL, TURN_OUT, FLIT_CYCLES, BEYOND, DEPTH,
 WIRE_CYCLES, WIRE_FREE) = range(13)
# channel, of an input port: ring of flits, channel and port that the front packet leaves by (-1:
# not yet known), cycle after its last grant; of an output port: credits
HEAD, COUNT, OUT, WANT, GRANTED, CREDITS = range(6)
# packet: next in its source's queue; cycles when made and sent; source, destination, flits,
# routers; waypoint (-1: none), label (0: unicast), copies that have not left
NEXT, MADE, SENT, SRC, DST, FLITS, HOPS, WAY, LABEL, COPIES = range(10)
# of a trace
(TRACE_CYCLE, TRACE_SRC, TRACE_DST, TRACE_FLITS, TRACE_WAY, TRACE_LABEL,
 TRACE_COPIES) = range(7)
# copying, of a channel of an input port, about its front packet: mask of the channels that it may
# go on by; of multicast, masks of the ports that lack a copy, and of those where a channel is
# claimed; flits of the copy that is being sent while they are kept for others; masks of its ports,
# and of those that have the next flit already; whether it is the packet's last; cycles in which
# the packet waited for ports that lack credits
ALLOWED, LACKING, CLAIMED, READ, GOES, TOOK, FINAL, WAITED = range(8)
# done, of measured packets: cycles since made, since sent, routers
LATENCY, NETWORK_LATENCY, ROUTERS = range(3)
# log: what happened to a packet, its row, the node, and the cycle: its last flit was sent by its
# source, its header or its tail left the network; cycles that it waits there behind a header
WHAT, ROW, NODE, WHEN, WAITS = range(5)
WENT, HEADER, TAIL = range(3)

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Rows = int | I64
U64 = npt.NDArray[np.uint64]


class State(NamedTuple):
    """Everything the compiled loop reads and writes; columns as named above."""

    scalars: I64
    settings: I64
    node: I32
    port: I32
    channel: I32
    ring: I32
    """Flits of each input channel."""
    arrivals: I32
    """By cycle modulo SLOTS: how many flits reach a buffer; and port, channel of the port, flit."""
    arrival: I32
    refunds: I32
    """By cycle modulo SLOTS: how many credits reach an output; and its port, and channel."""
    refund: I32
    random: U64
    random_sink: U64
    """Generators of the sources, and of the sinks' stalls."""
    trace: I32
    packet: I32
    unused: I32
    """Rows of ``packet``, a stack."""
    done: I32
    masks: I32
    """(labels, nodes): ports by which a router sends multicast packets on."""
    copying: I32 | None
    """By channel, as ``channel``; None where all packets are unicast of class 0."""
    log: I32 | None
    """What happened in a cycle (``sw.noc.cycle.live``); None where nobody asks."""


def new_state(options: LabOptions, edges: Sequence[tuple[int, Port]] = (), *,
              control: bool = False) -> State:
    """State before the first cycle, without room for packets (``with_packets``).

    Parameters
    ----------
    edges : sequence of (int, Port)
        Nodes beside those of the mesh, each a source and a sink at a port of a router that leads
        out of it; their numbers follow those of the mesh.
    control : bool
        In the place of class 1 there is a control channel, whose packets are of one flit.
    """
    noc, mesh, traffic = options.noc, options.mesh, options.traffic
    nodes, vcs = mesh.cores + len(edges), noc.vcs
    trace, most_copies, masks = _trace(options)
    copies = bool((trace[:, TRACE_WAY] >= 0).any() or len(masks))
    if (trace[:, TRACE_WAY] >= 0).any():
        vcs += noc.class1_vcs
    if control:
        vcs += 1
    class_1 = (1 << vcs) - (1 << noc.vcs)
    ids = np.arange(nodes)
    node = np.zeros((nodes, 19), np.int32)
    node[:, X], node[:, Y], node[:, SIDE] = ids % mesh.width, ids // mesh.width, Port.LOCAL
    node[:mesh.cores, DESTINATION] = destination_table(options)
    node[:, [FIRST, LAST, SENDING, CONTROL, CONTROL_LAST]] = -1
    node[:, TURN_SOURCE] = 1

    links = _links(options, node[:mesh.cores])
    crossings = [link for link in links if link[2]]
    port = np.zeros((nodes * PORTS + 2 * len(crossings), 13), np.int32)
    port[:, [FREE, READY, FULL]] = (1 << vcs) - 1
    port[:, [FLIT_CYCLES, CREDIT_CYCLES]] = 2
    port[:, WIRE_CYCLES] = 1
    port[:, [BEYOND, BEFORE]] = -1
    port[:, DEPTH] = noc.vc_depth
    near = nodes * PORTS
    for exit_, entrance, crosses in links:
        if not crosses:
            _join(port, exit_, entrance)
            continue
        _join(port, exit_, near)
        _join(port, near, near + 1)
        _join(port, near + 1, entrance)
        port[near, FLIT_CYCLES] = port[near + 1, CREDIT_CYCLES] = noc.die_latency_cycles + 1
        port[near, WIRE_CYCLES] = noc.die_cycles_per_flit
        port[near, DEPTH] = noc.die_depth
        near += 2
    local = ids * PORTS + Port.LOCAL
    _join(port, local, ids * PORTS + SINK)
    _join(port, ids * PORTS + SOURCE, local)
    # A source uses a credit, and a sink gives it, a cycle sooner than a router.
    port[local, CREDIT_CYCLES] = port[local, FLIT_CYCLES] = 1
    for n, (router, side) in enumerate(edges, mesh.cores):
        node[n, [X, Y]], node[n, SIDE] = node[router, [X, Y]], side
        _join(port, router * PORTS + side, n * PORTS + SINK)
        _join(port, n * PORTS + SOURCE, router * PORTS + side)

    channel = np.zeros((len(port) * vcs, 6), np.int32)
    channel[:, [OUT, WANT]] = -1
    channel[:, CREDITS] = np.repeat(port[:, DEPTH], vcs)
    entries = 1 << int(port[:, DEPTH].max() - 1).bit_length()
    slots = 1 << int(port[:, [FLIT_CYCLES, CREDIT_CYCLES]].max()).bit_length()
    end = options.warmup_cycles + options.measure_cycles
    return State(
        scalars=np.zeros(8, np.int64),
        settings=np.array([
            vcs, entries, slots, options.warmup_cycles, end, end + options.drain_cycles,
            threshold(traffic.rate / traffic.packet_flits), traffic.packet_min,
            traffic.packet_max - traffic.packet_min + 1, traffic.ordered,
            threshold(options.stall), nodes, 2 * len(crossings), max(nodes, most_copies),
            noc.vcs, class_1], np.int64),
        node=node, port=port, channel=channel,
        ring=np.zeros((len(channel), entries), np.int32),
        arrivals=np.zeros(slots, np.int32), arrival=np.zeros((slots, len(port), 3), np.int32),
        refunds=np.zeros(slots, np.int32), refund=np.zeros((slots, len(port), 2), np.int32),
        random=_generators(options.seed, nodes, False),
        random_sink=_generators(options.seed, nodes, True),
        trace=trace, packet=np.zeros((0, 10), np.int32), unused=np.zeros(0, np.int32),
        done=np.zeros((0, 3), np.int32), masks=masks,
        copying=np.zeros((len(channel), 8), np.int32) if copies else None, log=None)


def with_packets(state: State, more: int) -> State:
    """The same state with room for ``more`` packets, and for as many measured copies or more."""
    more = max(more, 2 * int(state.settings[COPIES_MADE]))
    size, unused = len(state.packet), int(state.scalars[UNUSED])
    packet, stack, done = (
        np.concatenate([table, np.zeros((more, *table.shape[1:]), np.int32)])
        for table in (state.packet, state.unused, state.done))
    stack[unused:unused + more] = np.arange(size + more - 1, size - 1, -1)
    state.scalars[UNUSED] += more
    return state._replace(packet=packet, unused=stack, done=done)


def _trace(options: LabOptions) -> tuple[I32, int, I32]:
    """Packets of a trace; most copies made in a cycle; ``masks``, no rows if all is unicast."""
    groups = groups_of(options)
    rows = np.array([
        (p.cycle, p.source, p.destination, p.flits, p.way,
         groups.labels[group_of(p)] if p.targets else 0, p.copies) for p in options.trace],
        np.int32).reshape(-1, 7)
    masks = np.zeros((1 + max(groups.labels.values(), default=-1), options.mesh.cores), np.int32)
    for router, table in groups.entries.items():
        for label, mask in table.items():
            masks[label, router] = mask
    _, cycles = np.unique(rows[:, TRACE_CYCLE], return_inverse=True)
    made = np.bincount(cycles.reshape(-1), weights=rows[:, TRACE_COPIES])
    return rows, int(made.max(initial=0)), masks


def _links(options: LabOptions, node: I32) -> list[tuple[int, int, bool]]:
    """Output port, input port, and whether the link crosses a die border, of every link."""
    mesh, links = options.mesh, []
    for router, (x, y) in enumerate(node[:, [X, Y]].tolist()):
        for side in MESH_PORTS:
            u, v = side.beyond((x, y))
            if not (0 <= u < mesh.width and 0 <= v < mesh.height):
                continue
            crosses = any(a // size != b // size for a, b, size in (
                (x, u, mesh.die_width), (y, v, mesh.die_height)))
            links.append((router * PORTS + side,
                          (u + mesh.width * v) * PORTS + side.opposite, crosses))
    return links


def _join(port: I32, exits: Rows, entrances: Rows) -> None:
    port[exits, BEYOND] = entrances
    port[entrances, BEFORE] = exits


def _generators(seed: int, nodes: int, sink: bool) -> U64:
    return np.array([seed_state(seed, n, sink) for n in range(nodes)], np.uint64)
