"""How many packets may go before one that waits for an output."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ouroboros.hw.lib.arbiter import LeastRecent
from ouroboros.hw.noc.output import Output
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.tb.formal.shadow import legal

__all__ = ["WaitProof"]

PORTS = len(Port)


class WaitProof(wiring.Component):
    """At most so many packets of others get a channel for which a packet waits.

    The packet is at the front of channel ``number`` of input 0, the lowest of ``allowed``, the
    channels that it may use. It asks as ``ChannelProof`` shows, when its input's turn allows:
    whenever one of them is free; it claims if none of the free ones has a credit. It waits until it
    gets a channel, by its head or a claim; an earlier packet of its own channel may have been the
    last that went. The other four inputs ask as ``HoldProof`` shows, for sets of channels that
    ``Route`` gives, otherwise at any time.

    ``rivals`` are the other channels of its input that ever ask, for this output or another, one
    packet each at a time. Where there is one, and it goes before the waiting packet, it asks at
    most ``vain`` times in vain, which is what ``asks`` shows of an input where nothing else asks.
    Where there are several, they ask in at most ``blocks`` cycles in which it could.

    Parameters
    ----------
    noc : NocParams
        The network.
    allowed, rivals : int
        Sets of channels.
    vain, blocks : int
        See above.
    most : int
        What is asserted.
    asks : bool
        Count how often the packet asks in vain instead of the packets that get a channel.
    """

    def __init__(self, noc: NocParams, *, allowed: int, rivals: int, most: int, vain: int = 0,
                 blocks: int = 0, asks: bool = False):
        self.noc, self.allowed, self.rivals = noc, allowed, rivals
        self.vain, self.blocks, self.most, self.by_asks = vain, blocks, most, asks
        super().__init__({
            "starts": In(1), "others": In(noc.channels), "elsewhere": In(1), "accepted": In(1),
            "asks": In(PORTS), "heads": In(PORTS), "tails": In(PORTS), "claiming": In(PORTS),
            "wants": In(noc.channels).array(PORTS), "returns": In(noc.channels)})

    def elaborate(self, platform):
        m = Module()

        channels = self.noc.channels
        m.submodules.output = output = Output(self.noc)
        m.submodules.turn = turn = LeastRecent(channels)
        state, link = output.state, output.link
        waits, waited, count = Signal(), Signal(), Signal(range(self.most + 3))
        number = (self.allowed & -self.allowed).bit_length() - 1
        own = 1 << number

        # Who holds each channel that is not free, a channel of input 0 or another input, and
        # whether its packet has begun.
        owners = [Signal(range(channels + PORTS - 1), name=f"owner{c}") for c in range(channels)]
        started = Signal(channels)

        def held(who):
            return Cat(owner == who for owner in owners) & ~state.free

        # The waiting packet.
        ready, claim, mine, won = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            waits.eq((self.starts & (held(number) == 0) | waited) & (count <= self.most)),
            ready.eq((state.available & self.allowed) != 0),
            claim.eq(~ready & ((state.free & self.allowed) != 0)),
            turn.requests.eq(self.others & self.rivals | Mux(
                waits, (ready | claim) << number, self.others & own)),
            mine.eq(turn.grant[number] & waits)]

        if self.rivals & (self.rivals - 1):
            blocked = Signal(range(self.blocks + 2))
            with m.If(won):
                m.d.sync += blocked.eq(0)
            with m.Elif(waits & (ready | claim) & ~turn.grant[number]):
                m.d.sync += blocked.eq(blocked + 1)
                m.d.comb += Assume(blocked < self.blocks)
        else:
            # A rival that goes before the waiting packet asks only so often in vain.
            first = Signal(init=(self.rivals & (own - 1)) != 0)
            vain = Signal(range(self.vain + 2))
            with m.If(turn.grant.any() & turn.accept):
                m.d.sync += [first.eq(turn.grant[number]), vain.eq(0)]
            with m.Elif(first & (turn.grant & ~own).any()):
                m.d.sync += vain.eq(vain + 1)
                m.d.comb += Assume(vain < self.vain)

        taken = Signal(channels)
        for n, request in enumerate(output.requests):
            asked, given = request.p, request.taken
            m.d.comb += [asked.allowed.eq(self.wants[n]), asked.claim.eq(self.claiming[n]),
                         asked.head.eq(self.heads[n]), asked.tail.eq(self.tails[n])]
            who = channels + n - 1 if n else Signal(range(channels))
            may = _may(self.noc, asked, state, held(who), started, one=n == 0)
            if n:
                m.d.comb += asked.ports.eq(self.asks[n] & may)
            else:
                m.d.comb += who.eq(sum(Mux(turn.grant[c], c, 0) for c in range(channels)))
                with m.If(mine):
                    m.d.comb += [asked.ports.eq(1), asked.allowed.eq(self.allowed),
                                 asked.claim.eq(claim), asked.head.eq(1), won.eq(given != 0),
                                 turn.accept.eq(won)]
                with m.Elif(self.elsewhere):
                    m.d.comb += turn.accept.eq(self.accepted)
                with m.Else():
                    m.d.comb += [asked.ports.eq(turn.grant.any()), turn.accept.eq(given != 0),
                                 Assume(may | ~turn.grant.any())]
            for c in range(channels):
                with m.If(given[c]):
                    m.d.sync += [owners[c].eq(who), started[c].eq(~asked.claim)]
            with m.If((given != 0) & ~won):
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
            with m.If(mine if self.by_asks else (taken & self.allowed & state.free) != 0):
                m.d.sync += count.eq(count + 1)
        m.d.comb += Assert(count <= self.most)

        return m


def _may(noc, asked, state, held, started, *, one):
    """Whether somebody who holds these channels may ask so; with ``one``, if he has one packet."""
    wants, claims = asked.allowed, asked.claim
    alone = (wants & (wants - 1)) == 0
    available, free = (wants & state.available) != 0, (wants & state.free) != 0
    first = legal(noc, wants) & ((held == 0) if one else 1)
    ready = wants & held & state.credited
    head = Mux(claims, first & free & (alone | ~available),
               first & available | alone & ((ready & ~started) != 0))
    return Mux(asked.head, head, ~claims & alone & ((ready & started) != 0))
