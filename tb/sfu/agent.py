"""Stand-in for controller, array and buffer of an SFU; compares every completion with the golden.

Each instruction changes exactly the words that the golden model changes, in the cycles that
``hw.params.timing.sfu`` promises.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroboros.hw.params.isa import Fn
from ouroboros.hw.params.packet import Unit
from ouroboros.hw.params.timing.sfu import sfu_cycles, sfu_occupancy
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.lib.met import met
from ouroboros.tb.lib.stream import StreamSource
from ouroboros.tb.sfu.cases import Case, SfuCases

__all__ = ["SfuAgent"]

READS = ("read_a", "read_b")


@dataclass(slots=True)
class _Flight:
    case: Case
    start: int
    elements: int = 0
    released: int = 0


class SfuAgent(Agent):
    """Runs instructions on the ports of ``hw.sfu.sfu.Sfu``.

    Parameters
    ----------
    cases : SfuCases
        Machine, tables of the golden model and contents of the buffer.
    overlap : bool
        Whether an instruction may be issued before the one before it is done.
    """

    def __init__(self, dut: Dut, cases: SfuCases, *, overlap: bool = True, stall: float = 0.0,
                 rng: random.Random | None = None):
        super().__init__(dut, stall=stall, rng=rng)
        self.machine, self.golden, self.overlap = cases.machine, cases.golden, overlap
        self.expected = cases.buffer.copy()
        self.words = cases.buffer.copy().reshape(-1, 4 * self.machine.core.lanes)
        self.checked = 0
        self._waiting: deque[Case] = deque()
        self._flying: deque[_Flight] = deque()
        self._last: _Flight | None = None
        self._read: dict[str, int] = {}
        # First: what is fetched while an instruction is taken is of the one before.
        self.ends.append(self)
        self.issue = StreamSource(self, "issue", idle=self._holds, taken=self._begin)
        self.drain = StreamSource(self, "drain")

    async def configure(self, *, silu: bool = True) -> None:
        """Write the tables of the golden model, and an entry of another unit."""
        for unit, entries in ((Unit.PARAM, self.golden.params), (Unit.SILU, self.golden.silu)):
            for n, entry in enumerate(entries if unit == Unit.PARAM or silu else ()):
                await self.write(unit, n, int.from_bytes(entry.tobytes(), "little"))
        await self.write(Unit.STEP, 0, 0x1234)

    async def run(self, cases: Iterable[Case]) -> None:
        """Issue instructions; returns when all are done."""
        for case in cases:
            self._waiting.append(case)
            self.issue.send({"instruction": case.instruction, "slot": case.slot,
                             "base": case.base, "tokens": case.tokens})
            for values, marks in case.drain:
                self.drain.send({"data": values,
                                 "valid": sum(mark << n for n, mark in enumerate(marks))})
        await self.until(lambda: not self._waiting and not self._flying, cycles=1_000_000)
        assert self.checked and not self.drain.queue

    def drive(self) -> None:
        """Words that were read a cycle ago."""
        for port, word in self._read.items():
            self.dut.set(f"{port}__data", word)

    def look(self) -> None:
        """Serve the buffer, count what the SFU reports, check what is done."""
        get, flying = self.dut.get, self._flying
        self._read = {port: int.from_bytes(self.words[get(f"{port}__addr") % len(self.words)]
                                           .tobytes(), "little")
                      for port in READS if get(f"{port}__en")}
        if flying:
            assert get("busy")
            flying[-1].elements += get("elements")
            flying[-1].released += get("released")
        else:
            assert not get("busy") and not get("elements") and not get("released")
        if get("write__en"):
            assert get("write__mask") == (1 << self.machine.flits_per_word) - 1
            self.words[get("write__addr")] = np.frombuffer(
                get("write__data").to_bytes(self.words.shape[1], "little"), np.uint8)
        if get("done__valid"):
            self._done(get("done__payload"))

    def _holds(self) -> bool:
        return (bool(self._flying) and not self.overlap) or self.idle()

    def _begin(self, _: Any) -> None:
        flight = _Flight(self._waiting.popleft(), self.cycle)
        if self.overlap and self._last:
            gap = self._cycles(sfu_occupancy, self._last.case)
            took = flight.start - self._last.start
            assert took == gap or (self.stall and took > gap), f"{took} cycles, not {gap}: {flight}"
        self._flying.append(flight)
        self._last = flight

    def _done(self, done: Any) -> None:
        flight = self._flying.popleft()
        case = flight.case
        elements = case.run(self.golden, self.expected)
        expected = self.expected.reshape(self.words.shape)
        wrong = {int(n): (self.words[n].tobytes().hex(" ", 4), expected[n].tobytes().hex(" ", 4))
                 for n in np.flatnonzero((self.words != expected).any(axis=1))}
        assert not wrong, f"words (got, expected) {wrong} after {case}"
        assert (done.slot, done.poison) == (case.slot, 0)
        assert (flight.elements, flight.released) == (elements, case.fields["release"]), case
        took, wanted = self.cycle - flight.start, self._cycles(sfu_cycles, case)
        late = self.stall and case.drain
        assert took == wanted or (late and took > wanted), f"{took} cycles, not {wanted}: {case}"
        self.checked += 1
        met("sfu", Fn(case.fields["fn"]))

    def _cycles(self, contract: Callable[..., int], case: Case) -> int:
        return contract(self.machine, case.fields["fn"], case.length(),
                        **{name: case.fields[name]
                           for name in ("m_mode", "track", "less", "digits")})
