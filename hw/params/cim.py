"""Parameters of the compute-in-memory (CIM) macro."""

from dataclasses import dataclass

from ouroboros.hw.params.check import at_least, power_of_two

ACTIVATION_BITS = 8
"""Width of an operand, and cycles that an active row group takes."""
TREE_LEVELS_PER_REGISTER = 2
"""Levels of adders between two registers of ``hw.array.tree.AdderTree``."""


def tree_latency_cycles(macros: int) -> int:
    """Cycles from a beat's entry to its appearance at the output of the adder tree."""
    levels = (macros - 1).bit_length()
    return max(1, -(-levels // TREE_LEVELS_PER_REGISTER))


@dataclass(frozen=True, kw_only=True, slots=True)
class CimParams:
    """Parameters of ``hw.cim.macro.Macro``; paper scale is 1024 x 128 with 32 active rows.

    Raises
    ------
    ValueError
        If any value is out of the range stated beside it.
    """

    rows: int
    """Inputs of the macro; a power of two, a multiple of ``active_rows``."""
    outputs: int
    """Outputs (8-bit columns) of the macro; a power of two of at least 4."""
    active_rows: int
    """Rows that take part in one cycle; a power of two, at most ``rows``."""
    k_write_rows_per_cycle: int = 1
    """Rows that a K append writes per cycle (one byte in each); a power of two, 1 to
    ``active_rows`` and ``outputs``."""

    def __post_init__(self) -> None:
        for name in ("rows", "outputs", "active_rows", "k_write_rows_per_cycle"):
            power_of_two(name, getattr(self, name))
        at_least("outputs", self.outputs, 4)
        if self.active_rows > self.rows:
            raise ValueError(f"active_rows must be at most rows ({self.rows}), "
                             f"not {self.active_rows!r}")
        if self.k_write_rows_per_cycle > self.active_rows:
            raise ValueError(f"k_write_rows_per_cycle must be at most active_rows "
                             f"({self.active_rows}), not {self.k_write_rows_per_cycle!r}")
        if self.k_write_rows_per_cycle > self.outputs:
            raise ValueError(f"k_write_rows_per_cycle must be at most outputs ({self.outputs}), "
                             f"not {self.k_write_rows_per_cycle!r}")

    @property
    def groups(self) -> int:
        """Row groups; one is active at a time."""
        return self.rows // self.active_rows

    def write_byte(self, row: int, output: int) -> int:
        """Byte of a macro's write port that is wired to an output of a row.

        Rows that are written together take different bytes for the same output.
        """
        return output ^ row % self.k_write_rows_per_cycle

    @property
    def mvm_cycles(self) -> int:
        """Array cycles of an MVM over every row group: 8 activation bits each."""
        return self.command_cycles(self.groups)

    @property
    def fill_cycles(self) -> int:
        """Cycles of a macro command past ``command_cycles``, up to the first with ``full`` high.

        The stages: memory read, adder tree, bit-serial sum, accumulator; overlapped by the next
        command.
        """
        return 4

    def command_cycles(self, groups: int) -> int:
        """Array cycles of a macro command with ``groups`` valid operand groups."""
        return ACTIVATION_BITS * groups or 1
