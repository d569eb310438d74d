"""First-in first-out queue of any depth."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Queue"]


class Queue(wiring.Component):
    """Queue with one cycle of latency; takes and gives one item per cycle.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an item.
    depth : int
        Items it holds; at least 1.

    Members
    -------
    i : In(stream(shape))
        Items; ready until ``depth`` items are held.
    o : Out(stream(shape))
        The same items in the same order.
    """

    def __init__(self, shape: ShapeLike, depth: int):
        self.shape = shape
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()

        level = Signal(range(self.depth + 1))
        head = Signal(range(self.depth))
        end = Signal(range(self.depth))
        put = self.i.valid & self.i.ready
        take = self.o.valid & self.o.ready

        m.submodules.items = items = memory.Memory(shape=self.shape, depth=self.depth, init=[])
        write = items.write_port()
        read = items.read_port(domain="comb")

        m.d.comb += [
            self.i.ready.eq(level != self.depth),
            self.o.valid.eq(level != 0),
            write.en.eq(put),
            write.addr.eq(end),
            write.data.eq(self.i.payload),
            read.addr.eq(head),
            self.o.payload.eq(read.data),
        ]
        with m.If(put):
            m.d.sync += end.eq(Mux(end == self.depth - 1, 0, end + 1))
        with m.If(take):
            m.d.sync += head.eq(Mux(head == self.depth - 1, 0, head + 1))
        with m.If(put & ~take):
            m.d.sync += level.eq(level + 1)
        with m.If(take & ~put):
            m.d.sync += level.eq(level - 1)

        return m
