"""What a KV manager must never do, whatever its placement: a ledger of owners and tokens."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ouroboros.hw.kv.layout import KvOp
from ouroboros.hw.params.machine import Machine

__all__ = ["Answer", "Command", "Layout", "Ledger"]

Head = tuple[int, int]
"""Sequence and head."""
Spot = tuple[int, ...]
"""(macro, block) of K, (macro, block, slot) of V."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What the manager is told of the macros."""

    k_macros: int
    """Mask."""
    v_macros: int
    """Mask."""
    k_blocks: int
    """K blocks of a macro."""
    v_slots: int
    """V blocks side by side."""
    heads: int
    """Heads that may be used."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command; ``head``, ``block`` and ``token`` as far as ``op`` looks at them."""

    op: KvOp
    sequence: int
    head: int = 0
    block: int = 0
    token: int = 0
    source: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Its reply, as it stands on the port."""

    ok: bool
    full: bool
    k: Spot
    v: Spot
    valid: int


@dataclass(slots=True)
class _Block:
    k: Spot
    v: Spot
    tokens: int
    owners: int = 1


class Ledger:
    """Follows replies one by one; it knows no rule of placement, so any may be right.

    No place has two owners, none is lost: *full* is believed only if the ledger itself finds no
    room. A block stays where it is, with the tokens that were appended and no others, until its
    sequence is freed. It shares nothing with the golden model.
    """

    def __init__(self, machine: Machine, layout: Layout):
        self.machine, self.layout = machine, layout
        self.replies: Counter[str] = Counter()
        self._row_blocks = machine.cim.rows // machine.cim.outputs
        self._blocks: dict[Head, dict[int, _Block]] = {}
        self._taken: set[tuple[str, Spot]] = set()
        self._in_slot: Counter[int] = Counter()
        self._count = 0
        self._pages = 0

    @property
    def used(self) -> int:
        """Blocks that have an owner."""
        return self._count

    def whole(self) -> list[tuple[int, int, int]]:
        """Sequence, head and number of the blocks that have all their tokens."""
        full = (1 << self.machine.cim.outputs) - 1
        return [(*head, number) for head, blocks in self._blocks.items()
                for number, block in blocks.items() if block.tokens == full]

    def check(self, command: Command, answer: Answer) -> None:
        """Assert that ``answer`` may be the reply to ``command``, after those before."""
        kv, op = self.machine.kv, command.op
        legal = command.sequence < kv.sequences and (op == KvOp.FREE or (
            command.head < min(kv.heads, self.layout.heads) and command.block < kv.blocks))
        legal = legal and (op != KvOp.SHARE or command.source < kv.sequences)
        if not legal:
            self.replies["illegal"] += 1
            assert not answer.ok and not answer.full, f"{command} must be refused"
        elif op == KvOp.FREE:
            self.replies["free"] += 1
            assert answer.ok and not answer.full, f"{command} must be done"
            self._free(command.sequence)
        else:
            head = command.sequence, command.head
            block = self._blocks.get(head, {}).get(command.block)
            if op == KvOp.LOOKUP:
                self._lookup(command, block, answer)
            elif op == KvOp.SHARE:
                self._share(command, head, answer)
            else:
                self._append(command, head, block, answer)

    def _lookup(self, command: Command, block: _Block | None, answer: Answer) -> None:
        self.replies["found" if block else "absent"] += 1
        assert answer.ok == (block is not None) and not answer.full, f"{command}: {answer}"
        if block:
            assert (answer.k, answer.v) == (block.k, block.v), f"{command}: block has moved"
            assert answer.valid == block.tokens, f"{command}: tokens lost or invented"

    def _append(self, command: Command, head: Head, block: _Block | None,
                answer: Answer) -> None:
        if block:
            self.replies["appended"] += 1
            assert answer.ok and not answer.full, f"{command}: the block is there"
            assert (answer.k, answer.v) == (block.k, block.v), f"{command}: block has moved"
            block.tokens |= 1 << command.token
            return
        if not answer.ok:
            assert answer.full, f"{command} must be answered"
            self.replies[self._reason(head)] += 1
            return
        self.replies["new"] += 1
        assert not answer.full
        self._own(head, answer)
        self._blocks.setdefault(head, {})[command.block] = _Block(
            answer.k, answer.v, 1 << command.token)

    def _share(self, command: Command, head: Head, answer: Answer) -> None:
        """The very block gets one more owner; it stays until the last of them is freed."""
        block = self._blocks.get((command.source, command.head), {}).get(command.block)
        own = self._blocks.get(head, {})
        if (block is None or block.tokens + 1 != 1 << self.machine.cim.outputs
                or command.block in own
                or any(other.v[2] != block.v[2] for other in own.values())):
            self.replies["not shared"] += 1
            assert not answer.ok and not answer.full, f"{command} must be refused"
        elif not answer.ok:
            assert answer.full, f"{command} must be answered"
            assert self._pages == self.machine.kv.pages, f"{command}: there is a page"
            self.replies["no page to share"] += 1
        else:
            self.replies["shared"] += 1
            assert not answer.full and self._pages < self.machine.kv.pages
            block.owners += 1
            self._pages += 1
            self._blocks.setdefault(head, {})[command.block] = block

    def _own(self, head: Head, answer: Answer) -> None:
        layout, (k_macro, k_block), (v_macro, v_block, slot) = self.layout, answer.k, answer.v
        assert layout.k_macros >> k_macro & 1 and k_block < layout.k_blocks, f"no K: {answer}"
        assert layout.v_macros >> v_macro & 1 and v_block < self._row_blocks, f"no V: {answer}"
        assert slot < layout.v_slots, f"no slot: {answer}"
        assert all(block.v[2] == slot for block in self._blocks.get(head, {}).values()), (
            "V blocks of a head lie in one column slot")
        for place in (("k", answer.k), ("v", answer.v)):
            assert place not in self._taken, f"{place} has two owners"
            self._taken.add(place)
        self._in_slot[slot] += 1
        self._count += 1
        self._pages += 1

    def _reason(self, head: Head) -> str:
        """Why there is no room for another block."""
        layout, kv = self.layout, self.machine.kv
        k_room = layout.k_macros.bit_count() * layout.k_blocks
        v_room = layout.v_macros.bit_count() * self._row_blocks
        own = self._blocks.get(head)
        slots = {block.v[2] for block in own.values()} if own else range(layout.v_slots)
        why: list[tuple[str, Callable[[], bool]]] = [
            ("pages out", lambda: self._pages >= kv.pages),
            ("K out", lambda: self._count >= k_room),
            ("V out", lambda: all(self._in_slot[slot] >= v_room for slot in slots))]
        found = next((name for name, holds in why if holds()), None)
        assert found, f"{head} was refused a block with {self._count} in use: some have leaked"
        return found

    def _free(self, sequence: int) -> None:
        for head in [head for head in self._blocks if head[0] == sequence]:
            for block in self._blocks.pop(head).values():
                self._pages -= 1
                block.owners -= 1
                if block.owners:
                    continue
                self._taken -= {("k", block.k), ("v", block.v)}
                self._in_slot[block.v[2]] -= 1
                self._count -= 1
