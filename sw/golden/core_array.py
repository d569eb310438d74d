"""Array and KV of a golden core: what array instructions leave for the SFU, without time."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.golden.kv import KvGolden, KvSettings

__all__ = ["CoreArray", "CoreError", "bits"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ARRAY = (Op.LOAD, Op.MVM, Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE)
SUMS = (Op.MVM, Op.SCORE, Op.CONTEXT)
"""Instructions that leave sums in the drain registers."""


class CoreError(RuntimeError):
    """A program asked a core for something that the hardware would not do."""


def bits(mask: int) -> list[int]:
    """Numbers of the bits that are set."""
    return [n for n in range(mask.bit_length()) if mask >> n & 1]


class CoreArray:
    """Macros, drain registers and KV blocks, shared by all slots of a core.

    K and V are kept by block, wherever the KV manager has put them. ``sw.golden.array`` is the
    array unit to the byte of the macros; the two know nothing of each other.

    Parameters
    ----------
    machine : Machine
        Sizes.
    place : tuple of int
        Coordinates, used in messages.
    """

    def __init__(self, machine: Machine, place: tuple[int, int]):
        self.machine, self.place = machine, place
        core, cim = machine.core, machine.cim
        self.weights = np.zeros((core.macros, cim.rows, cim.outputs), np.int8)
        self.steps: dict[int, int] = {}
        self.kv: KvGolden | None = None
        self._settings: KvSettings | None = None
        self._store: dict[tuple[int, int, int], tuple[Ints, Ints]] = {}
        self._operands = np.zeros((core.macros, cim.rows), np.int64)
        self._sums: tuple[Ints, Bools] = (np.zeros(0, np.int64), np.zeros(0, bool))
        # Slots between their first LOAD and their MVM, and whose sums have not been released.
        self._loading: int | None = None
        self._owner: int | None = None

    def configure(self, settings: KvSettings) -> None:
        """Set up empty KV."""
        self._settings, self.kv = settings, KvGolden(self.machine, settings)

    def can(self, slot: int, op: Op) -> bool:
        """Whether the array can take an instruction of a slot now."""
        if op in ARRAY and self._loading not in (None, slot):
            return False
        return op not in SUMS or self._owner is None

    # Matrices

    def load(self, slot: int, fields: Mapping[str, int], data: Ints) -> None:
        """LOAD."""
        self._loading = slot
        first = fields["offset"] * self.machine.core.word_bits // 8
        for macro in bits(fields["macros"]):
            self._operands[macro, first:first + len(data)] = data

    def multiply(self, slot: int, fields: Mapping[str, int]) -> None:
        """MVM."""
        first = fields["first_group"] * self.machine.cim.active_rows
        sums = np.zeros((self.machine.core.macros, self.machine.cim.outputs), np.int64)
        for macro in bits(fields["macros"]):
            weights = self.weights[macro, first:].astype(np.int64)
            sums[macro] = self._operands[macro, :len(weights)] @ weights
        try:
            steps = [self.steps[fields["step"] + n] for n in range(fields["steps"])]
        except KeyError as error:
            raise CoreError(f"core {self.place}: STEP entry {error} was never written") from None
        values = np.concatenate([sums[bits(mask)].sum(axis=0) for mask in steps])
        self._fill(slot, values, np.ones(len(values), bool))
        self._operands[:] = 0
        self._loading = None

    # Sums

    def _fill(self, slot: int, values: Ints, valid: Bools) -> None:
        self._sums, self._owner = (values, valid), slot

    def _own(self, slot: int) -> None:
        if self._owner != slot:
            raise CoreError(f"core {self.place}: slot {slot} takes the sums of slot "
                            f"{self._owner}")

    def take(self, slot: int, count: int) -> tuple[Ints, Bools]:
        """Next sums of a slot and which of them are valid."""
        self._own(slot)
        values, valid = self._sums
        if len(values) < count:
            raise CoreError(f"core {self.place}: the drain stream has {len(values)} elements, "
                            f"not {count}")
        self._sums = values[count:], valid[count:]
        return values[:count], valid[:count]

    def release(self, slot: int) -> None:
        """Drop what is left of a slot's sums."""
        self._own(slot)
        self._owner = None

    # Attention

    def _configured(self) -> tuple[KvGolden, KvSettings]:
        if self.kv is None or self._settings is None:
            raise CoreError(f"core {self.place}: KV was never configured")
        return self.kv, self._settings

    @property
    def head_dim(self) -> int:
        """Elements of one head's vectors."""
        return self._configured()[1].head_dim

    def tokens(self, position: int) -> int:
        """Tokens up to ``position`` whose block belongs to this member."""
        if self._settings is None:
            return 0
        size = self.machine.block_tokens
        members, member = 1 << self._settings.members_log2, self._settings.member
        block, inside = divmod(position, size)
        turn = block % members
        tail = size if turn > member else inside + 1 if turn == member else 0
        return block // members * size + tail

    def append(self, sequence: int, position: int, head: int, k8: Ints, v8: Ints) -> bool:
        """APPEND; false if there is no room."""
        kv, settings = self._configured()
        size, members = self.machine.block_tokens, 1 << settings.members_log2
        block, token = divmod(position, size)
        if block % members != settings.member:
            return True
        key = (sequence, head, block // members)
        if not kv.append(*key, token).ok:
            return False
        k, v = self._store.setdefault(key, (
            np.zeros((settings.head_dim, size), np.int64),
            np.zeros((size, settings.head_dim), np.int64)))
        k[:, token], v[token] = k8, v8
        return True

    def _blocks(self, sequence: int, position: int, head: int) -> list[tuple[Ints, Ints, Bools]]:
        """K, V and token mask of every local block up to the position.

        A block may be missing, behind a token that was refused: nothing of it is valid.
        """
        kv, settings = self._configured()
        size, tokens = self.machine.block_tokens, self.tokens(position)
        absent = (np.zeros((settings.head_dim, size), np.int64),
                  np.zeros((size, settings.head_dim), np.int64))
        found = []
        for block in range(-(-tokens // size)):
            key = (sequence, head, block)
            valid = kv.lookup(*key).valid
            mask = np.array([valid >> n & 1 for n in range(size)], bool)
            mask &= np.arange(size) < tokens - block * size
            found.append((*self._store.get(key, absent), mask))
        return found

    def score(self, slot: int, sequence: int, position: int, head: int, q8: Ints) -> None:
        """SCORE."""
        blocks = self._blocks(sequence, position, head)
        empty = np.zeros(0, np.int64)
        self._fill(
            slot, np.concatenate([empty, *(np.where(mask, q8 @ k, 0) for k, _, mask in blocks)]),
            np.concatenate([empty.astype(bool), *(mask for _, _, mask in blocks)]))

    def context(self, slot: int, sequence: int, position: int, head: int, e: Ints) -> None:
        """CONTEXT; ``e`` of all local tokens, whole blocks."""
        size = self.machine.block_tokens
        total = np.zeros(self.head_dim, np.int64)
        for n, (_, v, mask) in enumerate(self._blocks(sequence, position, head)):
            total += np.where(mask, e[n * size:(n + 1) * size], 0) @ v
        self._fill(slot, total, np.ones(len(total), bool))

    def free(self, sequence: int) -> None:
        """FREE."""
        self._configured()[0].free(sequence)
        self._store = {key: value for key, value in self._store.items() if key[0] != sequence}
