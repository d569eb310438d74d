"""Ingress, units and network around a core's controller; every cycle is the golden model's."""

import random
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any

from ouroboros.hw.params.core import OPERANDS
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import CREDIT_ENTRY, DEST_ENTRY, KV_CONFIG, STAGE_ENTRY, Unit
from ouroboros.hw.params.widths import MEMBER_BITS, POSITION_BITS, SEQUENCE_BITS, STAGE_BITS
from ouroboros.tb.core.controller_golden import UNITS, ControllerGolden, Inputs, Token
from ouroboros.tb.core.controller_programs import Program, Traffic, filled, random_program
from ouroboros.tb.lib.agent import Agent, Dut

__all__ = ["ControllerAgent", "few_slots"]

NAMES = ("array", "sfu", "send")
TIME_BITS = 32
SHARES = ((0, 3), (3, 2), (5, 1))
"""First slot of each stage, and how many it has."""
ALIVE = 9
"""Tokens that have packets to come, more than there are slots."""


def few_slots(machine: Machine) -> Machine:
    """With so few slots, stages and credits that they are fought for."""
    return replace(machine, core=replace(
        machine.core, stages=len(SHARES), slots=sum(count for _, count in SHARES), credits=4,
        credit_list_words=64, dests=4, program_words=64))


@dataclass(slots=True)
class _Unit:
    """An instruction that a unit is at, and when it ends."""

    slot: int = 0
    end: int = -1


@dataclass(slots=True)
class _Packets:
    """A token's packets that have not come yet."""

    token: Token
    left: deque[tuple[int, int]] = field(default_factory=deque)
    """Operand and flags."""


