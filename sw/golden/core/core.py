"""Golden model of a core: token slots, stage programs and all units, without time."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hw.params.format import Format
from hw.params.isa import Op, disassemble
from hw.params.machine import Machine
from hw.params.packet import (
    CREDIT_ENTRY,
    DEST_ENTRY,
    KV_CONFIG,
    STAGE_ENTRY,
    Flag,
    Kind,
    Unit,
)
from sw.golden.core.ni import (
    Packet,
    credit_packet,
    entry_flits,
    join_flits,
    send_packets,
)
from sw.golden.core.sfu import SfuGolden
from sw.golden.kv.manager import KvGolden, KvSettings

__all__ = ["CoreError", "GoldenCore"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STOPS = (Op.WAIT, Op.SEND, Op.END)
"""Instructions that compute nothing; ``GoldenCore.advance`` goes from one to the next."""
ARRAY = (Op.LOAD, Op.MVM, Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE)
SUMS = (Op.MVM, Op.SCORE, Op.CONTEXT)
"""Instructions that leave sums in the drain registers."""
PAUSE = 0.1
"""Chance that ``GoldenCore.advance`` stops after an instruction that computes."""


class CoreError(RuntimeError):
    """A program asked a core for something that the hardware would not do."""


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
    """Executes packets and stage programs exactly as ``hw/README.md`` states them.

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
        core, cim = machine.core, machine.cim
        self.buffer = np.zeros(core.buffer_words * core.word_bits // 8, np.uint8)
        self.weights = np.zeros((core.macros, cim.rows, cim.outputs), np.int8)
        self.tables: dict[int, dict[int, int]] = {}
        self.credits = [0] * core.credits
        self.slots: dict[int, _Slot] = {}
        self.sfu = SfuGolden(machine)
        self.kv: KvGolden | None = None
        self._kv_settings: KvSettings | None = None
        self._kv_store: dict[tuple[int, int, int], tuple[Ints, Ints]] = {}
        self._operands = np.zeros((core.macros, cim.rows), np.int64)
        self._drain: tuple[Ints, Bools] = (np.zeros(0, np.int64), np.zeros(0, bool))
        # Slots between their first LOAD and their MVM, and whose sums have not been released.
        self._loading: int | None = None
        self._drain_owner: int | None = None
        self._decoded: dict[int, tuple[Op, dict[str, int]]] = {}

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
                self._write(header["unit"], header["address"] + n // per_entry, join_flits(
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
        entry = self._entry(Unit.STAGE, stage, STAGE_ENTRY)
        for index in range(entry["slot_first"], entry["slot_first"] + entry["slot_count"]):
            if index not in self.slots:
                base = entry["base"] + (index - entry["slot_first"]) * entry["stride"]
                # Re-insertion keeps the dictionary in order of age.
                self.slots[index] = _Slot(index, stage, sequence, position, base,
                                          entry["program"])
                return self.slots[index]
        raise CoreError(f"core {self.place}: stage {stage} has no free slot for sequence "
                        f"{sequence}, position {position}: a sender broke its credits")

    def _entry(self, unit: Unit, address: int, fmt: Format) -> dict[str, int]:
        try:
            return fmt.unpack(self.tables[unit][address])
        except KeyError:
            raise CoreError(f"core {self.place}: {unit.name} entry {address} was never "
                            "written") from None

    def _write(self, unit: int, address: int, value: int) -> None:
        if unit >= Unit.WEIGHT:
            row = np.frombuffer(value.to_bytes(self.machine.cim.outputs, "little"), np.int8)
            self.weights[unit - Unit.WEIGHT, address] = row
        elif unit == Unit.PARAM:
            raw = value.to_bytes(2 * self.machine.core.lanes, "little")
            self.sfu.params[address] = np.frombuffer(raw, "<u2")
        elif unit == Unit.SILU:
            self.sfu.silu[address] = np.array(value & 0xFFFF, np.uint16).view(np.int16)
        elif unit == Unit.CREDIT:
            self.credits[address] = value
        elif unit == Unit.KV:
            self._kv_settings = KvSettings(**{
                name: v for name, v in KV_CONFIG.unpack(value).items()
                if name in KvSettings.__slots__})
            self.kv = KvGolden(self.machine, self._kv_settings)
        else:
            self.tables.setdefault(unit, {})[address] = value
            if unit == Unit.PROGRAM:
                self._decoded.pop(address, None)

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
            elif self._may(slot):
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
        _, _, skipped = self._fetch(slot)
        for older in self.slots.values():
            if older is slot:
                return True
            if older.stage == slot.stage and (
                    self._can(older) if older.busy is None
                    else not skipped and older.busy == slot.pc):
                return False
        raise AssertionError("a slot is one of the slots")

    def _can(self, slot: _Slot) -> bool:
        """Whether a step would get anywhere."""
        op, fields, skipped = self._fetch(slot)
        if skipped:
            return True
        if op == Op.WAIT:
            return slot.counts[fields["operand"]] >= fields["packets"]
        if op in ARRAY and self._loading not in (None, slot.index):
            return False
        if op in SUMS and self._drain_owner is not None:
            return False
        return op != Op.SEND or self._has_credits(fields)

    def _fetch(self, slot: _Slot) -> tuple[Op, dict[str, int], bool]:
        """Instruction of a slot and whether the token skips it."""
        if slot.pc not in self._decoded:
            self._decoded[slot.pc] = disassemble(self.tables[Unit.PROGRAM][slot.pc])
        op, fields = self._decoded[slot.pc]
        skipped = bool(slot.flags & fields["skip"]
                       or slot.flags & fields["need"] != fields["need"])
        return op, fields, skipped

    def _step(self, slot: _Slot) -> bool:
        """One instruction of a slot; false if it has to wait."""
        op, fields, skipped = self._fetch(slot)
        if skipped:
            slot.pc += 1
            return True
        if not self._can(slot):
            return False
        if op == Op.WAIT:
            slot.flags |= slot.coming
        if op == Op.SEND:
            self._send(slot, fields)
        if op == Op.END:
            self._end(slot)
            return True
        if op == Op.LOAD:
            self._load(slot, fields)
        elif op == Op.MVM:
            self._multiply(slot, fields)
        elif op == Op.APPEND:
            self._append(slot, fields)
        elif op == Op.SCORE:
            self._score(slot, fields)
        elif op == Op.CONTEXT:
            self._context(slot, fields)
        elif op == Op.FREE:
            self._free(slot)
        elif op == Op.SFU:
            self.sfu.run(fields, self.buffer, base=slot.base, tokens=self._tokens(slot.position),
                         drain=lambda count: self._take(slot, count))
            if fields["release"]:
                self._release(slot)
        slot.pc += 1
        return True

    def _end(self, slot: _Slot) -> None:
        del self.slots[slot.index]
        entry = self._entry(Unit.STAGE, slot.stage, STAGE_ENTRY)
        for n in range(entry["credit_first"], entry["credit_first"] + entry["credit_count"]):
            credit = self._entry(Unit.CREDIT_LIST, n, CREDIT_ENTRY)
            self.inject(credit_packet(self.machine, src=self.place,
                                      dst=(credit["x"], credit["y"]), counter=credit["counter"]))

    def _send(self, slot: _Slot, fields: Mapping[str, int]) -> None:
        entry = self._entry(Unit.DEST, fields["dest"], DEST_ENTRY)
        if fields["acquire"]:
            for n in self._bits(entry["credits"]):
                self.credits[n] -= 1
        size = self.machine.noc.flit_bits // 8
        raw = self._bytes(slot, fields["src"], fields["flits"] * size).tobytes()
        payload = [int.from_bytes(raw[n:n + size], "little") for n in range(0, len(raw), size)]
        for packet in send_packets(entry, payload, src=self.place, dst=fields["dst"],
                                   sequence=slot.sequence, position=slot.position,
                                   flags=slot.flags):
            self.inject(packet)

    def _has_credits(self, fields: Mapping[str, int]) -> bool:
        entry = self._entry(Unit.DEST, fields["dest"], DEST_ENTRY)
        return not fields["acquire"] or all(self.credits[n] for n in self._bits(entry["credits"]))

    def _bytes(self, slot: _Slot, word: int, count: int) -> npt.NDArray[np.uint8]:
        start = (slot.base + word) * self.machine.core.word_bits // 8
        return self.buffer[start:start + count]

    def _int8(self, slot: _Slot, word: int, count: int) -> Ints:
        return self._bytes(slot, word, count).view(np.int8).astype(np.int64)

    # Array

    def _load(self, slot: _Slot, fields: Mapping[str, int]) -> None:
        self._loading = slot.index
        first = fields["offset"] * self.machine.core.word_bits // 8
        data = self._int8(slot, fields["src"], fields["length"])
        for macro in self._bits(fields["macros"]):
            self._operands[macro, first:first + len(data)] = data

    def _multiply(self, slot: _Slot, fields: Mapping[str, int]) -> None:
        first = fields["first_group"] * self.machine.cim.active_rows
        sums = np.zeros((self.machine.core.macros, self.machine.cim.outputs), np.int64)
        for macro in self._bits(fields["macros"]):
            weights = self.weights[macro, first:].astype(np.int64)
            sums[macro] = self._operands[macro, :len(weights)] @ weights
        steps = [self.tables[Unit.STEP][n]
                 for n in range(fields["step"], fields["step"] + fields["steps"])]
        values = np.concatenate([sums[[*self._bits(mask)]].sum(axis=0) for mask in steps])
        self._fill(slot, values, np.ones(len(values), bool))
        self._operands[:] = 0
        self._loading = None

    @staticmethod
    def _bits(mask: int) -> list[int]:
        return [n for n in range(mask.bit_length()) if mask >> n & 1]

    def _fill(self, slot: _Slot, values: Ints, valid: Bools) -> None:
        self._drain, self._drain_owner = (values, valid), slot.index

    def _own(self, slot: _Slot) -> None:
        if self._drain_owner != slot.index:
            raise CoreError(f"core {self.place}: slot {slot.index} takes the sums of slot "
                            f"{self._drain_owner}")

    def _release(self, slot: _Slot) -> None:
        self._own(slot)
        self._drain_owner = None

    def _take(self, slot: _Slot, count: int) -> tuple[Ints, Bools]:
        self._own(slot)
        values, valid = self._drain
        if len(values) < count:
            raise CoreError(f"core {self.place}: the drain stream has {len(values)} elements, "
                            f"not {count}")
        self._drain = values[count:], valid[count:]
        return values[:count], valid[:count]

    # Attention

    def _settings(self) -> tuple[KvGolden, KvSettings]:
        if self.kv is None or self._kv_settings is None:
            raise CoreError(f"core {self.place}: KV was never configured")
        return self.kv, self._kv_settings

    def _tokens(self, position: int) -> int:
        """Tokens up to ``position`` whose block belongs to this member."""
        if self._kv_settings is None:
            return 0
        size = self.machine.block_tokens
        members, member = 1 << self._kv_settings.members_log2, self._kv_settings.member
        block, inside = divmod(position, size)
        turn = block % members
        tail = size if turn > member else inside + 1 if turn == member else 0
        return block // members * size + tail

    def _append(self, slot: _Slot, fields: Mapping[str, int]) -> None:
        kv, settings = self._settings()
        size, members = self.machine.block_tokens, 1 << settings.members_log2
        block, token = divmod(slot.position, size)
        if block % members != settings.member:
            return
        key = (slot.sequence, fields["head"], block // members)
        reply = kv.append(*key, token)
        if not reply.ok:
            slot.flags |= Flag.POISON
            return
        k, v = self._kv_store.setdefault(key, (
            np.zeros((settings.head_dim, size), np.int64),
            np.zeros((size, settings.head_dim), np.int64)))
        k[:, token] = self._int8(slot, fields["k"], settings.head_dim)
        v[token] = self._int8(slot, fields["v"], settings.head_dim)

    def _blocks(self, slot: _Slot, head: int) -> list[tuple[Ints, Ints, Bools]]:
        """K, V and token mask of every local block up to the position."""
        kv, _ = self._settings()
        size, tokens = self.machine.block_tokens, self._tokens(slot.position)
        found = []
        for block in range(-(-tokens // size)):
            key = (slot.sequence, head, block)
            valid = kv.lookup(*key).valid
            mask = np.array([valid >> n & 1 for n in range(size)], bool)
            mask &= np.arange(size) < tokens - block * size
            found.append((*self._kv_store[key], mask))
        return found

    def _score(self, slot: _Slot, fields: Mapping[str, int]) -> None:
        _, settings = self._settings()
        q = self._int8(slot, fields["src"], settings.head_dim)
        blocks = self._blocks(slot, fields["head"])
        empty = np.zeros(0, np.int64)
        self._fill(
            slot, np.concatenate([empty, *(np.where(mask, q @ k, 0) for k, _, mask in blocks)]),
            np.concatenate([empty.astype(bool), *(mask for _, _, mask in blocks)]))

    def _context(self, slot: _Slot, fields: Mapping[str, int]) -> None:
        _, settings = self._settings()
        size = self.machine.block_tokens
        total = np.zeros(settings.head_dim, np.int64)
        for n, (_, v, mask) in enumerate(self._blocks(slot, fields["head"])):
            words = n * size * 8 // self.machine.core.word_bits
            e = self._int8(slot, fields["src"] + words, size)
            total += np.where(mask, e, 0) @ v
        self._fill(slot, total, np.ones(len(total), bool))

    def _free(self, slot: _Slot) -> None:
        kv, _ = self._settings()
        kv.free(slot.sequence)
        self._kv_store = {key: value for key, value in self._kv_store.items()
                          if key[0] != slot.sequence}
