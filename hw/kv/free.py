"""FREE of the KV tile manager: takes the pages of a sequence one after the other."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SequenceFreer"]


class SequenceFreer(wiring.Component):
    """Gives every block of a sequence back, one per cycle.

    From the cycle after ``start`` on a page is dropped in each cycle, as long as there is one. Its
    places are read in the cycle after, selected in the one after that, and given back in the next.
    ``ended`` comes in the cycle in which there is no page any more, while the last ones are still
    on their way (``busy``).

    Members
    -------
    start, ended : In(1), Out(1)
        First cycle, in which nothing happens yet, and last one.
    any : In(1)
        The sequence has a page.
    drop, read, select, give_back : Out(1)
        The steps, each a cycle after the one before.
    busy : Out(1)
        One of the last three is still to come.
    """

    def __init__(self):
        super().__init__({
            "start":     In(1),
            "ended":     Out(1),
            "any":       In(1),
            "drop":      Out(1),
            "read":      Out(1),
            "select":    Out(1),
            "give_back": Out(1),
            "busy":      Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        walking = Signal()
        m.d.comb += [
            self.drop.eq(walking & self.any), self.ended.eq(walking & ~self.any),
            self.busy.eq(self.read | self.select | self.give_back),
        ]
        m.d.sync += [self.read.eq(self.drop), self.select.eq(self.read),
                     self.give_back.eq(self.select),
                     walking.eq(self.start | (walking & ~self.ended))]

        return m
