"""Walks all banks through the rows of a phase: which of them opens, multiplies or closes next."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.arbiter import lowest
from ouroboros.hw.params.pim import BURST_BYTES, PimParams

__all__ = ["UNIT_LATENCY", "Walker", "phase_layout", "unit_bits"]

UNIT_LATENCY = 4
"""Clocks from a bank's last MAC of a step until its result can be read."""


def unit_bits(pim: PimParams) -> int:
    """Width of a count of steps."""
    return (pim.context // BURST_BYTES).bit_length() + 1


def phase_layout(pim: PimParams) -> data.StructLayout:
    """A phase: sums (``value``), else scores, of so many steps, from a row on."""
    return data.StructLayout({
        "value": 1, "half": 1, "row": ceil_log2(pim.rows), "units": unit_bits(pim)})


class Walker(wiring.Component):
    """Requests of the banks; in lockstep all work together, staggered each at its own time.

    In lockstep a MAC waits for all banks; staggered it is for those that can, and each bank goes
    on to its next row when it is done with one. While a refresh is due no row is opened.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    phases : In(stream of phase_layout(pim))
        What to do; the next one is begun when the last one is complete.
    staggered, due : In(1)
        How banks work (static); a refresh is due.
    is_open, can_activate, can_precharge, can_mac : In(banks)
        What ``TimingGate`` says.
    allowed, moved : In(2), In(unit_bits(pim))
        Phases that may multiply so far, modulo 4; steps of the last of them that have left the
        result buffer, or whose weights have come.
    precharge, activate, mac : Out(banks)
        Requests; ``activate`` is one bank, with ``row``.
    begin : Out(1)
        Request of WR_R for ``phase``.
    gave_precharge, gave_activate, gave_mac, gave_begin : In(1)
        The request is granted in this clock.
    phase : Out(phase_layout(pim))
        Phase at work, while ``active``.
    active : Out(1)
        Something is to be done.
    closing : Out(1)
        Rows are to be closed.
    completed, common : Out(2), Out(unit_bits(pim))
        Complete phases, modulo 4; steps of the phase at work that all banks are through with.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        banks, bits = pim.banks, unit_bits(pim)
        super().__init__({
            "phases": In(stream.Signature(phase_layout(pim))),
            "staggered": In(1), "due": In(1), "is_open": In(banks), "can_activate": In(banks),
            "can_precharge": In(banks), "can_mac": In(banks), "allowed": In(2), "moved": In(bits),
            "precharge": Out(banks), "activate": Out(banks), "mac": Out(banks), "begin": Out(1),
            "row": Out(ceil_log2(pim.rows)), "phase": Out(phase_layout(pim)),
            "gave_precharge": In(1), "gave_activate": In(1), "gave_mac": In(1),
            "gave_begin": In(1), "active": Out(1), "closing": Out(1), "completed": Out(2),
            "common": Out(bits),
        })

    def elaborate(self, platform):
        m = Module()
        pim, bits = self.pim, unit_bits(self.pim)

        phase, active, begun = Signal(phase_layout(pim)), Signal(), Signal()
        completed, common = Signal(2), Signal(bits)
        m.d.comb += [self.phase.eq(phase), self.active.eq(active | self.phases.valid),
                     self.completed.eq(completed), self.phases.ready.eq(~active)]
        start = self.phases.valid & self.phases.ready
        macs = Mux(phase.value, pim.value_unit_macs, pim.score_unit_macs)

        mine = Signal()     # the phase at work is the one that flow control speaks of
        limit = Signal(bits + 1)
        m.d.comb += [
            mine.eq(self.allowed == (completed + 1)[:2]),
            limit.eq(Mux(mine, self.moved, 0) + Mux(phase.value, 0, pim.result_depth))]

        # In lockstep rows are opened all or none.
        may_open = Signal()
        m.d.comb += may_open.eq(~self.due | (~self.staggered & (self.is_open != 0)))
        ended = Signal(pim.banks)   # rows that are to be closed
        ready, wants_row, passed, done = (
            Signal(pim.banks, name=name) for name in ("ready", "wants_row", "passed", "done"))
        rows = []
        for bank in range(pim.banks):
            inner = Signal(range(max(pim.score_unit_macs, pim.value_unit_macs)),
                           name=f"inner_{bank}")
            unit = Signal(bits, name=f"unit_{bank}")
            column = Signal(range(pim.columns), name=f"column_{bank}")
            row = Signal(ceil_log2(pim.rows), name=f"row_{bank}")
            rows.append(row)
            last = Signal(name=f"last_{bank}")
            m.d.comb += [
                last.eq(inner == macs - 1), done[bank].eq(unit == phase.units),
                passed[bank].eq(unit != common),
                ready[bank].eq(active & begun & self.can_mac[bank] & ~ended[bank] & ~done[bank]
                               & (unit < limit)),
                wants_row[bank].eq(active & ~self.is_open[bank] & ~done[bank] & may_open
                                   & self.can_activate[bank])]
            with m.If(start):
                m.d.sync += [inner.eq(0), unit.eq(0), column.eq(0), row.eq(self.phases.p.row)]
            with m.Elif(self.gave_mac & self.mac[bank]):
                m.d.sync += [inner.eq(Mux(last, 0, inner + 1)), column.eq(column + 1),
                             unit.eq(unit + last)]
                with m.If(column == pim.columns - 1):
                    m.d.sync += row.eq(row + 1)
                with m.If((column == pim.columns - 1) | (last & (unit == phase.units - 1))):
                    m.d.sync += ended[bank].eq(1)
            with m.If(self.gave_precharge & self.precharge[bank]):
                m.d.sync += ended[bank].eq(0)
        # Rows that somebody else has left open.
        with m.If(start | (self.due & ~active)):
            m.d.sync += ended.eq(self.is_open & ~Mux(self.gave_precharge, self.precharge, 0))

        closes = ended & self.is_open
        m.d.comb += self.closing.eq(closes != 0)
        together = Signal(range(pim.timing.ccd_l + 1))
        with m.If(self.gave_mac):
            m.d.sync += together.eq(pim.timing.ccd_l - 1)
        with m.Elif(together != 0):
            m.d.sync += together.eq(together - 1)
        with m.If(self.staggered):
            m.d.comb += [self.precharge.eq(closes & self.can_precharge),
                         self.mac.eq(Mux(together == 0, ready, 0))]
        with m.Else():
            everyone = (closes != 0) & ((closes & ~self.can_precharge) == 0) & (
                (self.is_open & ~closes) == 0)
            m.d.comb += [self.precharge.eq(Mux(everyone, closes, 0)),
                         self.mac.eq(Mux(ready.all(), ready, 0))]
        chosen = lowest(wants_row)
        m.d.comb += self.activate.eq(chosen)
        for bank, row in enumerate(rows):
            with m.If(chosen[bank]):
                m.d.comb += self.row.eq(row)

        m.d.comb += self.begin.eq(active & ~begun & mine)
        with m.If(self.gave_begin):
            m.d.sync += begun.eq(1)

        advance = Signal(UNIT_LATENCY)
        m.d.sync += advance.eq(Cat(active & passed.all(), advance[:-1]))
        seen = Signal(bits)
        m.d.comb += self.common.eq(seen)
        with m.If(active & passed.all()):
            m.d.sync += common.eq(common + 1)
        with m.If(advance[-1]):
            m.d.sync += seen.eq(seen + 1)
        with m.If(start):
            m.d.sync += [phase.eq(self.phases.payload), active.eq(1), begun.eq(0), common.eq(0),
                         seen.eq(0)]
        with m.Elif(active & begun & (seen == phase.units)):
            m.d.sync += [active.eq(0), completed.eq(completed + 1)]

        return m
