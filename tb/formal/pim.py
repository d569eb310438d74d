"""Memory with processing units: re-layout loses nothing, no command breaks a timing."""

from itertools import pairwise

from amaranth import Module, Mux, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ouroboros.hw.params.dram import FAW_ACTIVATES, DramTiming, Op, rules
from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.checker import TimingChecker
from ouroboros.hw.pim.controller import Controller
from ouroboros.hw.pim.gate import TimingGate
from ouroboros.hw.pim.relayout import Relayout

__all__ = ["ControllerProof", "GateProof", "RelayoutProof", "allowed"]


class RelayoutProof(wiring.Component):
    """Every symbol leaves once, in the chip and beat where the golden model has it.

    One symbol, whichever the solver likes, is followed from its beat to the one that it leaves in.
    Places are those of a permutation, so what holds of one symbol leaves none out.
    """

    def __init__(self, chips: int, parts: int, back: bool):
        self.chips, self.parts, self.back = chips, parts, back
        super().__init__({"put": In(1), "take": In(1), "item": In(chips), "follow": In(1),
                          "lane": In(range(chips))})

    def elaborate(self, platform):
        m = Module()
        chips, parts = self.chips, self.parts

        m.submodules.relayout = unit = Relayout(chips, 1, parts)
        m.d.comb += [unit.back.eq(int(self.back)), unit.i.valid.eq(self.put),
                     unit.i.payload.as_value().eq(self.item), unit.o.ready.eq(self.take),
                     Assume(self.lane < chips)]
        put, take = Signal(), Signal()
        m.d.comb += [put.eq(unit.i.valid & unit.i.ready), take.eq(unit.o.valid & unit.o.ready)]

        held, index, given = Signal(range(2 * parts + 2)), Signal(range(parts)), Signal(
            range(parts))
        m.d.sync += held.eq(held + put - take)
        for strobe, at in ((put, index), (take, given)):
            with m.If(strobe):
                m.d.sync += at.eq(Mux(at == parts - 1, 0, at + 1))
        # Whole groups come out; a beat is taken while there is room for its group.
        m.d.comb += [Assert(held <= 2 * parts), Assert(~unit.o.valid | (held > 0)),
                     Assert(unit.o.valid == ((held + given) >= parts)),
                     Assert(unit.i.ready | (held > parts))]

        followed, value = Signal(), Signal()
        lane, before = Signal(range(chips)), Signal(range(2 * parts + 1))
        with m.If(put & self.follow & ~followed):
            m.d.sync += [followed.eq(1), value.eq(self.item.bit_select(self.lane, 1))]
            for beat in range(parts):
                for chip in range(chips):
                    place = beat * chips + chip
                    to = ((place % parts, place // parts) if not self.back
                          else divmod(chip * parts + beat, chips))
                    with m.If((index == beat) & (self.lane == chip)):
                        m.d.sync += [before.eq(held - beat + to[0] - take), lane.eq(to[1])]
        with m.Elif(followed & take):
            m.d.sync += before.eq(before - 1)
            with m.If(before == 0):
                m.d.comb += Assert(unit.o.payload.as_value().bit_select(lane, 1) == value)
                m.d.sync += followed.eq(0)

        return m


def allowed(gate: TimingGate, op, banks):
    """Whether a gate lets a command through."""
    one = (banks != 0) & ((banks & (banks - 1)) == 0)

    def within(mask):
        return (banks != 0) & ((banks & ~mask) == 0)

    return ((op == Op.NOP) | (op == Op.WR_R) | ((op == Op.REF) & gate.refresh)
            | ((op == Op.WR_SB) & gate.send) | ((op == Op.RD_RB) & gate.take)
            | ((op == Op.PRE) & within(gate.precharge)) | ((op == Op.MAC) & within(gate.mac))
            | ((op == Op.ACT) & one & within(gate.activate))
            | ((op == Op.RD) & one & within(gate.read))
            | ((op == Op.WR) & one & within(gate.write))
            | ((op == Op.LD_SB) & one & within(gate.load)))


class GateProof(wiring.Component):
    """Whatever a gate allows, at whatever time, breaks no rule of the checker.

    How often refreshes come is for who asks for them. ``kept`` is what the gate is built from, if
    that is something else.
    """

    def __init__(self, banks: int, groups: int, timing: DramTiming,
                 kept: DramTiming | None = None):
        self.groups, self.timing, self.kept = groups, timing, kept or timing
        super().__init__({"op": In(4), "banks": In(banks)})

    def elaborate(self, platform):
        m = Module()
        banks, timing = len(self.banks), self.timing

        gate = TimingGate(banks, self.groups, self.kept)
        checker = TimingChecker(banks, self.groups, timing)
        # Elaborated here: their counters are spoken of below.
        gate._MustUse__silence = checker._MustUse__silence = True
        m.submodules.gate = gate.elaborate(platform)
        m.submodules.checker = checker.elaborate(platform)
        m.d.comb += [gate.op.eq(self.op), gate.banks.eq(self.banks), checker.op.eq(self.op),
                     checker.banks.eq(self.banks), Assume(allowed(gate, self.op, self.banks))]
        for name in checker.names:
            if name != "REFI":
                m.d.comb += Assert(~checker.broken[name])

        # What countdowns and ages have in common.
        m.d.comb += Assert(gate.is_open == checker.is_open)
        for number, rule in enumerate(rules(timing)):
            for (of, n), wait in gate.waits.items():
                if of == number:
                    m.d.comb += Assert(wait + checker.ages[of, n] >= rule.cycles)
        windows, history = gate.windows, checker.history
        m.d.comb += [Assert(window < timing.faw) for window in windows]
        for place in range(len(history)):
            left = timing.faw - 1 - place
            there = windows[0] == left
            for window in windows[1:]:
                there |= window == left
            m.d.comb += Assert(history[place] == there)
        for turn in range(FAW_ACTIVATES):
            # The next one to be used is the oldest.
            ages = [windows[(turn + n) % FAW_ACTIVATES] for n in range(FAW_ACTIVATES)]
            with m.If(gate.turn == turn):
                for old, new in pairwise(ages):
                    m.d.comb += Assert((old < new) | (old == 0))

        return m


class ControllerProof(wiring.Component):
    """A controller gives only what its gate allows, whatever comes from outside."""

    def __init__(self, pim: PimParams):
        self.pim = pim
        self.controller = Controller(pim)
        super().__init__({"any": In(sum(len(value) for value in self._free()))})

    def _free(self):
        """Every input of the controller."""
        for _, member, value in self.controller.signature.flatten(self.controller):
            if member.flow == In:
                yield value.as_value() if hasattr(value, "as_value") else value

    def elaborate(self, platform):
        m = Module()
        controller = self.controller
        start = 0
        for value in self._free():
            m.d.comb += value.eq(self.any[start:start + len(value)])
            start += len(value)
        m.submodules.controller = controller
        m.d.comb += Assert(allowed(controller.gate, controller.chosen.op,
                                   controller.chosen.banks))
        return m
