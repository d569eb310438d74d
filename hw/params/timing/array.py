"""Cycles of the array unit's instructions, as functions of the machine.

Each counts the cycles from the one in which the instruction is taken to the one with ``done``, when
nothing else is under way and nothing stalls. The unit's tests assert them of the hardware.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.hw.params.cim import tree_latency_cycles
from ouroboros.hw.params.machine import Machine

__all__ = [
    "KV_ALLOCATE_CYCLES", "KV_APPEND_CYCLES", "KV_LOOKUP_CYCLES", "KV_SHARE_CYCLES",
    "KV_WIPE_CYCLES", "LOAD_CYCLES", "Loaded", "append_cycles", "block_groups", "context_cycles",
    "drain_cycles", "drop_cycles", "free_cycles", "kv_free_cycles", "loading_cycles", "mvm_cycles",
    "mvm_cycles_behind", "score_cycles",
]

LOAD_CYCLES = 2
"""LOAD, which is done when it has begun."""

KV_LOOKUP_CYCLES = 2
"""Cycles of a look-up in the KV manager; one can start every cycle."""
KV_APPEND_CYCLES = 3
"""Cycles of an append of the KV manager to a block that exists."""
KV_ALLOCATE_CYCLES = 2
"""More cycles if the block is new."""
KV_SHARE_CYCLES = 4
"""Cycles until a block of the KV manager has another owner, or until that is refused."""
KV_WIPE_CYCLES = 2
"""From a write of ``KV_CONFIG`` until the KV manager takes commands again."""


def _words(machine: Machine, length: int) -> int:
    return -(-length // (machine.core.word_bits // 8))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a LOAD brings."""

    length: int
    """Bytes of the last row tile."""
    tiles: int = 1
    """Row tiles."""
    tile: int = 0
    """Words of a row tile, if there are several."""

    def bytes(self, machine: Machine) -> int:
        """Read from the buffer."""
        return (self.tiles - 1) * self.tile * machine.core.word_bits // 8 + self.length

    def rows(self, machine: Machine) -> int:
        """Rows of words: a row is one word of each tile."""
        return self.tile if self.tiles > 1 else max(1, _words(machine, self.length))

    def groups(self, machine: Machine) -> list[int]:
        """Valid operand groups of each tile."""
        whole = self.tile * machine.core.word_bits // 8
        return [-(-length // machine.cim.active_rows)
                for length in (*[whole] * (self.tiles - 1), self.length)]


def loading_cycles(machine: Machine, load: Loaded) -> int:
    """From the acceptance of a LOAD to the cycle in which the next can be taken."""
    return max(load.tiles, 1) * load.rows(machine) + 3


def mvm_cycles(machine: Machine, groups: int) -> int:
    """MVM with ``groups`` valid operand groups in the fullest macro, all of them loaded.

    Following each other, with loads and drains hidden, MVMs take ``command_cycles`` each.
    """
    return machine.cim.command_cycles(groups) + machine.cim.fill_cycles + 2


def mvm_cycles_behind(machine: Machine, load: Loaded, since: int, first_group: int = 0) -> int:
    """MVM taken ``since`` cycles after its one LOAD, in a unit that has nothing else to do.

    The macros get a command for the rows of operand words that are there, then one for those that
    have come since, and so on; a macro waits for no other, a command for all macros.
    """
    cim, tiles, rows = machine.cim, max(load.tiles, 1), load.rows(machine)
    per_word = machine.core.word_bits // 8 // cim.active_rows
    most = cim.groups - first_group
    valid = [min(groups, most) for groups in load.groups(machine)]
    free, given, order = [0] * tiles, 0, since
    while given < rows:
        # Rows count, and the last word lets all go, 2 cycles after the loader's last cycle for it.
        there = min(rows, (order - 2) // tiles) if order > 2 else 0
        if there < rows and min(there * per_word, most) <= given * per_word:
            order += 1
            continue
        first, end = given * per_word, there * per_word
        starts = [max(order + 1, ready) for ready in free]
        free = [start + cim.command_cycles(
            max(0, (groups if there == rows else min(groups, end)) - first))
                for start, groups in zip(starts, valid, strict=True)]
        given, order = there, max(starts)
    return max(free) + cim.fill_cycles + 1 - since


def drain_cycles(machine: Machine, beats: int) -> int:
    """From ``done`` to the last of ``beats`` beats of a drain stream.

    A SCORE of more blocks than it has K macros takes longer if its commands do.
    """
    return tree_latency_cycles(machine.core.macros) + beats - 1


def drop_cycles(machine: Machine) -> int:
    """Longest time from ``released`` with an MVM or CONTEXT until the next result can be done."""
    return tree_latency_cycles(machine.core.macros) + 2


def append_cycles(machine: Machine, head_dim: int, *, local: bool = True,
                  new_block: bool = False) -> int:
    """APPEND of a token that belongs to this member (``local``) or another."""
    if not local:
        return 4
    manager = KV_APPEND_CYCLES + KV_ALLOCATE_CYCLES * new_block
    columns = -(-head_dim // machine.cim.k_write_rows_per_cycle)
    return manager + columns + _words(machine, head_dim) + 8


def score_cycles(machine: Machine, head_dim: int, k_groups: int, tokens: int) -> int:
    """SCORE over ``tokens`` local tokens; its frames then drain."""
    if not tokens:
        return 4
    groups = min(k_groups, -(-head_dim // machine.cim.active_rows))
    return (_words(machine, head_dim) + machine.cim.command_cycles(groups)
            + machine.cim.fill_cycles + 6)


def block_groups(machine: Machine, tokens: int) -> list[int]:
    """Row groups with a token, of each V block of ``tokens`` tokens."""
    size = machine.block_tokens
    return [-(-min(size, tokens - first) // machine.cim.active_rows)
            for first in range(0, tokens, size)]


def context_cycles(machine: Machine, macros: Sequence[int], tokens: int) -> int:
    """CONTEXT over ``tokens`` local tokens, all valid, with block j in macro ``macros[j]``."""
    if not tokens:
        return 5
    if len(macros) != len(block_groups(machine, tokens)):
        raise ValueError(f"macros must name one macro for each block of {tokens} tokens, "
                         f"not {macros!r}")
    # A block is looked up, loaded, and commanded when its macro is free; then all are collected.
    look, command = 2 + KV_LOOKUP_CYCLES, 0
    free: dict[int, int] = {}
    for block, groups in enumerate(block_groups(machine, tokens)):
        words = _words(machine, min(machine.block_tokens,
                                    tokens - block * machine.block_tokens))
        look += words
        command = max(look + 3, command + 1, free.get(macros[block], 0))
        free[macros[block]] = command + machine.cim.command_cycles(groups)
    collect = max(command + 1, *free.values())
    return collect + machine.cim.command_cycles(0) + machine.cim.fill_cycles + 1


def kv_free_cycles(blocks: int) -> int:
    """FREE of the KV manager of a sequence that has ``blocks`` blocks, all heads together."""
    return blocks + 2


def free_cycles(blocks: int) -> int:
    """FREE of a sequence that has ``blocks`` blocks, all heads together."""
    return kv_free_cycles(blocks) + 4
