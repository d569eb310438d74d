"""Layouts and signatures of the connections inside a core."""

from amaranth import signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.params.isa import INSTRUCTION_BITS
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import (
    ENTRY_BITS,
    FLAG_BITS,
    POSITION_BITS,
    SEQUENCE_BITS,
    UNIT_BITS,
    WORD_ADDRESS_BITS,
)

__all__ = ["BufferRead", "BufferWrite", "ConfigBus", "config_data_bits", "done_layout",
           "done_signature", "drain_layout", "drain_signature", "issue_layout", "issue_signature"]


def issue_layout(machine: Machine) -> data.StructLayout:
    """One instruction of one token on its way to a unit; ``base`` is the slot's first word."""
    return data.StructLayout({
        "instruction": INSTRUCTION_BITS,
        "slot":        ceil_log2(machine.core.slots),
        "base":        WORD_ADDRESS_BITS,
        "sequence":    SEQUENCE_BITS,
        "position":    POSITION_BITS,
        "tokens":      POSITION_BITS,  # of the sequence in this core's KV, its own included
        "flags":       FLAG_BITS,
    })


def issue_signature(machine: Machine) -> stream.Signature:
    """Stream of instructions from the controller (``Out``) to a unit."""
    return stream.Signature(issue_layout(machine))


def done_layout(machine: Machine) -> data.StructLayout:
    """Completion of an instruction: of which slot, and whether its token is poisoned by it."""
    return data.StructLayout({"slot": ceil_log2(machine.core.slots), "poison": 1})


def done_signature(machine: Machine) -> stream.Signature:
    """Stream of completions from a unit (``Out``) to the controller, which is always ready."""
    return stream.Signature(done_layout(machine), always_ready=True)


def drain_layout(machine: Machine) -> data.StructLayout:
    """One beat of array results; ``valid`` tells which lanes hold a token or output."""
    return data.StructLayout({
        "data":  data.ArrayLayout(signed(32), machine.core.lanes),
        "valid": machine.core.lanes,
    })


def drain_signature(machine: Machine) -> stream.Signature:
    """Stream of result beats from the array (``Out``) to the SFU."""
    return stream.Signature(drain_layout(machine))


class BufferRead(wiring.Signature):
    """Read port seen from the reader: ``data`` is the word at ``addr`` one cycle after ``en``.

    ``data`` keeps its value while ``en`` is 0.
    """

    def __init__(self, machine: Machine):
        super().__init__({"en": Out(1), "addr": Out(WORD_ADDRESS_BITS),
                          "data": In(machine.core.word_bits)})


class BufferWrite(wiring.Signature):
    """Write port seen from the writer; ``mask`` selects flit-wide parts of the word."""

    def __init__(self, machine: Machine):
        super().__init__({"en": Out(1), "addr": Out(WORD_ADDRESS_BITS),
                          "data": Out(machine.core.word_bits),
                          "mask": Out(machine.flits_per_word)})


def config_data_bits(machine: Machine) -> int:
    """Width of the widest configuration entry: a macro row, an instruction or a parameter word."""
    return max(8 * machine.cim.outputs, INSTRUCTION_BITS, 16 * machine.core.lanes)


class ConfigBus(wiring.Signature):
    """One entry is written in each cycle with ``valid``; a unit watches for its own number."""

    def __init__(self, machine: Machine):
        super().__init__({"valid": Out(1), "unit": Out(UNIT_BITS), "address": Out(ENTRY_BITS),
                          "data": Out(config_data_bits(machine))})
