"""What a core's controller does in every cycle: the golden core's steps, at the promised times."""

from dataclasses import dataclass
from typing import Any

from ouroboros.hw.core.controller import ARRAY, SEND, SFU
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import CREDIT_ENTRY, DEST_ENTRY, STAGE_ENTRY, Flag, Unit
from ouroboros.sw.golden.array import OPS, ArrayGolden, Issue, Outcome, bits
from ouroboros.sw.golden.core import CoreError, GoldenCore

__all__ = ["ControllerGolden", "Inputs", "Token"]

Token = tuple[int, int, int]
"""Stage, sequence, position."""
UNITS = 3
UNIT_OF = {Op.SFU: SFU, Op.SEND: SEND} | dict.fromkeys(OPS, ARRAY)


@dataclass(kw_only=True, slots=True)
class Inputs:
    """What a controller is given in one cycle."""

    now: int
    lookup: Token | None = None
    arrived: tuple[int, int, int] | None = None
    """Slot, operand, flags."""
    credit: int | None = None
    """Counter."""
    ready: tuple[bool, ...] = (False,) * UNITS
    """Of the units."""
    done: tuple[tuple[int, bool] | None, ...] = (None,) * UNITS
    """Of the units: slot and poison."""
    credit_ready: bool = False


class _Array(ArrayGolden):
    """Computes nothing; a LOAD gives it to its slot until that slot's MVM."""

    def run(self, issue: Issue) -> Outcome:
        op = Op(issue.instruction & 0xF)
        if op in (Op.LOAD, Op.MVM):
            self.owner = issue.slot if op == Op.LOAD else None
        return Outcome()


class _Sfu:
    """Computes nothing."""

    def run(self, fields, buffer, **more) -> None:
        """An instruction."""


@dataclass(slots=True)
class _Park:
    """What a slot waits for; ``hw.core.slots.SlotState`` by name."""

    state: str = "FETCH"
    operand: int = 0
    packets: int = 0
    unit: int = 0
    credits: int = 0
    start: int | None = None
    """When its first WAIT was met."""


