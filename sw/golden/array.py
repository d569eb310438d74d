"""Golden model of the array unit: instructions on integers, in the order they are issued."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.isa import Op, disassemble
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.golden.kv import KvGolden, KvSettings

__all__ = ["OPS", "STREAMS", "ArrayGolden", "Beat", "CoreError", "Issue", "Outcome", "bits",
           "local_tokens"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Beat = tuple[tuple[int, ...], int]
"""Lanes of int32, and the mask of valid ones."""

OPS = (Op.LOAD, Op.MVM, Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE)
STREAMS = (Op.MVM, Op.SCORE, Op.CONTEXT)
"""Instructions that leave sums for the drain stream."""

_FLOAT32_ROWS = 1024
"""So many products of int8 are at most 2**24 together, which float32 holds exactly."""
_decode = cache(disassemble)


class CoreError(RuntimeError):
    """A program asked a core for something that the hardware would not do."""


def bits(mask: int) -> list[int]:
    """Numbers of the bits that are set."""
    return [n for n in range(mask.bit_length()) if mask >> n & 1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """One instruction of one token; ``tokens`` is the token's local KV count."""

    instruction: int
    slot: int = 0
    base: int = 0
    sequence: int = 0
    position: int = 0
    tokens: int = 0
    flags: int = 0

    def fields(self) -> dict[str, int]:
        """Values of ``hw.lib.bus.issue_layout``."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an instruction answers."""

    poison: bool = False
    sums: tuple[Ints, Bools] | None = None
    """Elements of its drain stream and which are valid; None if it has no stream."""

    def beats(self, lanes: int) -> list[Beat]:
        """The drain stream beat by beat; empty if there is none."""
        values, valid = self.sums or ((), ())
        return [(tuple(int(x) for x in values[low:low + lanes]),
                 sum(1 << n for n, live in enumerate(valid[low:low + lanes]) if live))
                for low in range(0, len(values), lanes)]


def local_tokens(machine: Machine, settings: KvSettings, position: int, sequence: int = 0) -> int:
    """Tokens of a sequence with index <= ``position`` whose block lies in this member."""
    size, members = machine.block_tokens, settings.members
    block, inside = divmod(position, size)
    turn, mine = block % members, settings.mine(sequence)
    tail = size if turn > mine else inside + 1 if turn == mine else 0
    return block // members * size + tail


