"""Credits at the sending end of a link."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Credits"]


class Credits(wiring.Component):
    """Counts the flits that each virtual channel may still send.

    Parameters
    ----------
    channels : int
        Virtual channels of the link.
    depth : int
        Credits of each at the start, which is the depth of the buffers at the other end.

    Members
    -------
    spent : In(channels)
        Channels that send a flit in this cycle; only those that are ``credited``.
    back : In(channels)
        Channels that get a credit back; never more than were spent.
    counts : Out(range(depth + 1)).array(channels)
        Credits of each channel, as of the start of the cycle, as the next two.
    credited : Out(channels)
        Channels that have a credit.
    full : Out(channels)
        Channels that have all credits: the buffer at the other end is empty.
    """

    def __init__(self, channels: int, depth: int):
        self.channels, self.depth = channels, depth
        super().__init__({
            "spent": In(channels), "back": In(channels),
            "counts": Out(range(depth + 1), init=depth).array(channels),
            "credited": Out(channels, init=-1), "full": Out(channels, init=-1)})

    def elaborate(self, platform):
        m = Module()

        counts = Signal(data.ArrayLayout(range(self.depth + 1), self.channels),
                        init=[self.depth] * self.channels)
        # Kept beside the counts, so that nobody has to compare them in the same cycle.
        credited, full = Signal(self.channels, init=-1), Signal(self.channels, init=-1)
        m.d.comb += [self.credited.eq(credited), self.full.eq(full)]
        for vc in range(self.channels):
            m.d.comb += self.counts[vc].eq(counts[vc])

        down, up = Signal(self.channels), Signal(self.channels)
        with m.If((self.spent | self.back) != 0):
            m.d.comb += [down.eq(self.spent & ~self.back), up.eq(self.back & ~self.spent)]
            for vc in range(self.channels):
                with m.If(down[vc]):
                    m.d.sync += counts[vc].eq(counts[vc] - 1)
                    m.d.sync += credited[vc].eq(counts[vc] != 1)
                    m.d.sync += full[vc].eq(0)
                with m.If(up[vc]):
                    m.d.sync += counts[vc].eq(counts[vc] + 1)
                    m.d.sync += credited[vc].eq(1)
                    m.d.sync += full[vc].eq(counts[vc] == self.depth - 1)

        return m
