"""Golden model of a core: token slots, stage programs and all units, without time."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import (
    CREDIT_ENTRY,
    DEST_ENTRY,
    KV_CONFIG,
    STAGE_ENTRY,
    Flag,
    Kind,
    Unit,
)
from ouroboros.sw.golden.array import (
    OPS,
    STREAMS,
    ArrayGolden,
    CoreError,
    Issue,
    bits,
    local_tokens,
)
from ouroboros.sw.golden.kv import KvSettings
from ouroboros.sw.golden.sfu import SfuGolden
from ouroboros.sw.golden.tables import CoreTables
from ouroboros.sw.program.packets import Packet, credit_packet, entry_flits, send_packets
from ouroboros.sw.program.vectors import join_flits

__all__ = ["CoreError", "GoldenCore"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STOPS = (Op.WAIT, Op.SEND, Op.END)
"""Instructions that compute nothing; ``GoldenCore.advance`` goes from one to the next."""
PAUSE = 0.1
"""Chance that ``GoldenCore.advance`` stops after an instruction that computes."""


@dataclass(slots=True)
class _Slot:
    index: int
    stage: int
    sequence: int
    position: int
    base: int
    pc: int
    flags: int = 0
    coming: int = 0
    """Flags of packets, for the next WAIT to take over."""
    busy: int | None = None
    """Address of the instruction that a unit is at."""
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])


class GoldenCore:
    """Executes packets and stage programs exactly as ``docs/architecture.md`` states them.

    Parameters
    ----------
    machine : Machine
        Sizes.
    place : tuple of int
        Coordinates (x, y).
    send : callable
        Takes every packet that the core injects.
    """

    def __init__(self, machine: Machine, place: tuple[int, int], send: Callable[[Packet], None]):
        self.machine, self.place, self.inject = machine, place, send
        core = machine.core
        self.buffer = np.zeros(core.buffer_words * core.word_bits // 8, np.uint8)
        self.tables = CoreTables(place)
        self.credits = [0] * core.credits
        self.slots: dict[int, _Slot] = {}
        self.sfu = SfuGolden(machine)
        self.array = ArrayGolden(machine, buffer=self.buffer, name=f"core {place}")
        # Whose results wait in the drain registers, and which.
        self._sums: tuple[int, Ints, Bools] | None = None
        self.sending = 0, 0
        """Stage and program address of the SEND executed last."""

    # Packets

    def receive(self, packet: Packet) -> None:
        """Take one packet; programs run in ``run``."""
        header = packet.header
        kind = header["kind"]
        if kind == Kind.DATA:
            self._receive_data(header, packet.payload)
        elif kind == Kind.CREDIT:
            self.credits[header["counter"]] += 1
        elif kind == Kind.WRITE:
            per_entry = entry_flits(self.machine, header["unit"])
            for n in range(0, len(packet.payload), per_entry):
                self.write(header["unit"], header["address"] + n // per_entry, join_flits(
                    packet.payload[n:n + per_entry], self.machine.noc.flit_bits))
        else:
            raise CoreError(f"core {self.place}: packet kind must not be {int(kind)} here")

    def _receive_data(self, header: Mapping[str, int], payload: Iterable[int]) -> None:
        slot = self._slot(header["stage"], header["sequence"], header["position"])
        size = self.machine.noc.flit_bits // 8
        start = (slot.base * self.machine.flits_per_word + header["offset"]) * size
        raw = b"".join(flit.to_bytes(size, "little") for flit in payload)
        self.buffer[start:start + len(raw)] = np.frombuffer(raw, np.uint8)
        slot.coming |= header["flags"]
        slot.counts[header["operand"]] += 1

    def _slot(self, stage: int, sequence: int, position: int) -> _Slot:
        for slot in self.slots.values():
            if (slot.stage, slot.sequence, slot.position) == (stage, sequence, position):
                return slot
        entry = self.tables.entry(Unit.STAGE, stage, STAGE_ENTRY)
        for index in range(entry["slot_first"], entry["slot_first"] + entry["slot_count"]):
            if index not in self.slots:
                base = entry["base"] + (index - entry["slot_first"]) * entry["stride"]
                # Re-insertion keeps the dictionary in order of age.
                self.slots[index] = _Slot(index, stage, sequence, position, base,
                                          entry["program"])
                return self.slots[index]
        raise CoreError(f"core {self.place}: stage {stage} has no free slot for sequence "
                        f"{sequence}, position {position}: a sender broke its credits")

    def write(self, unit: int, address: int, value: int) -> None:
        """Take one configuration entry (``hw.params.packet.Unit``)."""
        if unit >= Unit.WEIGHT:
            row = np.frombuffer(value.to_bytes(self.machine.cim.outputs, "little"), np.int8)
            self.array.weights[unit - Unit.WEIGHT, address] = row
        elif unit == Unit.PARAM:
            raw = value.to_bytes(2 * self.machine.core.lanes, "little")
            self.sfu.params[address] = np.frombuffer(raw, "<u2")
        elif unit == Unit.SILU:
            self.sfu.silu[address] = np.array(value & 0xFFFF, np.uint16).view(np.int16)
        elif unit == Unit.CREDIT:
            self.credits[address] = value
        elif unit == Unit.KV:
            self.array.configure(KvSettings(**{
                name: v for name, v in KV_CONFIG.unpack(value).items()
                if name in KvSettings.__slots__}))
        elif unit == Unit.STEP:
            self.array.steps[address] = value
        else:
            self.tables.write(unit, address, value)

    # Programs

    def run(self) -> bool:
        """Go on with every token that can; true if anything was done."""
        moved = False
        progress = True
        while progress:
            progress = False
            for slot in [*self.slots.values()]:
                while slot.index in self.slots and self._step(slot):
                    progress = moved = True
        return moved

    def advance(self, rng: random.Random) -> bool:
        """Go on with one token, mostly as far as its next WAIT, SEND or END; false if none can.

        Any order that hardware may take. Of the tokens of a stage the oldest that can goes on; one
        that computes is ``busy`` until some later call, so that others may overtake it where they
        have nothing to compute, and those that compute do so in order.
        """
        ready: dict[int, _Slot] = {}
        busy: dict[int, _Slot] = {}
        for slot in self.slots.values():
            if slot.busy is not None:
                busy.setdefault(slot.stage, slot)
            elif slot.stage not in ready and self._may(slot):
                ready[slot.stage] = slot
        choices = [*busy.values(), *ready.values()]
        if not choices:
            return False
        slot = rng.choice(choices)
        if slot.busy is not None:
            slot.busy = None
            return True
        while self._may(slot):
            pc, (op, _, skipped) = slot.pc, self._fetch(slot)
            if op in STOPS and not skipped:
                if slot.busy is None:
                    self._step(slot)
                break
            self._step(slot)
            if not skipped:
                slot.busy = pc
                if rng.random() < PAUSE:
                    break
        return True

    def _may(self, slot: _Slot) -> bool:
        """Whether a slot can go on and no older one of its stage stands before it."""
        if not self._can(slot):
            return False
        for older in self.slots.values():
            if older is slot:
                return True
            if older.stage == slot.stage and (
                    self._can(older) if older.busy is None
                    else older.busy == slot.pc and not self._fetch(slot)[2]):
                return False
        raise AssertionError("a slot is one of the slots")

    def _can(self, slot: _Slot) -> bool:
        """Whether a step would get anywhere."""
        op, fields, skipped = self._fetch(slot)
        return skipped or self._takes(slot, op, fields)

    def _takes(self, slot: _Slot, op: Op, fields: Mapping[str, int]) -> bool:
        """Whether an instruction that is not skipped can be executed."""
        if op == Op.WAIT:
            return slot.counts[fields["operand"]] >= fields["packets"]
        if op == Op.SEND:
            return self._has_credits(fields)
        if op in STREAMS and self._sums is not None:
            return False
        return op not in OPS or self.array.takes(slot.index, op)

    def _fetch(self, slot: _Slot) -> tuple[Op, dict[str, int], bool]:
        """Instruction of a slot and whether the token skips it."""
        op, fields = self.tables.instruction(slot.pc)
        need = fields["need"]
        skipped = slot.flags & fields["skip"] != 0 or slot.flags & need != need
        return op, fields, skipped

    def _step(self, slot: _Slot) -> bool:
        """One instruction of a slot; false if it has to wait."""
        op, fields, skipped = self._fetch(slot)
        if skipped:
            slot.pc += 1
            return True
        if not self._takes(slot, op, fields):
            return False
        if op == Op.WAIT:
            slot.flags |= slot.coming
        if op == Op.SEND:
            self._send(slot, fields)
        if op == Op.END:
            self._end(slot)
            return True
        tokens = self._tokens(slot.sequence, slot.position)
        if op == Op.SFU:
            self.sfu.run(fields, self.buffer, base=slot.base, tokens=tokens,
                         drain=lambda count: self._take(slot.index, count))
            if fields["release"]:
                self._take(slot.index, 0)
                self._sums = None
        elif op in OPS:
            outcome = self.array.run(Issue(
                instruction=self.tables.word(Unit.PROGRAM, slot.pc), slot=slot.index,
                base=slot.base, sequence=slot.sequence, position=slot.position, tokens=tokens))
            if outcome.poison:
                slot.flags |= Flag.POISON
            if outcome.sums:
                self._sums = slot.index, *outcome.sums
        slot.pc += 1
        return True

    def _tokens(self, sequence: int, position: int) -> int:
        kv = self.array.kv
        return local_tokens(self.machine, kv.settings, position, sequence) if kv else 0

    def _take(self, slot: int, count: int) -> tuple[Ints, Bools]:
        """Next sums of a slot and which of them are valid."""
        owner, values, valid = self._sums or (None, np.zeros(0, np.int64), np.zeros(0, bool))
        if owner != slot:
            raise CoreError(f"core {self.place}: slot {slot} takes the sums of slot {owner}")
        if len(values) < count:
            raise CoreError(f"core {self.place}: the drain stream has {len(values)} elements, "
                            f"not {count}")
        self._sums = owner, values[count:], valid[count:]
        return values[:count], valid[:count]

    def _end(self, slot: _Slot) -> None:
        del self.slots[slot.index]
        entry = self.tables.entry(Unit.STAGE, slot.stage, STAGE_ENTRY)
        for n in range(entry["credit_first"], entry["credit_first"] + entry["credit_count"]):
            credit = self.tables.entry(Unit.CREDIT_LIST, n, CREDIT_ENTRY)
            self.inject(credit_packet(self.machine, src=self.place,
                                      dst=(credit["x"], credit["y"]), counter=credit["counter"],
                                      way=(credit["way_x"], credit["way_y"]),
                                      table=bool(credit["table"])))

    def _send(self, slot: _Slot, fields: Mapping[str, int]) -> None:
        self.sending = slot.stage, slot.pc
        entry = self.tables.entry(Unit.DEST, fields["dest"], DEST_ENTRY)
        if fields["acquire"]:
            for n in bits(entry["credits"]):
                self.credits[n] -= 1
        size = self.machine.noc.flit_bits // 8
        start = (slot.base + fields["src"]) * self.machine.core.word_bits // 8
        raw = self.buffer[start:start + fields["flits"] * size].tobytes()
        payload = [int.from_bytes(raw[n:n + size], "little") for n in range(0, len(raw), size)]
        for packet in send_packets(entry, payload, src=self.place, dst=fields["dst"],
                                   sequence=slot.sequence, position=slot.position,
                                   flags=slot.flags):
            self.inject(packet)

    def _has_credits(self, fields: Mapping[str, int]) -> bool:
        entry = self.tables.entry(Unit.DEST, fields["dest"], DEST_ENTRY)
        return not fields["acquire"] or all(self.credits[n] for n in bits(entry["credits"]))