class ControllerAgent(Agent):
    """Tokens of several stages, in programs at random, with everything that they wait for.

    Packets are looked up and arrive as an ingress would have them; units take one instruction at a
    time and take a while; credits come back for those that were spent. All outputs of every cycle
    are compared with ``ControllerGolden``.

    Parameters
    ----------
    machine : Machine
        Sizes, with slots as ``few_slots`` has them.
    """

    def __init__(self, dut: Dut, machine: Machine, *, stall: float = 0.0,
                 rng: random.Random | None = None):
        super().__init__(dut, stall=stall, rng=rng)
        self.machine, self.golden = machine, ControllerGolden(machine)
        self.checked: Counter[str] = Counter()
        """Outputs that were compared while they said something."""
        self._traffic: Traffic | None = None
        self._programs: list[Program] = []
        self._waiting: list[_Packets] = []
        self._due: list[tuple[int, int, int, int]] = []
        """Packets that were found a slot: when they arrive, slot, operand, flags."""
        self._asked: _Packets | None = None
        self._units = [_Unit() for _ in range(UNITS)]
        self._full = [0] * machine.core.credits
        self._returns, self._takes = 0.1, 1
        """How often a credit comes back; cycles that a unit takes at most."""
        self._start = self.rng.getrandbits(TIME_BITS)
        self._given = Inputs(now=self._start)
        self.ends.append(self)

    async def every_number_of_members(self) -> None:
        """Tokens of a core's own blocks, of each number of members that a KV head can have."""
        rng = self.rng
        program = Program((filled(rng, Op.WAIT, operand=0, packets=1), filled(rng, Op.SFU),
                           filled(rng, Op.SCORE), filled(rng, Op.END)), ((0, 1),))
        await self._configure([program] * len(SHARES), fill=False)
        for members in range(1, (1 << MEMBER_BITS) + 1):
            await self._share(members)
            assert self._traffic is not None
            self._traffic.left = 2
            await self.until(self._quiet)

    async def _share(self, members: int) -> None:
        rng, ring = self.rng, self.rng.randrange(2)
        await self._table(Unit.KV, 0, KV_CONFIG.pack(
            dict.fromkeys((one.name for one in KV_CONFIG.fields), 0)
            | {"members": members, "member": rng.randrange(members), "ring": ring}))
        await self.step(2)
        self._traffic = Traffic(rng, self._programs, self.machine.kv.sequences if ring
                                else 1 << SEQUENCE_BITS, 1 << POSITION_BITS)

    async def rounds(self, count: int, tokens: int) -> None:
        """So many tokens with the same programs, then others; at the end of each all is quiet."""
        for _ in range(count):
            await self._configure([random_program(self.rng) for _ in SHARES])
            assert self._traffic is not None
            self._traffic.left = tokens
            await self.until(self._quiet)
            assert not self.golden.core.slots
            await self.step(3)
        wanted = {"issue_array", "issue_sfu", "issue_send", "trace", "credit_out", "found",
                  "stage_busy", "stage_blocked", "stage_waiting", "active"}
        assert wanted <= {*self.checked}, f"never came up: {wanted - {*self.checked}}"

    async def _configure(self, programs: list[Program], *, fill: bool = True) -> None:
        rng, core, self._programs = self.rng, self.machine.core, programs
        gap, address, stages = core.program_words // len(SHARES), 0, []
        for n, (program, (first, slots)) in enumerate(zip(programs, SHARES, strict=True)):
            address = n * gap + rng.randrange(gap - len(program.words) + 1)
            for place, word in enumerate(program.words, address):
                await self._table(Unit.PROGRAM, place, word)
            begin = rng.randrange(core.credit_list_words)
            stages.append({
                "slot_first": first, "slot_count": slots, "base": rng.randrange(100),
                "stride": rng.randrange(20), "program": address, "credit_first": begin,
                "credit_count": min(rng.choice((0, 1, 1, 1, 2, 2, 3, 3, 3, 40) if fill else (0,)),
                                    core.credit_list_words - begin)})
        for place, stage in enumerate(stages):
            await self._table(Unit.STAGE, place, STAGE_ENTRY.pack(stage))
        for place in range(core.credit_list_words):
            await self._table(Unit.CREDIT_LIST, place, CREDIT_ENTRY.pack(
                {one.name: rng.getrandbits(one.bits) for one in CREDIT_ENTRY.fields}))
        for place in range(core.dests):
            await self._table(Unit.DEST, place, DEST_ENTRY.pack(
                {one.name: rng.getrandbits(one.bits) for one in DEST_ENTRY.fields}
                | {"credits": rng.getrandbits(core.credits)}))
        self._full = [rng.choice((1, 1, 2, 3)) for _ in range(core.credits)]
        self._returns = rng.choice((0.03, 0.2))
        self._takes = rng.choice((6, 30))
        for place, number in enumerate(self._full):
            await self._table(Unit.CREDIT, place, number)
        await self._share(rng.randrange(1, 1 + (1 << MEMBER_BITS)))

    async def _table(self, unit: Unit, address: int, value: int) -> None:
        self.golden.core.write(unit, address, value)
        await self.write(unit, address, value)

    def _quiet(self) -> bool:
        return (self._traffic is not None and not self._traffic.left and not self._waiting
                and not self._due and not self.golden.outputs()["active"])

    def drive(self) -> None:
        """Inputs of a cycle."""
        dut, given = self.dut, Inputs(now=(self._start + self.cycle) % (1 << TIME_BITS))
        self._given = given
        self._ask(given)
        due = [one for one in self._due if one[0] <= self.cycle]
        if due:
            self._due.remove(due[0])
            given.arrived = due[0][1:]
        missing = [n for n, full in enumerate(self._full) for _ in range(
            full - self.golden.core.credits[n])]
        if missing and self.rng.random() < self._returns:
            given.credit = self.rng.choice(missing)
        given.ready = tuple(unit.end < self.cycle and not self.idle() for unit in self._units)
        given.done = tuple((unit.slot, self.rng.random() < 0.05) if unit.end == self.cycle else None
                           for unit in self._units)
        given.credit_ready = not self.idle()

        dut.set("now", given.now)
        for name, content in (
                ("lookup", given.lookup and dict(zip(("stage", "sequence", "position"),
                                                     given.lookup, strict=True))),
                ("arrived", given.arrived and dict(zip(("slot", "operand", "flags"), given.arrived,
                                                       strict=True))),
                ("credit", None if given.credit is None else {"counter": given.credit}),
                *((f"done_{name}", done and {"slot": done[0], "poison": done[1]})
                  for name, done in zip(NAMES, given.done, strict=True))):
            dut.set(f"{name}__valid", int(content is not None))
            if content is not None:
                dut.set(f"{name}__payload", content)
        for name, ready in zip(NAMES, given.ready, strict=True):
            dut.set(f"issue_{name}__ready", int(ready))
        dut.set("credit_out__ready", int(given.credit_ready))

    def _ask(self, given: Inputs) -> None:
        """Look a token's slot up: of one that has packets to come, or that no stage has."""
        rng, traffic = self.rng, self._traffic
        self._asked = None
        if traffic is None or self.idle():
            return
        if traffic.left and len(self._waiting) < ALIVE:
            traffic.left -= 1
            token, packets = traffic.token()
            self._waiting.append(_Packets(token, deque(packets)))
        if self._waiting and rng.random() < 0.5:
            self._asked = rng.choice(self._waiting)
            given.lookup = self._asked.token
        elif rng.random() < 0.1:
            given.lookup = (rng.randrange(len(SHARES), 1 << STAGE_BITS), 0, 0)

    def look(self) -> None:
        """Compare the outputs, and go on with whoever was answered."""
        golden, given = self.golden, self._given
        outputs = golden.outputs()
        for name, content in outputs.items():
            if isinstance(content, int):
                self._same(name, self.dut.get(name), content)
            else:
                self._same(f"{name} valid", self.dut.get(f"{name}__valid"), content is not None)
                for part, value in (content or {}).items():
                    if value is not None:
                        self._same(f"{name}: {part}", self.dut.get(f"{name}__payload")[part], value)
            self.checked[name] += content not in (None, 0)
        self._same("found valid", self.dut.get("found__valid"), golden.looked)
        if golden.looked:
            said: Any = self.dut.get("found__payload")
            self._same("found", (said.slot, said.base) if said.ok else None, golden.found)
            self.checked["found"] += golden.found is not None
        for n, (unit, issue) in enumerate(zip(self._units, golden.issues, strict=True)):
            if issue is not None and given.ready[n]:
                unit.slot = issue["slot"]
                unit.end = self.cycle + 1 + (self.rng.randrange(self._takes) if self.stall else n)
        golden.clock(given)
        if self._asked is not None and golden.found:
            self._found(self._asked, golden.found[0])

    def _found(self, asked: _Packets, slot: int) -> None:
        """Its next packet arrives some time after the answer, as an ingress has them."""
        operand, flags = asked.left.popleft()
        assert operand < OPERANDS
        self._due.append((self.cycle + 2 + self.rng.randrange(4), slot, operand, flags))
        if not asked.left:
            self._waiting.remove(asked)

    def _same(self, what: str, got: Any, expected: Any) -> None:
        assert got == expected, (f"{what} in cycle {self.cycle}: got {got!r}, "
                                 f"expected {expected!r}")
