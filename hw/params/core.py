"""Parameters of a core around its macros."""

from dataclasses import dataclass

from ouroboros.hw.params.check import at_least, between, power_of_two
from ouroboros.hw.params.widths import OPERAND_BITS

OPERANDS = 1 << OPERAND_BITS
"""Operand groups of a token slot, each with its own count of arrived packets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreParams:
    """Parameters of ``hw.core.core.Core``; paper scale is 32 macros, 16 lanes.

    Raises
    ------
    ValueError
        If any value is out of the range stated beside it.
    """

    macros: int
    """CIM macros (crossbars); a power of two, 1 to 32."""
    lanes: int
    """Elements that the SFU takes per cycle; a power of two, 4 to 64."""
    residual_bits: int = 16
    """Width of the residual stream that the SFU is built for; 16 (scheme R) or 24 (R and R2)."""
    stages: int = 4
    """Stage programs a core can host; 1 to 16."""
    slots: int = 8
    """Token slots, shared out to the stages by the host; 2 to 32."""
    credits: int = 16
    """End-to-end credit counters of a sender; 1 to 32."""
    credit_bits: int = 5
    """Width of one credit counter in bits; 2 to 8."""
    credit_list_words: int = 16
    """Entries of the list of senders to be credited when a token leaves; 1 to 64."""
    dests: int = 16
    """Destination-list entries; 1 to 64."""
    buffer_words: int = 512
    """Buffer size in words of ``lanes`` x 32 bits; a power of two, 16 to 4096."""
    program_words: int = 128
    """Instructions of all stage programs; a power of two, 16 to 1024."""
    param_words: int = 256
    """Words of ``lanes`` x 16 bits that hold requantisation multipliers; a power of two."""
    step_words: int = 32
    """Entries of the drain step table (one leaf mask each); a power of two, up to 64."""
    trace_words: int = 64
    """Entries of the token trace ring; a power of two, 2 to 4096."""

    def __post_init__(self) -> None:
        power_of_two("macros", self.macros)
        between("macros", self.macros, 1, 32)
        power_of_two("lanes", self.lanes)
        between("lanes", self.lanes, 4, 64)
        if self.residual_bits not in (16, 24):
            raise ValueError(f"residual_bits must be 16 or 24, not {self.residual_bits!r}")
        between("stages", self.stages, 1, 16)
        between("slots", self.slots, 2, 32)
        between("credits", self.credits, 1, 32)
        between("credit_bits", self.credit_bits, 2, 8)
        between("credit_list_words", self.credit_list_words, 1, 64)
        between("dests", self.dests, 1, 64)
        for name, low, high in (("buffer_words", 16, 4096), ("program_words", 16, 1024),
                                ("param_words", 1, 4096), ("step_words", 1, 64),
                                ("trace_words", 2, 4096)):
            power_of_two(name, getattr(self, name))
            between(name, getattr(self, name), low, high)
        at_least("slots", self.slots, 2)

    @property
    def word_bits(self) -> int:
        """Width of a buffer word in bits: one int32 for every lane."""
        return 32 * self.lanes
