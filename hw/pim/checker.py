"""Timing checker: looks at the commands of a rank and says which rules each of them breaks."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.dram import (
    COLUMN_OPS,
    FAW_ACTIVATES,
    POSTPONED,
    STATE_RULE,
    DramTiming,
    Op,
    Rule,
    Scope,
    rule_names,
    rules,
)

__all__ = ["TimingChecker", "is_op", "touched"]


def is_op(op, ops) -> object:
    """Whether a command is one of ``ops``."""
    found = op == ops[0]
    for other in ops[1:]:
        found |= op == other
    return found


def touched(banks, scope: Scope, groups: int) -> list:
    """For each instance of a scope whether a set of banks has a part in it."""
    if scope == Scope.RANK:
        return [1]
    if scope == Scope.BANK:
        return [banks[n] for n in range(len(banks))]
    found = []
    for group in range(groups):
        members = [banks[n] for n in range(group, len(banks), groups)]
        one = members[0]
        for other in members[1:]:
            one |= other
        found.append(one)
    return found


class TimingChecker(wiring.Component):
    """Tells of every command which rules it breaks, by the ages of the commands before it.

    It has no part in making commands and no other state in common with who makes them. A broken
    rule is told once, and the command counts as given.

    Parameters
    ----------
    banks, groups : int
        Banks of a chip, and their groups; bank b is of group ``b % groups``.
    timing : DramTiming
        What must hold.

    Members
    -------
    op : In(4)
        Command of this clock, ``Op``.
    banks : In(banks)
        Banks that it is for, with commands that are for banks.
    broken : Out(StructLayout)
        Bit by rule name, in the clock of the command (not registered). REFI is told in the clock
        in which a ninth refresh is owed.
    count : Out(32)
        Clocks in which any rule was broken.
    """

    def __init__(self, banks: int, groups: int, timing: DramTiming):
        self.groups, self.timing = groups, timing
        self.names = rule_names(timing)
        self.ages: dict[tuple[int, int], Signal] = {}      # of proofs: by rule and instance
        self.history, self.is_open = Signal(timing.faw - 1), Signal(banks)
        super().__init__({
            "op": In(4),
            "banks": In(banks),
            "broken": Out(data.StructLayout(dict.fromkeys(self.names, 1))),
            "count": Out(32),
        })

    def elaborate(self, platform):
        m = Module()

        found = {name: [] for name in self.names}
        for number, rule in enumerate(rules(self.timing)):
            found[rule.name] += self._ages(m, number, rule)
        found["FAW"].append(self._activates(m))
        found["REFI"].append(self._refreshes(m))
        found[STATE_RULE].append(self._state(m))
        for name, broken in found.items():
            whole = Signal(name=f"broken_{name.lower()}")
            one = broken[0]
            for other in broken[1:]:
                one |= other
            m.d.comb += [whole.eq(one), self.broken[name].eq(whole)]
        with m.If(self.broken.as_value() != 0):
            m.d.sync += self.count.eq(self.count + 1)

        return m

    def _ages(self, m: Module, number: int, rule: Rule) -> list:
        """Clocks since the last command of ``rule.before`` in each instance, up to the limit."""
        before, after = is_op(self.op, rule.before), is_op(self.op, rule.after)
        found = []
        for n, here in enumerate(touched(self.banks, rule.scope, self.groups)):
            age = Signal(range(rule.cycles + 1), init=rule.cycles, name=f"age_{number}_{n}")
            self.ages[number, n] = age
            with m.If(before & here):
                m.d.sync += age.eq(min(1, rule.cycles))
            with m.Elif(age < rule.cycles):
                m.d.sync += age.eq(age + 1)
            found.append(after & here & (age < rule.cycles))
        return found

    def _activates(self, m: Module):
        """FAW: activates of the last clocks, one bit each."""
        history = self.history
        activate = self.op == Op.ACT
        recent = Signal(range(self.timing.faw))
        m.d.comb += recent.eq(sum(history[n] for n in range(len(history))))
        m.d.sync += history.eq(history << 1 | activate)
        return activate & (recent >= FAW_ACTIVATES)

    def _refreshes(self, m: Module):
        """REFI: refreshes that are owed."""
        clock = Signal(range(self.timing.refi))
        owed = Signal(range(POSTPONED + 2))
        turn, refresh = Signal(), Signal()
        m.d.comb += [turn.eq(clock == self.timing.refi - 1), refresh.eq(self.op == Op.REF)]
        m.d.sync += clock.eq(Mux(turn, 0, clock + 1))
        late = Signal()
        m.d.comb += late.eq(turn & ~refresh & (owed >= POSTPONED))
        with m.If(turn & ~refresh & (owed < POSTPONED)):
            m.d.sync += owed.eq(owed + 1)
        with m.Elif(refresh & ~turn & (owed != 0)):
            m.d.sync += owed.eq(owed - 1)
        return late

    def _state(self, m: Module):
        """Columns are of open rows, ACT is of one closed bank, REF of closed banks only."""
        is_open, banks = self.is_open, self.banks
        broken = Signal(name="state_broken")
        with m.If(is_op(self.op, COLUMN_OPS)):
            m.d.comb += broken.eq(((banks & ~is_open) != 0) | (banks == 0))
        with m.Elif(self.op == Op.ACT):
            m.d.comb += broken.eq(
                ((banks & is_open) != 0) | ((banks & (banks - 1)) != 0) | (banks == 0))
            m.d.sync += is_open.eq(is_open | banks)
        with m.Elif(self.op == Op.PRE):
            m.d.sync += is_open.eq(is_open & ~banks)
        with m.Elif(self.op == Op.REF):
            m.d.comb += broken.eq(is_open != 0)
        return broken
