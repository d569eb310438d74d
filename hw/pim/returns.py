"""Bursts on their way back from the chips: each comes when its last beat would."""

from enum import IntEnum

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.dram import Op
from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.bank import WORD
from ouroboros.hw.pim.command import command_layout

__all__ = ["Kind", "Returns"]

CHIP_LATENCY = 2


class Kind(IntEnum):
    """What a burst is."""

    SCORES = 0
    SUMS = 1
    COLUMN = 2


class Returns(wiring.Component):
    """Keeps the words of the chips until ``cl + bl`` clocks after their command.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    command : In(command_layout(pim))
        Command at the chips in this clock.
    words : In(ArrayLayout(64, chips))
        What the chips give.
    valid, kind, burst : Out(1), Out(2), Out(ArrayLayout(64, chips))
        A burst that is complete.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        words = data.ArrayLayout(WORD, pim.chips)
        super().__init__({"command": In(command_layout(pim)), "words": In(words),
                          "valid": Out(1), "kind": Out(Kind), "burst": Out(words)})

    def elaborate(self, platform):
        m = Module()
        timing = self.pim.timing

        depth = timing.read_data // timing.ccd_s + 2
        m.submodules.kept = kept = Memory(
            shape=data.ArrayLayout(WORD, self.pim.chips), depth=depth, init=[])
        m.submodules.kinds = kinds = Memory(shape=Kind, depth=depth, init=[])
        write, read = kept.write_port(), kept.read_port(domain="comb")
        write_kind, read_kind = kinds.write_port(), kinds.read_port(domain="comb")

        coming = Signal()
        kind = Signal(Kind)
        m.d.comb += [
            coming.eq((self.command.op == Op.RD) | (self.command.op == Op.RD_RB)),
            kind.eq(Mux(self.command.op == Op.RD, Kind.COLUMN,
                        Mux(self.command.value, Kind.SUMS, Kind.SCORES)))]
        late = Signal(max(timing.read_data, CHIP_LATENCY + 1))
        m.d.sync += late.eq(Cat(coming, late[:-1]))
        kind_late = [kind]
        for n in range(CHIP_LATENCY):
            kind_late.append(Signal(Kind, name=f"kind_{n}"))
            m.d.sync += kind_late[-1].eq(kind_late[-2])

        put, take = Signal(range(depth)), Signal(range(depth))
        m.d.comb += [
            write.addr.eq(put), write.data.eq(self.words), write.en.eq(late[CHIP_LATENCY - 1]),
            write_kind.addr.eq(put), write_kind.data.eq(kind_late[-1]),
            write_kind.en.eq(write.en),
            read.addr.eq(take), read_kind.addr.eq(take),
            self.valid.eq(late[-1]), self.kind.eq(read_kind.data), self.burst.eq(read.data)]
        with m.If(write.en):
            m.d.sync += put.eq(Mux(put == depth - 1, 0, put + 1))
        with m.If(self.valid):
            m.d.sync += take.eq(Mux(take == depth - 1, 0, take + 1))

        return m
