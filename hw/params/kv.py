"""Parameters of the KV tile manager."""

from dataclasses import dataclass

from ouroboros.hw.params.check import between, power_of_two


@dataclass(frozen=True, kw_only=True, slots=True)
class KvParams:
    """Parameters of ``hw.kv.manager.KvManager``.

    A logical block holds ``CimParams.outputs`` tokens of one head: K as columns, V as rows.

    Raises
    ------
    ValueError
        If any value is out of the range stated beside it.
    """

    sequences: int
    """Sequence ids that a page table can hold, from 0; a power of two."""
    heads: int
    """KV heads that one core can hold; a power of two, 1 to 16."""
    blocks: int
    """Logical blocks of one sequence and head in one core; a power of two, 1 to 256."""

    def __post_init__(self) -> None:
        for name, high in (("sequences", 1024), ("heads", 16), ("blocks", 256)):
            power_of_two(name, getattr(self, name))
            between(name, getattr(self, name), 1, high)