class ControllerGolden:
    """Cycle by cycle: ``outputs``, then ``clock`` with the inputs of that cycle.

    What an instruction means is the golden core's (``core``); when it is picked and acted on is as
    ``hw.core.controller.Controller`` says. Units are whoever calls.
    """

    def __init__(self, machine: Machine):
        self.core = GoldenCore(machine, (0, 0), lambda packet: None)
        self.core.array, self.core.sfu = _Array(machine), _Sfu()
        self.machine = machine
        self.parks: dict[int, _Park] = {}
        self.found: tuple[int, int] | None = None
        self.looked = False
        self.issues: list[dict[str, int] | None] = [None] * UNITS
        self._acting: int | None = None
        self._seen: tuple[tuple[bool, ...], tuple[bool, ...], int] = ((), (), 0)
        self._credits: list[dict[str, int]] = []
        """Entries of the credit list that are still to go out."""
        self._fetched = False
        """The first of them has been read."""

    def outputs(self) -> dict[str, Any]:
        """By port, None for a stream that offers nothing."""
        stages = range(self.machine.core.stages)
        states = [{self.parks[n].state for n, slot in self.core.slots.items() if slot.stage == s}
                  for s in stages]
        busy = [bool(states[s] & {"RUN", "FETCH", "UNIT"}) for s in stages]
        blocked = [not busy[s] and "CREDIT" in states[s] for s in stages]
        waiting = [not busy[s] and not blocked[s] and "OPERAND" in states[s] for s in stages]
        mask = {name: sum(on << s for s, on in enumerate(which)) for name, which in (
            ("stage_busy", busy), ("stage_blocked", blocked), ("stage_waiting", waiting))}
        return {**mask, "issue_array": self.issues[ARRAY], "issue_sfu": self.issues[SFU],
                "issue_send": self.issues[SEND], "trace": self._trace(),
                "credit_out": self._credits[0] if self._fetched else None,
                "active": int(bool(self.core.slots or self._credits))}

    def clock(self, given: Inputs) -> None:
        """One cycle; arrivals count from the next one on."""
        core, acting = self.core, self._acting
        free = tuple(issue is None or ready
                     for issue, ready in zip(self.issues, given.ready, strict=True))
        picked = None if acting is not None else self._oldest(free)
        seen = (free, tuple(self._open(n) for n in range(self.machine.core.slots)),
                sum(bool(count) << n for n, count in enumerate(core.credits)))
        idle = not self._credits
        # Before the controller acts: a slot that is freed now can be given away from now on.
        self._look_up(given.lookup)
        self._send_credits(given)
        for unit in range(UNITS):
            if given.ready[unit]:
                self.issues[unit] = None
        if acting is not None and self._act(acting, idle, given.now):
            self._acting = None
        if picked is not None:
            self._acting, self._seen = picked, seen
        if given.arrived:
            index, operand, flags = given.arrived
            core.slots[index].counts[operand] += 1
            core.slots[index].coming |= flags
        if given.credit is not None:
            core.credits[given.credit] += 1
        for done in given.done:
            if done:
                self.parks[done[0]].state = "FETCH"
                core.slots[done[0]].flags |= Flag.POISON if done[1] else 0

    def _open(self, index: int) -> bool:
        return self.core.array.owner in (None, index)

    def _oldest(self, free: tuple[bool, ...]) -> int | None:
        """The golden core keeps slots in order of age."""
        return next((n for n in self.core.slots if self._runnable(n, free)), None)

    def _runnable(self, index: int, free: tuple[bool, ...]) -> bool:
        park = self.parks[index]
        if park.state == "OPERAND":
            return self.core.slots[index].counts[park.operand] >= park.packets
        if park.state == "UNIT":
            return free[park.unit] and (park.unit != ARRAY or self._open(index))
        if park.state == "CREDIT":
            return all(self.core.credits[n] for n in bits(park.credits))
        return park.state == "FETCH"

    def _look_up(self, token: Token | None) -> None:
        self.looked, self.found = token is not None, None
        if token is None:
            return
        try:
            slot = self.core._slot(*token)
        except CoreError:
            return
        self.parks.setdefault(slot.index, _Park())
        self.found = slot.index, slot.base

    def _send_credits(self, given: Inputs) -> None:
        if not self._credits:
            return
        if not self._fetched:
            self._fetched = True
        elif given.credit_ready:
            self._credits.pop(0)
            self._fetched = False

    def _trace(self) -> dict[str, int | None] | None:
        """An END that is acted on with nobody's credits before it."""
        if self._acting is None or self._credits:
            return None
        slot = self.core.slots[self._acting]
        op, _, skipped = self.core._fetch(slot)
        if skipped or op != Op.END:
            return None
        return {"stage": slot.stage, "sequence": slot.sequence, "position": slot.position,
                "flags": slot.flags, "start": self.parks[slot.index].start}

    def _act(self, index: int, idle: bool, now: int) -> bool:
        """The instruction of a slot; false if it stands there until credits have gone out."""
        core, park = self.core, self.parks[index]
        slot = core.slots[index]
        op, fields, skipped = core._fetch(slot)
        if skipped:
            core._step(slot)
            park.state = "FETCH"
        elif op == Op.END:
            if not idle:
                return False
            self._end(slot)
        elif op == Op.WAIT:
            if core._step(slot):
                park.state, park.start = "FETCH", now if park.start is None else park.start
            else:
                park.state, park.operand = "OPERAND", fields["operand"]
                park.packets = fields["packets"]
        else:
            self._issue(slot, op, fields)
        return True

    def _end(self, slot) -> None:
        entry = self.core.tables.entry(Unit.STAGE, slot.stage, STAGE_ENTRY)
        first = entry["credit_first"]
        self._credits = [self.core.tables.entry(Unit.CREDIT_LIST, n, CREDIT_ENTRY)
                         for n in range(first, first + entry["credit_count"])]
        self._fetched = False
        del self.parks[slot.index]
        self.core._step(slot)

    def _issue(self, slot, op: Op, fields: dict[str, int]) -> None:
        """To its unit, if cycle 0 has seen all that it needs."""
        (free, opened, ready), park, unit = self._seen, self.parks[slot.index], UNIT_OF[op]
        if op == Op.SEND and fields["acquire"]:
            park.credits = self.core.tables.entry(Unit.DEST, fields["dest"], DEST_ENTRY)["credits"]
            if park.credits & ~ready:
                park.state = "CREDIT"
                return
        if not free[unit] or (unit == ARRAY and not opened[slot.index]):
            park.state, park.unit = "UNIT", unit
            return
        self.issues[unit] = {
            "instruction": self.core.tables.word(Unit.PROGRAM, slot.pc), "slot": slot.index,
            "base": slot.base, "sequence": slot.sequence, "position": slot.position,
            "tokens": self.core._tokens(slot.sequence, slot.position), "flags": slot.flags}
        assert self.core._step(slot), "the golden core must be able to do what was seen"
        park.state = "RUN"