class ArrayGolden:
    """Weights, step table, operand banks and KV of one array unit.

    Parameters
    ----------
    machine : Machine
        Sizes.
    settings : KvSettings | None
        How KV blocks lie; None until ``configure``.
    buffer : array
        Bytes of the core's buffer, shared with whoever else uses it; None: one of its own.
    name : str
        Whose errors they are.
    """

    def __init__(self, machine: Machine, settings: KvSettings | None = None, *,
                 buffer: npt.NDArray[np.uint8] | None = None, name: str = "array"):
        self.machine, self.name = machine, name
        cim, core = machine.cim, machine.core
        self.word_bytes = core.word_bits // 8
        if buffer is None:
            buffer = np.zeros(core.buffer_words * self.word_bytes, np.uint8)
        self.buffer = buffer.view(np.int8).reshape(-1, self.word_bytes)
        self.weights = np.zeros((core.macros, cim.rows, cim.outputs), np.int8)
        self.steps: dict[int, int] = {}
        self.owner: int | None = None
        """Slot that has loaded operands and not multiplied yet."""
        self.kv: KvGolden | None = None
        if settings:
            self.configure(settings)
        self._operands = np.zeros((core.macros, cim.rows), np.int8)

    def configure(self, settings: KvSettings) -> None:
        """Set up empty KV."""
        self.kv = KvGolden(self.machine, settings)

    def takes(self, slot: int, op: Op) -> bool:
        """Whether the unit is not locked; for its owner only LOAD and MVM go on."""
        return self.owner is None or (self.owner == slot and op in (Op.LOAD, Op.MVM))

    def run(self, issue: Issue) -> Outcome:
        """Execute one instruction.

        Raises
        ------
        CoreError
            If it needs a table entry that was never written.
        ValueError
            If it is none of the array's.
        """
        op, fields = _decode(issue.instruction)
        match op:
            case Op.LOAD:
                return self._load(issue, fields)
            case Op.MVM:
                return self._multiply(fields)
            case Op.APPEND:
                return self._append(issue, fields)
            case Op.SCORE:
                return self._score(issue, fields)
            case Op.CONTEXT:
                return self._context(issue, fields)
            case Op.FREE:
                self._free(issue.sequence)
                return Outcome()
        raise ValueError(f"instruction must be one of the array's, not {op!r}")

    def _load(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        if self.owner is None:
            self._operands[:] = 0
        self.owner = issue.slot
        row, tiles = fields["offset"] * self.word_bytes, max(fields["tiles"], 1)
        values = self._vector(issue.base + fields["src"], fields["length"]
                              + (tiles - 1) * fields["tile"] * self.word_bytes)
        # Words are loaded whole, and at least one: bytes past the length are invalid, count as 0.
        words = max(1, -(-len(values) // self.word_bytes)) if tiles == 1 else fields["tile"]
        padded = np.zeros(tiles * words * self.word_bytes, np.int8)
        padded[:len(values)] = values
        for n, tile in enumerate(padded.reshape(tiles, -1)):
            self._operands[bits(fields["macros"] << n), row:row + len(tile)] = tile
        return Outcome()

    def _multiply(self, fields: Mapping[str, int]) -> Outcome:
        self.owner = None
        first = fields["first_group"] * self.machine.cim.active_rows
        macros, rows = bits(fields["macros"]), self.machine.cim.rows - first
        operands = self._operands[macros, :rows]
        # Most programs fill no macro: operands beyond the last that is loaded are zeros.
        loaded = np.flatnonzero((operands != 0).any(axis=0))
        used = int(loaded[-1]) + 1 if loaded.size else 0
        products = _products(operands[:, None, :used], self.weights[macros, first:first + used])
        sums = dict(zip(macros, products[:, 0], strict=True))
        frames = []
        for step in range(fields["step"], fields["step"] + fields["steps"]):
            if step not in self.steps:
                raise CoreError(f"{self.name}: STEP entry {step} was never written")
            try:
                parts = [sums[macro] for macro in bits(self.steps[step])]
            except KeyError as error:
                raise CoreError(f"{self.name}: STEP entry {step} adds macro {error}, which must "
                                "be one of the MVM's") from None
            frames.append(sum(parts, np.zeros(self.machine.cim.outputs, np.int64)))
        return _whole(np.concatenate(frames) if frames else np.zeros(0, np.int64))

    def _append(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        kv, tokens = self._configured(), self.machine.block_tokens
        settings = kv.settings
        block, token = divmod(issue.position, tokens)
        if block % settings.members != settings.mine(issue.sequence):
            return Outcome()
        reply = kv.append(issue.sequence, fields["head"], block // settings.members, token)
        if not reply.ok or reply.k is None or reply.v is None:
            return Outcome(poison=True)
        size = settings.head_dim
        k_row = reply.k.block * settings.k_groups * self.machine.cim.active_rows
        self.weights[reply.k.macro, k_row:k_row + size, token] = self._vector(
            issue.base + fields["k"], size)
        column = reply.v.slot * size
        self.weights[reply.v.macro, reply.v.block * tokens + token, column:column + size] = (
            self._vector(issue.base + fields["v"], size))
        return Outcome()

    def _free(self, sequence: int) -> None:
        self._configured().free(sequence)

    def _score(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        kv, tokens = self._configured(), self.machine.block_tokens
        blocks = -(-issue.tokens // tokens)
        q = self._vector(issue.base + fields["src"], kv.settings.head_dim)
        sums, keep = np.zeros((blocks, tokens), np.int64), np.zeros((blocks, tokens), bool)
        for block in range(blocks):
            reply = kv.lookup(issue.sequence, fields["head"], block)
            if reply.k is not None:
                row = reply.k.block * kv.settings.k_groups * self.machine.cim.active_rows
                keep[block] = self._valid(reply.valid, issue.tokens - block * tokens)
                sums[block] = _products(q, self.weights[reply.k.macro, row:row + len(q)])
        return Outcome(sums=(np.where(keep, sums, 0).reshape(-1), keep.reshape(-1)))

    def _context(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        kv, tokens = self._configured(), self.machine.block_tokens
        size = kv.settings.head_dim
        total = np.zeros(size, np.int64)
        e = self._vector(issue.base + fields["src"], issue.tokens)
        for block in range(-(-issue.tokens // tokens)):
            reply = kv.lookup(issue.sequence, fields["head"], block)
            if reply.v is None:
                continue
            part = e[block * tokens:(block + 1) * tokens]
            part = np.where(self._valid(reply.valid, len(part))[:len(part)], part, 0)
            row, column = reply.v.block * tokens, reply.v.slot * size
            total += _products(
                part, self.weights[reply.v.macro, row:row + len(part), column:column + size])
        return _whole(total)

    def _configured(self) -> KvGolden:
        if self.kv is None:
            raise CoreError(f"{self.name}: KV was never configured")
        return self.kv

    def _vector(self, word: int, length: int) -> npt.NDArray[np.int8]:
        return self.buffer[word:].reshape(-1)[:length]

    def _valid(self, mask: int, count: int) -> Bools:
        """The first ``count`` tokens of a block, those of them that ``mask`` holds."""
        size = self.machine.block_tokens
        live = mask & (1 << min(count, size)) - 1
        return np.unpackbits(np.frombuffer(live.to_bytes(-(-size // 8), "little"), np.uint8),
                             count=size, bitorder="little").astype(bool)


def _products(x: npt.NDArray[np.int8], weights: npt.NDArray[np.int8]) -> Ints:
    """Matrix products; exact, and faster than in integers: no sum is near what floats hold."""
    kind: type[np.floating[Any]] = np.float32 if x.shape[-1] <= _FLOAT32_ROWS else np.float64
    sums: Ints = (x.astype(kind) @ weights.astype(kind)).astype(np.int64)
    return sums


def _whole(sums: Ints) -> Outcome:
    return Outcome(sums=(sums, np.ones(len(sums), bool)))
