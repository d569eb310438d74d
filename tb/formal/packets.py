"""Who sends packets to a router, and the flit that a proof follows."""

from dataclasses import dataclass

from amaranth import Mux, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from ouroboros.hw.noc.route import Place, route_layout
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from ouroboros.hw.params.packet import ROUTE_BITS, Port
from ouroboros.tb.formal.route import expected

__all__ = ["FOLLOWED", "MARK", "NEXT", "Followed", "fixed", "follow", "stand", "wishes"]

MESH, PLACE = 3, 2
"""The router stands in the middle of 3 x 3 cores; every port leads to one or more of them."""
MARK = slice(ROUTE_BITS, ROUTE_BITS + 2)
"""Bits of a flit that no router reads: ``FOLLOWED``, ``NEXT`` or 0."""
FOLLOWED, NEXT = 1, 2
"""Marks of the flit that is followed and of the one after it in its packet."""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """The flit that is followed; all are signals.

    ``leaves`` is high in the cycle in which its credit goes back, ``ports`` is its route (0 if it
    has none), ``allowed`` the channels that its packet may go on by; ``head`` and ``tail`` are as
    they came.
    """

    leaves: Signal
    ports: Signal
    head: Signal
    tail: Signal
    allowed: Signal


def wishes(noc: NocParams, links: int) -> dict:
    """Members by which the solver says what comes on so many links, and which flit is followed."""
    return {
        "sends": In(links), "channels": In(ceil_log2(noc.channels)).array(links),
        "dst_x": In(3).array(links), "dst_y": In(3).array(links),
        "way_x": In(3).array(links), "way_y": In(3).array(links), "length": In(4).array(links),
        "die_turn": In(3), "core_turn": In(3),
        "ordered": In(links), "connected": In(len(Port)), "who": In(max(1, ceil_log2(links))),
        "on": In(ceil_log2(noc.channels)), "follow": In(1)}


def fixed(m, wish):
    """``wish`` in the first cycle, kept."""
    started, first, value = Signal(), Signal.like(wish), Signal.like(wish)
    m.d.sync += [started.eq(1), first.eq(value)]
    m.d.comb += value.eq(Mux(started, first, wish))
    return value


def stand(place, connected):
    """Stand in the middle of the mesh."""
    return [place.x.eq(PLACE), place.y.eq(PLACE), place.mesh_width.eq(MESH),
            place.mesh_height.eq(MESH), place.connected.eq(connected)]


def follow(m, noc: NocParams, links, wish, connected) -> Followed:
    """Send whole unicast packets on ``links`` as ``wish`` says, never without a credit.

    Packets come on any channel and have any length, any destination and waypoint in the mesh and
    around it. The tables' answers about class 2 are ``wish.die_turn`` and ``wish.core_turn`` of
    the cycle in which the head comes. The rest of the header, and the payload but for ``MARK``, is
    0. Also asserts that no credit comes back twice.
    """
    depth, place = noc.vc_depth, Place().create()
    m.d.comb += stand(place, connected)
    who, on = fixed(m, wish.who), fixed(m, wish.on)
    m.d.comb += [Assume(who < len(links)), Assume(on < noc.channels)]
    mark, put, credit, begins, ends, want, may, inside = (
        Signal(bits, name=f"the_{name}") for name, bits in (
            ("mark", 2), ("put", 1), ("credit", 1), ("begins", 1), ("ends", 1),
            ("want", len(Port)), ("may", noc.channels), ("inside", range(depth + 1))))
    for n, link in enumerate(links):
        flit, vc, length = link.flit, wish.channels[n], wish.length[n]
        header = route_layout()(flit.data[:ROUTE_BITS])
        begin, end, ready = (Signal(noc.channels, name=f"{name}{n}")
                             for name in ("begin", "end", "ready"))
        m.d.comb += [
            Assume(vc < noc.channels), Assume(length <= PAYLOAD_FLITS_MAX),
            flit.vc.eq(vc), link.valid.eq(wish.sends[n] & ready.bit_select(vc, 1)),
            flit.head.eq(begin.bit_select(vc, 1)), flit.tail.eq(end.bit_select(vc, 1))]
        with m.If(flit.head):
            m.d.comb += [header.dst_x.eq(wish.dst_x[n]), header.dst_y.eq(wish.dst_y[n]),
                         header.way_x.eq(wish.way_x[n]), header.way_y.eq(wish.way_y[n]),
                         header.length.eq(length), header.ordered.eq(wish.ordered[n])]
        with m.If(who == n):
            m.d.comb += flit.data[MARK].eq(mark)
        for c in range(noc.channels):
            used, rest, moves = (Signal(bits, name=f"{name}{n}_{c}") for name, bits in (
                ("used", range(depth + 1)), ("rest", 4), ("moves", 1)))
            m.d.comb += [
                moves.eq(link.valid & (vc == c)), ready[c].eq(used != depth),
                begin[c].eq(rest == 0), end[c].eq(Mux(begin[c], length == 0, rest == 1)),
                Assert(~link.credit[c] | (used != 0))]
            m.d.sync += used.eq(used + moves - link.credit[c])
            with m.If(moves):
                m.d.sync += rest.eq(Mux(begin[c], length, rest - 1))
            with m.If((who == n) & (on == c)):
                m.d.comb += [put.eq(moves), credit.eq(link.credit[c]), inside.eq(used),
                             begins.eq(begin[c]), ends.eq(end[c])]
        ports, allowed, _ = expected(
            m, noc, place, header, vc, 0, wish.die_turn, wish.core_turn)
        with m.If((who == n) & begins):
            m.d.comb += [want.eq(ports & connected), may.eq(allowed)]
    kept, keeps = Signal.like(want), Signal.like(may)
    with m.If(~begins):
        m.d.comb += [want.eq(kept), may.eq(keeps)]

    marked, follows = Signal(), Signal()
    waits, ahead = Signal(), Signal(range(depth + 1))     # flits before it
    ports, allowed, head, tail = Signal.like(want), Signal.like(may), Signal(), Signal()
    with m.If(put):
        m.d.sync += [kept.eq(want), keeps.eq(may)]
        with m.If(follows):
            m.d.comb += mark.eq(NEXT)
            m.d.sync += follows.eq(0)
        with m.Elif(wish.follow & ~marked):
            m.d.comb += mark.eq(FOLLOWED)
            m.d.sync += [marked.eq(1), follows.eq(~ends), ports.eq(want), head.eq(begins),
                         tail.eq(ends), allowed.eq(may)]
    with m.If(mark == FOLLOWED):
        m.d.sync += [waits.eq(1), ahead.eq(inside - credit)]
    with m.Elif(waits & credit):
        m.d.sync += [waits.eq(ahead != 0), ahead.eq(ahead - 1)]
    leaves = Signal()
    m.d.comb += leaves.eq(waits & credit & (ahead == 0))
    return Followed(leaves=leaves, ports=ports, allowed=allowed, head=head,
                    tail=tail)
