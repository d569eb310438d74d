"""What a rank's commands must keep to, judged one after the other by their times."""

from dataclasses import dataclass, field

from ouroboros.hw.params.dram import DramTiming, Op

__all__ = ["DramGolden"]

LONG_AGO = -(1 << 40)
OWED_MAX = 8


@dataclass(kw_only=True, slots=True)
class _Bank:
    """Times of the last commands to a bank."""

    is_open: bool = False
    activate: int = LONG_AGO
    precharge: int = LONG_AGO
    fetch: int = LONG_AGO       # RD, MAC, LD_SB
    write: int = LONG_AGO


@dataclass(kw_only=True)
class DramGolden:
    """JEDEC's rules by the times of commands; knows nothing of counters.

    Parameters
    ----------
    banks, groups : int
        Banks of a chip, and their groups; bank b is of group ``b % groups``.
    timing : DramTiming
        What must hold.
    """

    banks: int
    groups: int
    timing: DramTiming
    _banks: list[_Bank] = field(init=False)
    _activates: list[int] = field(default_factory=list)
    _reads: int = LONG_AGO          # on the data bus: RD, RD_RB
    _writes: int = LONG_AGO         # WR, WR_SB
    _refresh: int = LONG_AGO
    _owed: int = 0
    _turns: int = 0

    def __post_init__(self) -> None:
        self._banks = [_Bank() for _ in range(self.banks)]

    def judge(self, time: int, op: Op, banks: int = 0) -> set[str]:
        """Rules that a command (``banks``: a bit each) breaks at ``time``; times must rise.

        The command counts as given. Refreshes that fell due before ``time`` and are late by then
        are told with it, as ``REFI``.
        """
        broken = self._late(time, op)
        t = self.timing
        of = [n for n in range(self.banks) if banks >> n & 1]
        if op == Op.ACT:
            broken |= self._activate(time, of)
        elif op == Op.PRE:
            for n in of:
                bank = self._banks[n]
                if time < bank.activate + t.ras:
                    broken.add("RAS")
                if time < bank.fetch + t.rtp:
                    broken.add("RTP")
                if time < bank.write + t.cwl + t.bl + t.wr:
                    broken.add("WR")
                bank.precharge, bank.is_open = time, False
        elif op == Op.REF:
            if any(bank.is_open for bank in self._banks):
                broken.add("OPEN")
            if any(time < bank.precharge + t.rp for bank in self._banks):
                broken.add("RP")
            if time < self._refresh + t.rfc:
                broken.add("RFC")
            self._refresh = time
        elif op in (Op.RD, Op.WR, Op.MAC, Op.LD_SB):
            broken |= self._column(time, op, of)
        if op in (Op.RD, Op.RD_RB, Op.WR, Op.WR_SB):
            broken |= self._bus(time, reads=op in (Op.RD, Op.RD_RB))
        return broken

    def _activate(self, time: int, of: list[int]) -> set[str]:
        t, broken = self.timing, set()
        if len(of) != 1 or self._banks[of[0]].is_open:
            broken.add("OPEN")
        if time < self._refresh + t.rfc:
            broken.add("RFC")
        if self._activates and time < self._activates[-1] + t.rrd_s:
            broken.add("RRD_S")
        if len(self._activates) >= 4 and time < self._activates[-4] + t.faw:
            broken.add("FAW")
        touched = {n % self.groups for n in of}
        for n, bank in enumerate(self._banks):
            if n % self.groups in touched and time < bank.activate + t.rrd_l:
                broken.add("RRD_L")
        for n in of:
            bank = self._banks[n]
            if time < bank.precharge + t.rp:
                broken.add("RP")
            if time < bank.activate + t.rc:
                broken.add("RC")
        for n in of:
            self._banks[n].activate, self._banks[n].is_open = time, True
        self._activates = [*self._activates[-3:], time]
        return broken

    def _column(self, time: int, op: Op, of: list[int]) -> set[str]:
        t, broken = self.timing, set()
        if not of or not all(self._banks[n].is_open for n in of):
            broken.add("OPEN")
        for n in of:
            bank = self._banks[n]
            if time < bank.activate + t.rcd:
                broken.add("RCD")
            if time < max(bank.fetch, bank.write) + t.ccd_l:
                broken.add("CCD_L")
        for n, bank in enumerate(self._banks):
            if n % self.groups not in {one % self.groups for one in of}:
                continue
            if op != Op.WR and time < bank.write + t.cwl + t.bl + t.wtr_l:
                broken.add("WTR_L")
            if op != Op.MAC and time < self._singles.get(n % self.groups, LONG_AGO) + t.ccd_l:
                broken.add("CCD_L")
        for n in of:
            if op == Op.WR:
                self._banks[n].write = time
            else:
                self._banks[n].fetch = time
            if op != Op.MAC:
                self._singles[n % self.groups] = time
        return broken

    def _bus(self, time: int, *, reads: bool) -> set[str]:
        t, broken = self.timing, set()
        if time < max(self._reads, self._writes) + t.ccd_s:
            broken.add("CCD_S")
        if reads and time < self._writes + t.cwl + t.bl + t.wtr_s:
            broken.add("WTR_S")
        if not reads and time < self._reads + t.cl - t.cwl + t.bl + 2:
            broken.add("RTW")
        if reads:
            self._reads = time
        else:
            self._writes = time
        return broken

    def _late(self, time: int, op: Op) -> set[str]:
        """Refreshes owed: one more every ``refi`` clocks, one less with each REF."""
        broken = set()
        turns = (time + 1) // self.timing.refi
        now = (time + 1) % self.timing.refi == 0
        for turn in range(self._turns + 1, turns + 1):
            if turn == turns and now and op == Op.REF:
                continue        # comes and goes at once
            if self._owed >= OWED_MAX:
                broken.add("REFI")
            else:
                self._owed += 1
        if op == Op.REF and not now:
            self._owed = max(0, self._owed - 1)
        self._turns = turns
        return broken

    _singles: dict[int, int] = field(default_factory=dict)      # by group: RD, WR, LD_SB
