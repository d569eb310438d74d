"""What a run does, counted: that of which energy is a sum of products.

Counts are those of one wafer, or of all that work together. What is assumed of them (hops of a
packet, borders that it crosses) stands in ``assumptions.toml``.
"""

from dataclasses import asdict, dataclass, fields

__all__ = ["Events"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Events:
    """Events of a run; sums and whole multiples of runs are runs."""

    cycles: int = 0
    """From the first arrival to the last result; what leaks does so for as long."""
    tokens: int = 0
    """Tokens that went through the machine and computed something."""
    tokens_recomputed: int = 0
    """The part of ``tokens`` whose K and V had been computed before, and given up."""
    tokens_out: int = 0
    """Tokens that were generated and counted."""
    array_reads: int = 0
    """Reads of a row group (``active_rows`` x ``outputs`` bytes): read once, held for all bit
    planes of its operand, as the macro does."""
    array_group_cycles: int = 0
    """Cycles of active row groups: ``array_reads`` times bits of an activation."""
    macs: int = 0
    """Multiplications of bytes in the groups that are read, unused columns included."""
    partial_sums: int = 0
    """Sums of 32 bits that leave a macro for the tree above it."""
    kv_bytes_written: int = 0
    """K: bytes written one row after the other, down a column."""
    kv_rows_written: int = 0
    """V: rows of ``head_dim`` bytes written at once."""
    sfu_elements: int = 0
    """Elements through the special-function units."""
    buffer_bytes: int = 0
    """Bytes read from or written to the cores' buffers by loader, send unit and network; those of
    the special-function units follow from ``sfu_elements``."""
    flits: int = 0
    """Flits that cores inject: data, headers, credits; a multicast counts once."""
    flit_hops: int = 0
    """Flits times links that they pass between routers."""
    die_crossings: int = 0
    """Flits times die borders that they cross; also part of ``flit_hops``."""
    wafer_crossings: int = 0
    """Flits that leave a wafer for another one."""
    host_flits: int = 0
    """Flits from and to the host."""

    def __add__(self, other: "Events") -> "Events":
        return Events(**{one.name: getattr(self, one.name) + getattr(other, one.name)
                         for one in fields(self)})

    def __mul__(self, times: int) -> "Events":
        return Events(**{one.name: getattr(self, one.name) * times for one in fields(self)})

    def as_dict(self) -> dict[str, int]:
        """For a file."""
        return asdict(self)
