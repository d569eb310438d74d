"""Golden model of the array unit: instructions on integers, in the order they are issued."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.isa import Op, disassemble
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.golden.kv import KvGolden, KvSettings

__all__ = ["ArrayGolden", "Beat", "Issue", "Outcome", "local_tokens"]

Beat = tuple[tuple[int, ...], int]
"""Lanes of int32, and the mask of valid ones."""


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
    """What an instruction answers; ``beats`` is its drain stream, None if it has none."""

    poison: bool = False
    beats: tuple[Beat, ...] | None = None


def local_tokens(machine: Machine, settings: KvSettings, position: int) -> int:
    """Tokens with index <= ``position`` whose block lies in this member."""
    members = 1 << settings.members_log2
    return sum(token // machine.block_tokens % members == settings.member
               for token in range(position + 1))


class ArrayGolden:
    """Weights, step table, operand banks and KV of one array unit.

    Parameters
    ----------
    machine : Machine
        Sizes.
    settings : KvSettings | None
        How KV blocks lie; None for a core without.
    """

    def __init__(self, machine: Machine, settings: KvSettings | None = None):
        self.machine, self.settings = machine, settings
        cim, core = machine.cim, machine.core
        self.word_bytes = core.word_bits // 8
        self.buffer = np.zeros((core.buffer_words, self.word_bytes), np.int8)
        self.weights = np.zeros((core.macros, cim.rows, cim.outputs), np.int64)
        self.steps = [0] * core.step_words
        self.kv = KvGolden(machine, settings) if settings else None
        self._operands = np.zeros((core.macros, cim.rows), np.int64)
        self._locked = False

    def run(self, issue: Issue) -> Outcome:
        """Execute one instruction."""
        op, fields = disassemble(issue.instruction)
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
                self._kv.free(issue.sequence)
                return Outcome()
        raise ValueError(f"instruction must be one of the array's, not {op!r}")

    def _load(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        if not self._locked:
            self._operands[:] = 0
        self._locked = True
        values = self._vector(issue.base + fields["src"], fields["length"])
        row = fields["offset"] * self.word_bytes
        # Words are loaded whole, and at least one: bytes past the length are invalid, count as 0.
        words = max(1, -(-len(values) // self.word_bytes))
        padded = np.zeros(words * self.word_bytes, np.int64)
        padded[:len(values)] = values
        for macro in self._macros(fields["macros"]):
            self._operands[macro, row:row + len(padded)] = padded
        return Outcome()

    def _multiply(self, fields: Mapping[str, int]) -> Outcome:
        self._locked = False
        cim, first = self.machine.cim, fields["first_group"] * self.machine.cim.active_rows
        sums = {macro: self._operands[macro, :cim.rows - first] @ self.weights[macro, first:]
                for macro in self._macros(fields["macros"])}
        beats: list[Beat] = []
        for step in range(fields["step"], fields["step"] + fields["steps"]):
            total = sum((sums[macro] for macro in self._macros(self.steps[step])),
                        np.zeros(cim.outputs, np.int64))
            beats += self._beats(total, np.ones(cim.outputs, bool))
        return Outcome(beats=tuple(beats))

    def _append(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        settings, tokens = self._settings, self.machine.block_tokens
        block, token = divmod(issue.position, tokens)
        if block % (1 << settings.members_log2) != settings.member:
            return Outcome()
        reply = self._kv.append(issue.sequence, fields["head"],
                                block >> settings.members_log2, token)
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

    def _score(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        settings, tokens = self._settings, self.machine.block_tokens
        q = self._vector(issue.base + fields["src"], settings.head_dim)
        beats: list[Beat] = []
        for block in range(-(-issue.tokens // tokens)):
            reply = self._kv.lookup(issue.sequence, fields["head"], block)
            sums, keep = np.zeros(tokens, np.int64), np.zeros(tokens, bool)
            if reply.k is not None:
                row = reply.k.block * settings.k_groups * self.machine.cim.active_rows
                keep = self._valid(reply.valid, issue.tokens - block * tokens)
                sums = np.where(keep, q @ self.weights[reply.k.macro, row:row + len(q)], 0)
            beats += self._beats(sums, keep)
        return Outcome(beats=tuple(beats))

    def _context(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        settings, tokens = self._settings, self.machine.block_tokens
        size = settings.head_dim
        total = np.zeros(size, np.int64)
        e = self._vector(issue.base + fields["src"], issue.tokens)
        for block in range(-(-issue.tokens // tokens)):
            reply = self._kv.lookup(issue.sequence, fields["head"], block)
            if reply.v is None:
                continue
            part = e[block * tokens:(block + 1) * tokens]
            part = np.where(self._valid(reply.valid, len(part))[:len(part)], part, 0)
            row, column = reply.v.block * tokens, reply.v.slot * size
            total += part @ self.weights[reply.v.macro, row:row + len(part), column:column + size]
        return Outcome(beats=tuple(self._beats(total, np.ones(size, bool))))

    @property
    def _kv(self) -> KvGolden:
        if self.kv is None:
            raise ValueError("KV instructions must come with KV settings, not None")
        return self.kv

    @property
    def _settings(self) -> KvSettings:
        return self._kv.settings

    def _vector(self, word: int, length: int) -> npt.NDArray[np.int64]:
        return self.buffer[word:].reshape(-1)[:length].astype(np.int64)

    def _macros(self, mask: int) -> list[int]:
        return [macro for macro in range(self.machine.core.macros) if mask >> macro & 1]

    def _valid(self, mask: int, count: int) -> npt.NDArray[np.bool_]:
        return np.array([bool(mask >> n & 1) and n < count
                         for n in range(self.machine.block_tokens)])

    def _beats(self, values: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_]) -> list[Beat]:
        lanes = self.machine.core.lanes
        return [(tuple(int(x) for x in values[low:low + lanes]),
                 sum(1 << n for n, live in enumerate(keep[low:low + lanes]) if live))
                for low in range(0, len(values), lanes)]
