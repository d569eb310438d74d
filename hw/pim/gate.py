"""Timing gate: which commands the rules allow now."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.dram import COLUMN_OPS, FAW_ACTIVATES, DramTiming, Op, Scope, rules
from ouroboros.hw.pim.checker import is_op, touched

__all__ = ["TimingGate"]


class TimingGate(wiring.Component):
    """Counts down, after each command, how long others must wait.

    Parameters
    ----------
    banks, groups : int
        Banks of a chip, and their groups.
    timing : DramTiming
        What must hold.
    batch : int
        Refreshes that are owed before any is asked for; then all are.

    Members
    -------
    op, banks : In(4), In(banks)
        Command of this clock. It must be one that is allowed.
    is_open : Out(banks)
        Banks with an open row.
    activate, precharge, mac, read, write, load : Out(banks)
        Banks for which ACT, PRE, MAC, RD, WR, LD_SB are allowed now.
    refresh, send, take : Out(1)
        Whether REF, WR_SB, RD_RB are allowed now.
    due : Out(1)
        A refresh is owed.
    """

    def __init__(self, banks: int, groups: int, timing: DramTiming, batch: int = 1):
        self.groups, self.timing, self.batch = groups, timing, batch
        masks = ("is_open", "activate", "precharge", "mac", "read", "write", "load")
        self.waits: dict[tuple[int, int], Signal] = {}     # of proofs: by rule and instance
        self.windows: list[Signal] = []
        super().__init__({
            "op": In(4),
            "banks": In(banks),
            **{name: Out(banks) for name in masks},
            "refresh": Out(1), "send": Out(1), "take": Out(1), "due": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        banks, groups = len(self.banks), self.groups
        op = self.op
        is_open = Signal(banks)
        with m.If(op == Op.ACT):
            m.d.sync += is_open.eq(is_open | self.banks)
        with m.Elif(op == Op.PRE):
            m.d.sync += is_open.eq(is_open & ~self.banks)
        m.d.comb += self.is_open.eq(is_open)

        waits = {other: [[] for _ in range(banks)] for other in Op}
        for number, rule in enumerate(rules(self.timing)):
            before = is_op(op, rule.before)
            for n, here in enumerate(touched(self.banks, rule.scope, groups)):
                wait = Signal(range(rule.cycles), name=f"wait_{number}_{n}")
                self.waits[number, n] = wait
                with m.If(before & here):
                    m.d.sync += wait.eq(rule.cycles - 1)
                with m.Elif(wait != 0):
                    m.d.sync += wait.eq(wait - 1)
                for bank in range(banks):
                    at = {Scope.BANK: bank, Scope.GROUP: bank % groups, Scope.RANK: 0}[rule.scope]
                    if at == n:
                        for after in rule.after:
                            waits[after][bank].append(wait != 0)
        for bank in range(banks):
            waits[Op.ACT][bank].append(self._window(m) if bank == 0 else self.window)

        def free(which: Op) -> Cat:
            return Cat(~Cat(*one).any() for one in waits[which])

        m.d.comb += [
            self.activate.eq(free(Op.ACT) & ~is_open),
            self.precharge.eq(free(Op.PRE)),
            self.mac.eq(free(Op.MAC) & is_open), self.read.eq(free(Op.RD) & is_open),
            self.write.eq(free(Op.WR) & is_open), self.load.eq(free(Op.LD_SB) & is_open),
            self.refresh.eq(free(Op.REF)[0] & (is_open == 0)),
            self.send.eq(free(Op.WR_SB)[0]), self.take.eq(free(Op.RD_RB)[0]),
        ]
        self._owed(m)
        return m

    def _window(self, m: Module):
        """Whether four activates are too near: a countdown for each of the last four."""
        left = [Signal(range(self.timing.faw), name=f"window_{n}") for n in range(FAW_ACTIVATES)]
        turn = Signal(range(FAW_ACTIVATES))
        self.windows, self.turn = left, turn
        self.window = Signal(name="window_full")
        for n, one in enumerate(left):
            with m.If((self.op == Op.ACT) & (turn == n)):
                m.d.sync += one.eq(self.timing.faw - 1)
            with m.Elif(one != 0):
                m.d.sync += one.eq(one - 1)
            with m.If(turn == n):
                m.d.comb += self.window.eq(one != 0)
        with m.If(self.op == Op.ACT):
            m.d.sync += turn.eq(turn + 1)
        return self.window

    def _owed(self, m: Module) -> None:
        clock = Signal(range(self.timing.refi))
        owed = Signal(8)
        turn = clock == self.timing.refi - 1
        m.d.sync += clock.eq(Mux(turn, 0, clock + 1))
        with m.If(turn & (self.op != Op.REF)):
            m.d.sync += owed.eq(owed + 1)
        with m.Elif(~turn & (self.op == Op.REF) & (owed != 0)):
            m.d.sync += owed.eq(owed - 1)
        paying = Signal()
        m.d.comb += self.due.eq((owed >= self.batch) | (paying & (owed != 0)))
        m.d.sync += paying.eq(self.due)


assert set(COLUMN_OPS) == {Op.RD, Op.WR, Op.MAC, Op.LD_SB}
