"""Parameters of the KV tile manager."""

from dataclasses import dataclass

from ouroboros.hw.params.check import between


@dataclass(frozen=True, kw_only=True, slots=True)
class KvParams:
    """Parameters of ``hw.kv.manager.KvManager``.

    A logical block holds ``CimParams.outputs`` tokens of one head: K as columns, V as rows. The
    page table has an entry for each block that exists, not for each that could: sequences, heads
    and blocks are bits of a tag.

    Raises
    ------
    ValueError
        If any value is out of the range stated beside it.
    """

    sequences: int
    """Sequence ids, from 0; 1 to 65536."""
    heads: int
    """KV heads that one core can hold; 1 to 16."""
    blocks: int
    """Logical blocks of one sequence and head in one core; 1 to 8192."""
    pages: int = 128
    """Blocks of all sequences and heads that one core can hold; 1 to 1024."""
    ring: bool = True
    """Whether programs let sequences begin at different members of a KV head, one after the other;
    no hardware depends on it."""
    v_stays: bool = False
    """Whether programs let V of a sequence grow in one macro, not over all in turn as K does; no
    hardware depends on it."""
    keeps: bool = False
    """Tables outlive a reset, which then empties the network and the cores of tokens only; a write
    of ``KV_CONFIG`` empties them. Before the first one they hold anything."""
    shares: bool = False
    """Whether a block may belong to several sequences, as a prompt's beginning that is theirs."""

    def __post_init__(self) -> None:
        for name, high in (("sequences", 65536), ("heads", 16), ("blocks", 8192), ("pages", 1024)):
            between(name, getattr(self, name), 1, high)
