"""Random commands as fast as a timing gate lets them through, with a checker beside it."""

from amaranth import Array, Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.arbiter import lowest
from ouroboros.hw.params.dram import DramTiming, Op
from ouroboros.hw.pim.checker import TimingChecker
from ouroboros.hw.pim.gate import TimingGate

__all__ = ["RandomTraffic"]

SEED_BITS = 64
MORE = {Op.ACT: (11, 12, 13), Op.MAC: (14, 15)}
"""Wishes without a command of their own."""


class RandomTraffic(wiring.Component):
    """Asks for any command at any time; gives those that the gate allows.

    Refreshes are given when they are due, after rows are closed.

    Parameters
    ----------
    banks, groups : int
        Banks of a chip, and their groups.
    timing : DramTiming
        What must hold.

    Members
    -------
    seed : In(64)
        Not 0; taken while ``start``.
    start : In(1)
        Begin.
    op, banks : Out(4), Out(banks)
        Command of this clock.
    given : Out(32) array, by ``Op``
        Commands so far.
    total : Out(32)
        All of them.
    breaks : Out(32)
        Clocks in which the checker found a rule broken.
    """

    def __init__(self, banks: int, groups: int, timing: DramTiming):
        self.groups, self.timing, self.count = groups, timing, banks
        super().__init__({
            "seed": In(SEED_BITS), "start": In(1), "op": Out(4), "banks": Out(banks),
            "given": Out(32).array(len(Op)), "total": Out(32), "breaks": Out(32)})

    def elaborate(self, platform):
        m = Module()
        banks = self.count

        m.submodules.gate = gate = TimingGate(banks, self.groups, self.timing)
        m.submodules.checker = checker = TimingChecker(banks, self.groups, self.timing)
        # Marsaglia's xorshift, 13, 7, 17.
        state, one, two = Signal(SEED_BITS, init=1), Signal(SEED_BITS), Signal(SEED_BITS)
        m.d.comb += [one.eq(state ^ (state << 13)), two.eq(one ^ (one >> 7))]
        m.d.sync += state.eq(Mux(self.start, self.seed, two ^ (two << 17)))

        wish = state[:4]
        one_bank = 1 << state[8:8 + (banks - 1).bit_length()]
        some = state[16:16 + banks] | one_bank
        # Half of the time rows stay open, so that columns of many banks meet.
        closes = (state[48:52] == 0) | gate.due
        m.d.comb += self.banks.eq(0)
        asks = {
            Op.ACT: lowest(gate.activate & Mux(state[40], some, one_bank)),
            Op.PRE: Mux(closes, gate.precharge & gate.is_open & some, 0),
            Op.MAC: gate.mac & some, Op.RD: lowest(gate.read & some),
            Op.WR: lowest(gate.write & some), Op.LD_SB: lowest(gate.load & some)}
        with m.If(self.start):
            m.d.comb += self.op.eq(Op.NOP)
        with m.Elif(gate.due & gate.refresh):
            m.d.comb += self.op.eq(Op.REF)
        with m.Elif(gate.due & ((wish & 3) != 0)):
            with m.If(asks[Op.PRE] != 0):
                m.d.comb += [self.op.eq(Op.PRE), self.banks.eq(asks[Op.PRE])]
        with m.Else():
            with m.Switch(wish):
                for op, mask in asks.items():
                    with m.Case(op, *MORE.get(op, ())):
                        with m.If((mask != 0) & ~((op == Op.ACT) & gate.due)):
                            m.d.comb += [self.op.eq(op), self.banks.eq(mask)]
                with m.Case(Op.WR_SB):
                    with m.If(gate.send):
                        m.d.comb += self.op.eq(Op.WR_SB)
                with m.Case(Op.RD_RB):
                    with m.If(gate.take):
                        m.d.comb += self.op.eq(Op.RD_RB)
                with m.Case(Op.WR_R):
                    m.d.comb += self.op.eq(Op.WR_R)
        m.d.comb += [gate.op.eq(self.op), gate.banks.eq(self.banks), checker.op.eq(self.op),
                     checker.banks.eq(self.banks), self.breaks.eq(checker.count)]
        counts = Array(Signal(32, name=f"count_{op.name.lower()}") for op in Op)
        with m.If(self.op != Op.NOP):
            m.d.sync += [counts[self.op].eq(counts[self.op] + 1), self.total.eq(self.total + 1)]
        m.d.comb += [self.given[op].eq(counts[op]) for op in Op]

        return m
