"""When a channel asks for an output, and what a multicast copy needs to start."""

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Assert

from ouroboros.hw.params.timing.network import PATIENCE_CYCLES

__all__ = ["asks", "cut_through"]


def asks(m, number, channel, shadow, there, holds):
    """A head asks whenever it may, by all channels that it may use or by the one it claimed."""
    request, front, own = channel.request.p, shadow.entry[0], 1 << number
    here, waits, may, enough, held = (Signal(name=f"asks_{name}") for name in (
        "here", "waits", "may", "enough", "held"))
    channels = Signal.like(front.allowed, name="asks_channels")
    m.d.comb += [here.eq((request.ports & there) != 0), held.eq(holds.claimed != 0)]
    # Cycles in which the port could take a copy and was not asked, and in which any was waited for.
    waited, left = Signal(range(PATIENCE_CYCLES + 2)), Signal()
    patience = Signal(range(PATIENCE_CYCLES + 1))
    able, rich = Signal.like(there, name="asks_able"), Signal.like(there, name="asks_rich")
    m.d.comb += [
        able.eq(front.ports & ~shadow.copied & (shadow.reserved | Cat(
            state.free[number] for state in channel.states))),
        rich.eq(able & Cat(state.credits[number] > front.need for state in channel.states))]
    with m.If((shadow.used != 0) & ~shadow.active):
        m.d.comb += waits.eq((front.ports & ~shadow.copied) == there)
        m.d.comb += Assert(~(request.claim & here & held))
        with m.If(front.multicast):
            m.d.comb += [channels.eq(own), enough.eq(holds.shown > front.need),
                         may.eq(Mux(held, enough, (holds.free & own) != 0))]
        with m.Else():
            m.d.comb += [channels.eq(Mux(held, holds.claimed, front.allowed)),
                         enough.eq((channels & holds.credited & (holds.free | holds.claimed)) != 0),
                         may.eq(Mux(held, enough, (channels & holds.free) != 0))]
        with m.If(waits):
            m.d.comb += Assert(here == may)
        with m.If(here):
            m.d.comb += Assert(request.head & (request.allowed == channels)
                               & (request.claim == ~enough))
        m.d.comb += left.eq(front.multicast & ((front.ports & ~shadow.copied & there) != 0))
        with m.If(left & enough & (held | ((holds.free & own) != 0)) & ~here):
            m.d.sync += waited.eq(waited + 1)
        with m.If(front.multicast & (rich != 0) & (rich != able) & (patience != PATIENCE_CYCLES)):
            m.d.sync += patience.eq(patience + 1)
    m.d.comb += Assert((waited <= patience) & (patience <= PATIENCE_CYCLES))
    m.d.comb += Assert((patience == 0) | (
        (shadow.used != 0) & ~shadow.middle & front.multicast))
    with m.If(channel.freed):
        m.d.sync += [waited.eq(0), patience.eq(0)]


def cut_through(m, noc, number, channel, shadow, put, there, holds):
    """A copy starts with credits for its packet, and has one for each flit; claims are used."""
    request, front = channel.request.p, shadow.entry[0]
    copying, took = Signal(), Signal()
    m.d.comb += took.eq((shadow.took & there) != 0)
    with m.If(((channel.got & there) != 0) & ~request.claim):
        with m.If(request.head):
            m.d.sync += copying.eq(front.multicast & ~request.tail)
            m.d.comb += Assert(~front.multicast | (
                (holds.shown > front.need) & (channel.request.taken == 1 << number)))
        with m.Elif(request.tail):
            m.d.sync += copying.eq(0)
    m.d.comb += Assert(holds.have <= noc.vc_depth)
    m.d.comb += Assert(~copying | ((holds.begun == 1 << number) & (holds.have != 0)))
    m.d.comb += Assert((holds.begun == 0) | shadow.final | (
        copying & (holds.have + shadow.off + took > front.need)))
    tails = [inside & entry.tail for inside, entry in zip(
        shadow.inside, shadow.entry, strict=True)]
    left = put.rest + shadow.used
    for n, tail in reversed(list(enumerate(tails))):
        left = Mux(tail, n + 1, left)
    with m.If(copying & shadow.final):
        m.d.comb += Assert(holds.have + took >= left)
        m.d.comb += Assert(Cat(tails).any() | (put.multicast & ~put.head & (put.rest != 0)))
