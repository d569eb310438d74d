"""Commands and replies of the KV tile manager."""

from enum import IntEnum

from amaranth.lib import data

from ouroboros.hw.kv.bitmap import index_bits
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import HEAD_BITS, POSITION_BITS, SEQUENCE_BITS

__all__ = ["BLOCK_BITS", "KvOp", "kv_command_layout", "kv_reply_layout", "place_layouts"]

BLOCK_BITS = POSITION_BITS
"""Width of a block number in a command: as wide as a position, so that none wraps."""


class KvOp(IntEnum):
    """What a command asks for."""

    LOOKUP = 0
    """Where a block is, and which of its tokens are valid."""
    APPEND = 1
    """The same, allocating the block if there is none, and marks a token valid."""
    FREE = 2
    """Gives back every block of a sequence, of all heads."""
    SHARE = 3
    """Makes a block of ``source`` one of ``sequence``, too; only with ``kv.shares``."""


def kv_command_layout(machine: Machine) -> data.StructLayout:
    """One command; ``token`` is an index in the block. FREE looks at ``sequence`` only.

    ``source`` is there with ``kv.shares``, for SHARE, which looks at no ``token``.
    """
    return data.StructLayout({
        "op":       2,
        "sequence": SEQUENCE_BITS,
        "head":     HEAD_BITS,
        "block":    BLOCK_BITS,
        "token":    index_bits(machine.cim.outputs),
        **({"source": SEQUENCE_BITS} if machine.kv.shares else {}),
    })


def place_layouts(machine: Machine) -> dict[str, data.StructLayout]:
    """Places of a block's two halves; see ``kv_reply_layout``."""
    cim, core = machine.cim, machine.core
    return {
        "k": data.StructLayout({"macro": index_bits(core.macros),
                                "block": index_bits(cim.groups)}),
        "v": data.StructLayout({"macro": index_bits(core.macros),
                                "block": index_bits(cim.rows // cim.outputs),
                                "slot":  index_bits(cim.outputs // core.lanes)}),
    }


def kv_reply_layout(machine: Machine) -> data.StructLayout:
    """One reply; places and ``valid`` mean something only with ``ok``.

    ``k`` and ``v`` are the places of the block's two halves: ``block`` counts K blocks or V row
    blocks of the macro, ``slot`` is the column slot. ``valid`` has a bit per token (LOOKUP only).
    """
    return data.StructLayout({
        "ok": 1, "full": 1, **place_layouts(machine), "valid": machine.cim.outputs})
