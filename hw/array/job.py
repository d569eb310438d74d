"""An instruction at work in the array unit."""

from amaranth import Value
from amaranth.lib import data
from amaranth.utils import exact_log2

from ouroboros.hw.lib.bus import issue_layout
from ouroboros.hw.params.machine import Machine

__all__ = ["head_chunks", "job_layout"]


def job_layout(machine: Machine) -> data.StructLayout:
    """An instruction of one token, and the operand bank that it may use."""
    return data.StructLayout({"issue": issue_layout(machine), "bank": 1})


def head_chunks(machine: Machine, settings: data.View) -> Value:
    """Beats of ``lanes`` elements in a head, from ``KV_CONFIG``."""
    return (settings.head_dim >> exact_log2(machine.core.lanes))[
        :(machine.cim.outputs // machine.core.lanes).bit_length()]
