"""Senders, event memory and router around a core's egress; every cycle is the golden model's."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import CREDIT_ENTRY, Unit
from ouroboros.hw.params.widths import COORDINATE_BITS, ENTRY_BITS
from ouroboros.sw.program.packets import Flit
from ouroboros.tb.core.egress_golden import EgressGolden, Given
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.noc.packets import flit_of

__all__ = ["EgressAgent", "few_credits"]

VALUE_BITS = 128
RATES = (0.0, 0.15, 0.5, 1.0)
QUIET = 0.2
"""Share of rounds in which both senders pause: the last flits and credits come one by one."""
DRAIN_CYCLES = 40


def few_credits(machine: Machine) -> Machine:
    """With every class of channels, and the shortest buffers, so that credits run out."""
    return replace(machine, noc=replace(machine.noc, class1_vcs=0, class2_vcs=2,
                                        vc_depth=9))


class EgressAgent(Agent):
    """Flits, credits and READs at rates that change; link credits that come back late or never.

    Parameters
    ----------
    machine : Machine
        With channels as ``few_credits`` has them.
    """

    def __init__(self, dut: Dut, machine: Machine, *, stall: float = 0.0,
                 rng: random.Random | None = None):
        super().__init__(dut, stall=stall, rng=rng)
        self.machine, rng = machine, self.rng
        self.place = (rng.getrandbits(COORDINATE_BITS), rng.getrandbits(COORDINATE_BITS))
        for name, value in zip("xy", self.place, strict=True):
            dut.set(name, value)
        self.golden = EgressGolden(machine, self.place)
        self.checked: Counter[str] = Counter()
        """Outputs that were compared while they said something."""
        self._given = Given()
        self._rates: dict[str, float] = {}
        self._owed = [0] * machine.noc.channels
        self._returns = [0.0] * machine.noc.channels
        self._left, self._vc = 0, 0
        self._value, self._fetches = 0, False
        self.ends.append(self)

    async def rounds(self, count: int, cycles: int) -> None:
        """So many times other rates; now and then all that is owed is given back, and all rests."""
        for n in range(count):
            rates, rng = RATES, self.rng
            self._rates = {name: rng.choice(rates) for name in ("packet", "credit", "request")}
            if rng.random() < QUIET:
                self._rates |= {"packet": 0.0, "credit": 0.02}
            self._returns = [rng.choice(rates) for _ in self._owed]
            await self.step(cycles)
            if n % 4 == 3:
                await self._rest()
        await self._rest()
        missing = {"link__valid", "packet__ready", "credit__ready", "events__en", "busy",
                   "active", "no credit", "asleep"} - {*self.checked}
        assert not missing, f"never came up: {missing}"

    async def _rest(self) -> None:
        """Nothing comes any more, everything is answered, and all credits come back."""
        self._rates = dict.fromkeys(self._rates, 0.0)
        self._returns = [0.3] * len(self._owed)
        await self.until(lambda: not self._given.packet and not self._left
                         and not self.golden.outputs(Given())["active"] and not any(self._owed))
        await self.step(self.rng.randrange(DRAIN_CYCLES))

    def drive(self) -> None:
        """Inputs of a cycle."""
        rng, dut, old = self.rng, self.dut, self._given
        given = Given(value=self._value, packet=old.packet, credit=old.credit)
        if given.packet is None and (rng.random() < self._rates["packet"]
                                     or (self._left and not self._rates["packet"])):
            given.packet = self._flit()
        if given.credit is None and rng.random() < self._rates["credit"]:
            given.credit = {one.name: rng.getrandbits(one.bits) for one in CREDIT_ENTRY.fields}
        if rng.random() < self._rates["request"] / 4:
            given.request = self._request()
        given.back = frozenset(vc for vc, owed in enumerate(self._owed)
                               if owed and rng.random() < self._returns[vc])
        for vc in given.back:
            self._owed[vc] -= 1
        self._given = given

        for name, content in (("packet", given.packet and given.packet._asdict()),
                              ("credit", given.credit), ("request", given.request)):
            dut.set(f"{name}__valid", int(content is not None))
            if content is not None:
                dut.set(f"{name}__payload", content)
        dut.set("link__credit", sum(1 << vc for vc in given.back))
        dut.set("events__data", given.value)

    def _flit(self) -> Flit:
        rng, head = self.rng, not self._left
        if head:
            self._left, self._vc = rng.randint(1, 9), rng.randrange(self.machine.noc.channels)
        self._left -= 1
        return Flit(rng.getrandbits(self.machine.noc.flit_bits), self._vc, head, not self._left)

    def _request(self) -> dict[str, int]:
        rng = self.rng
        places = {name: rng.getrandbits(COORDINATE_BITS) for name in ("x", "y", "way_x", "way_y")}
        return places | {"unit": rng.choice((*Unit,)), "address": rng.getrandbits(ENTRY_BITS - 1),
                         "count": rng.choice((0, 1, 1, 2, 3, 9)), "table": rng.randrange(2)}

    def look(self) -> None:
        """Compare the outputs, and take what is taken."""
        golden, given = self.golden, self._given
        outputs = golden.outputs(given)
        for name, content in outputs.items():
            if content is not None:
                self._same(name, self.dut.get(name), content)
                self.checked[name] += bool(content)
        self.checked["asleep"] += not outputs["active"] and bool(given.back)
        self.checked["no credit"] += not all(golden.credits)
        if golden.link is not None:
            self._same("flit", flit_of(self.dut.get("link__flit")), golden.link)
            self._owed[golden.link.vc] += 1
        golden.clock(given)
        self._value = self.rng.getrandbits(VALUE_BITS) if outputs["events__en"] else self._value
        if outputs["packet__ready"]:
            given.packet = None
        if outputs["credit__ready"]:
            given.credit = None

    def _same(self, what: str, got: Any, expected: Any) -> None:
        assert got == expected, (f"{what} in cycle {self.cycle}: got {got!r}, "
                                 f"expected {expected!r}")
