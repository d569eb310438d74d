"""Commands to the banks of a DRAM with processing units, and how far apart they must be."""

from dataclasses import dataclass, fields
from enum import IntEnum

from ouroboros.hw.params.check import between

__all__ = ["COLUMN_OPS", "DDR4_3200", "FAW_ACTIVATES", "POSTPONED", "STATE_RULE", "DramTiming",
           "Op", "Rule", "Scope", "rule_names", "rules"]

FAW_ACTIVATES = 4
"""Activates that may fall into any ``faw`` clocks."""
POSTPONED = 8
"""Refreshes that may be owed at once (JEDEC DDR4)."""
STATE_RULE = "OPEN"
"""Name of what holds without a number: columns of open rows only, rows of closed banks only."""


class Op(IntEnum):
    """Commands on the command bus, one a clock."""

    NOP = 0
    ACT = 1
    """Opens a row of one bank; ACT_ALL of a request is one for each bank."""
    PRE = 2
    """Closes the rows of a set of banks; PRE_ALL is all of them."""
    REF = 3
    """Refreshes all banks."""
    RD = 4
    WR = 5
    MAC = 6
    """PIM_MAC: a column of a set of banks into their processing units."""
    LD_SB = 7
    """PIM_LD_SB: a column of a bank into the shared buffer."""
    WR_SB = 8
    """PIM_WR_SB: a burst from the rank into the shared buffer."""
    RD_RB = 9
    """PIM_RD_RB: a burst from the result buffer to the rank."""
    WR_R = 10
    """PIM_WR_R: mode of the processing units; their counters begin anew."""


COLUMN_OPS = (Op.RD, Op.WR, Op.MAC, Op.LD_SB)
"""Commands that need an open row."""


class Scope(IntEnum):
    """What two commands must share for a rule to join them."""

    BANK = 0
    GROUP = 1
    RANK = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """After a command of ``before`` none of ``after`` in the same scope for ``cycles`` clocks."""

    name: str
    """Of the entry of ``DramTiming`` that it is about."""
    before: tuple[Op, ...]
    after: tuple[Op, ...]
    scope: Scope
    cycles: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DramTiming:
    """Timings in clocks, by their JEDEC names without the t; ``bl`` is clocks of a burst.

    Raises
    ------
    ValueError
        If a value is no clock count, or two are out of order: a row that may close before its
        column is read, a short distance above its long one, refreshes that leave no time.
    """

    rcd: int
    rp: int
    ras: int
    rc: int
    rrd_s: int
    rrd_l: int
    faw: int
    ccd_s: int
    ccd_l: int
    rtp: int
    cl: int
    cwl: int
    wr: int
    wtr_s: int
    wtr_l: int
    bl: int
    rfc: int
    refi: int

    def __post_init__(self) -> None:
        for field in fields(self):
            between(field.name, getattr(self, field.name), 1, 1 << 16)
        for low, high in (("ccd_s", "ccd_l"), ("rrd_s", "rrd_l"), ("wtr_s", "wtr_l"),
                          ("rrd_l", "faw"), ("rcd", "ras"), ("bl", "ccd_s"), ("cwl", "cl"),
                          ("rfc", "refi")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must be at most {high}: {getattr(self, low)} is more than "
                                 f"{getattr(self, high)}")
        if self.rc < self.ras + self.rp:
            raise ValueError(f"rc must be at least ras + rp = {self.ras + self.rp}, not {self.rc}")
        if self.refi <= self.rfc + self.rc + self.faw * 8:
            raise ValueError(f"refi must leave time for rows between refreshes: {self.refi} is not "
                             f"more than rfc + rc + 8 faw = {self.rfc + self.rc + self.faw * 8}")

    @property
    def read_data(self) -> int:
        """Clocks from a read to the end of its burst."""
        return self.cl + self.bl

    @property
    def write_data(self) -> int:
        """Clocks from a write to the end of its burst."""
        return self.cwl + self.bl

    @property
    def read_to_write(self) -> int:
        """Clocks from a read to a write: the bus turns round."""
        return self.cl - self.cwl + self.bl + 2


DDR4_3200 = DramTiming(
    rcd=22, rp=22, ras=52, rc=74, rrd_s=4, rrd_l=8, faw=34, ccd_s=4, ccd_l=8, rtp=12, cl=22, cwl=16,
    wr=24, wtr_s=4, wtr_l=12, bl=4, rfc=560, refi=12480)
"""8 Gb x8 at 1.6 GHz, 0.625 ns a clock (DRAMsim3, DDR4_8Gb_x8_3200)."""


def rules(t: DramTiming) -> tuple[Rule, ...]:
    """Every rule between two commands; FAW, REFI and ``STATE_RULE`` are of another kind."""
    reads, from_bank = (Op.RD, Op.RD_RB), (Op.RD, Op.MAC, Op.LD_SB)
    writes = (Op.WR, Op.WR_SB)
    bus = (*reads, *writes)

    def rule(name: str, before: tuple[Op, ...], after: tuple[Op, ...], scope: Scope,
             cycles: int) -> Rule:
        return Rule(name=name, before=before, after=after, scope=scope, cycles=cycles)

    return (
        rule("RCD", (Op.ACT,), COLUMN_OPS, Scope.BANK, t.rcd),
        rule("RP", (Op.PRE,), (Op.ACT,), Scope.BANK, t.rp),
        rule("RP", (Op.PRE,), (Op.REF,), Scope.RANK, t.rp),
        rule("RAS", (Op.ACT,), (Op.PRE,), Scope.BANK, t.ras),
        rule("RC", (Op.ACT,), (Op.ACT,), Scope.BANK, t.rc),
        rule("RRD_S", (Op.ACT,), (Op.ACT,), Scope.RANK, t.rrd_s),
        rule("RRD_L", (Op.ACT,), (Op.ACT,), Scope.GROUP, t.rrd_l),
        rule("CCD_S", bus, bus, Scope.RANK, t.ccd_s),
        rule("CCD_L", (Op.RD, Op.WR, Op.LD_SB), (Op.RD, Op.WR, Op.LD_SB), Scope.GROUP, t.ccd_l),
        rule("CCD_L", COLUMN_OPS, COLUMN_OPS, Scope.BANK, t.ccd_l),
        rule("RTP", from_bank, (Op.PRE,), Scope.BANK, t.rtp),
        rule("WR", (Op.WR,), (Op.PRE,), Scope.BANK, t.write_data + t.wr),
        rule("WTR_S", writes, reads, Scope.RANK, t.write_data + t.wtr_s),
        rule("WTR_L", (Op.WR,), from_bank, Scope.GROUP, t.write_data + t.wtr_l),
        rule("RTW", reads, writes, Scope.RANK, t.read_to_write),
        rule("RFC", (Op.REF,), (Op.ACT, Op.REF), Scope.RANK, t.rfc),
    )


def rule_names(t: DramTiming) -> tuple[str, ...]:
    """Names of all rules, each once, in the order of a checker's bits."""
    return (*dict.fromkeys(rule.name for rule in rules(t)), "FAW", "REFI", STATE_RULE)
