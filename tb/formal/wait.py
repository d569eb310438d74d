"""How many packets may go before one that waits for an output."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import Assert
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.lib.arbiter import RoundRobin
from hw.noc.output import Output
from hw.params.noc import NocParams
from hw.params.packet import Port

__all__ = ["WaitProof"]

PORTS = len(Port)


class WaitProof(wiring.Component):
    """At most so many packets of other inputs get a channel for which a packet waits.

    The packet is at the front of channel ``number`` of input 0 and may use the channels
    ``allowed``; it asks as ``Channel`` does, when its input's turn allows: for a free channel with
    a credit, and where ``claims``, for a free one. ``rivals`` are the other channels of its input
    that ever ask, for this output or for others that may take what they ask, or not. The other
    four inputs ask as ``HoldProof`` shows, otherwise at any time.

    Parameters
    ----------
    noc : NocParams
        The network.
    allowed, rivals : int
        Sets of channels.
    claims : bool
        Whether the channel is alone in its class.
    most : int
        What is asserted.
    """

    def __init__(self, noc: NocParams, *, allowed: int, claims: bool, rivals: int, most: int):
        self.noc, self.allowed, self.claims = noc, allowed, claims
        self.rivals, self.most = rivals, most
        super().__init__({
            "starts": In(1), "others": In(noc.channels), "elsewhere": In(1), "accepted": In(1),
            "asks": In(PORTS), "heads": In(PORTS), "tails": In(PORTS), "claiming": In(PORTS),
            "wants": In(noc.channels).array(PORTS), "returns": In(noc.channels)})

    def elaborate(self, platform):
        m = Module()

        channels = self.noc.channels
        m.submodules.output = output = Output(self.noc)
        m.submodules.turn = turn = RoundRobin(channels)
        state, link = output.state, output.link
        waits, waited, count = Signal(), Signal(), Signal(range(self.most + 3))
        number = (self.allowed & -self.allowed).bit_length() - 1

        # The waiting packet.
        ready, claim, mine = Signal(), Signal(), Signal()
        m.d.comb += [
            waits.eq((self.starts | waited) & (count <= self.most)),
            ready.eq((state.available & self.allowed) != 0),
            claim.eq(~ready & ((state.free & self.allowed) != 0) if self.claims else 0),
            turn.requests.eq(self.others & self.rivals | ((waits & (ready | claim)) << number)),
            mine.eq(turn.grant[number])]

        # Channels that are not alone in their class are claimed with a credit only.
        shared = sum(1 << c for group in map(self.noc.class_channels, range(2))
                     if len(group) > 1 for c in group)
        free = state.free & (state.credited | ~shared)
        won = Signal()
        taken = Signal(channels)
        for n, request in enumerate(output.requests):
            wants, given = self.wants[n], request.taken
            claimed, begun = (Signal(channels, name=f"{name}{n}") for name in ("claimed", "begun"))
            alone, may = Signal(name=f"alone{n}"), Signal(name=f"may{n}")
            m.d.comb += alone.eq((wants & (wants - 1)) == 0)
            with m.If(self.claiming[n]):
                m.d.comb += may.eq(self.heads[n] & alone & ((wants & free) != 0))
            with m.Elif(self.heads[n]):
                m.d.comb += may.eq(((wants & state.available) != 0)
                                   | (alone & ((wants & claimed & state.credited) != 0)))
            with m.Else():
                m.d.comb += may.eq(alone & ((wants & begun & state.credited) != 0))
            asks = self.asks[n] & may
            if n == 0:
                asks = asks & (turn.grant != 0) & ~self.elsewhere
            m.d.comb += [
                request.p.ports.eq(asks), request.p.allowed.eq(wants),
                request.p.claim.eq(self.claiming[n]), request.p.head.eq(self.heads[n]),
                request.p.tail.eq(self.tails[n])]
            if n == 0:
                with m.If(mine):
                    m.d.comb += [
                        request.p.ports.eq(1), request.p.allowed.eq(self.allowed),
                        request.p.claim.eq(claim), request.p.head.eq(1), request.p.tail.eq(0)]
                    m.d.comb += won.eq(given != 0)
                m.d.comb += turn.accept.eq(Mux(mine | ~self.elsewhere, given != 0, self.accepted))
            with m.If((given != 0) & ~won):
                with m.If(self.claiming[n]):
                    m.d.sync += claimed.eq(claimed | given)
                with m.Else():
                    m.d.sync += claimed.eq(claimed & ~given)
                    m.d.sync += begun.eq(Mux(self.tails[n], begun & ~given, begun | given))
                m.d.comb += taken.eq(given)

        for c in range(channels):
            owed = Signal(range(self.noc.vc_depth + 1), name=f"owed{c}")
            comes = link.valid & (link.flit.vc == c)
            m.d.comb += link.credit[c].eq(self.returns[c] & (owed != 0))
            m.d.sync += owed.eq(owed + comes - link.credit[c])

        with m.If(won):
            m.d.sync += [waited.eq(0), count.eq(0)]
        with m.Elif(waits):
            m.d.sync += waited.eq(1)
            with m.If((taken & self.allowed & state.free) != 0):
                m.d.sync += count.eq(count + 1)
        m.d.comb += Assert(count <= self.most)

        return m
