"""What is mapped: a batch of requests to a language model, cut into layers, and the chips.

Rules ``compass-ref-1``: one byte per element, cycles of one clock, picojoules. ``docs/search.md``
has them. Ref: Compass, arXiv 2512.06093.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ouroboros.sw.search.errors import SearchError

__all__ = ["PREFILL", "RULES", "TYPES", "Energy", "Instance", "Kind", "Model", "Request"]

RULES = "compass-ref-1"
"""Name of the rules by which costs are counted."""
TYPES = ("ws", "os")
"""A kind's array holds weights, or outputs."""
PREFILL, DECODE = "prefill", "decode"
CHIPS_MAX = 256
GENES_MAX = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of chip."""

    type: str
    """What its array holds: ``ws`` weights, ``os`` outputs."""
    rows: int
    """Rows of the array."""
    cols: int
    """Columns of the array."""
    buffer: int
    """Bytes of the buffer."""
    e_buf: float
    """Energy of a byte to or from the buffer, pJ."""

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise SearchError(f"type must be one of {', '.join(TYPES)}, not {self.type!r}")
        _least(self, 1, "rows", "cols")
        _least(self, 2, "buffer")
        _least(self, 0, "e_buf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Energy:
    """Energies in pJ."""

    e_mac: float
    """Of a multiplication with its addition."""
    e_eltwise: float
    """Of an element-wise operation."""
    e_hop: float
    """Of a byte over a link."""
    e_dram: float
    """Of a byte to or from DRAM."""
    eltwise_per_cycle: int
    """Element-wise operations that a chip does in a cycle."""

    def __post_init__(self) -> None:
        _least(self, 0, "e_mac", "e_eltwise", "e_hop", "e_dram")
        _least(self, 1, "eltwise_per_cycle")


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """Sizes of a decoder."""

    name: str
    """For people."""
    d: int
    """Width."""
    h: int
    """Query heads."""
    kv: int
    """KV heads."""
    dh: int
    """Width of a head."""
    dff: int
    """Width of the feed-forward network."""
    gated: int
    """1: a gate beside the up projection, as in SwiGLU."""

    def __post_init__(self) -> None:
        _least(self, 1, "d", "h", "kv", "dh", "dff")
        if self.gated not in (0, 1):
            raise SearchError(f"gated must be 0 or 1, not {self.gated}")
        if self.h % self.kv:
            raise SearchError(f"h must be a multiple of kv = {self.kv}, not {self.h}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a request brings to a micro-batch."""

    type: str
    """``prefill`` or ``decode``."""
    new: int
    """Tokens that are computed."""
    hist: int
    """Tokens before them, whose keys and values lie in DRAM."""

    def __post_init__(self) -> None:
        if self.type not in (PREFILL, DECODE):
            raise SearchError(f"type must be {PREFILL} or {DECODE}, not {self.type!r}")
        _least(self, 1, "new")
        _least(self, 0, "hist")


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """Everything that a mapping's cost depends on.

    Raises
    ------
    SearchError
        If sizes do not divide each other as the rules need, or something is missing.
    """

    name: str
    """For people; tells files apart."""
    grid: tuple[int, int]
    """Chips in a row, and rows. Chip ``x + y * grid[0]``, both from 0."""
    kinds: tuple[Kind, ...]
    """Kinds of chips."""
    chip_kind: tuple[int, ...]
    """Index of each chip's kind."""
    link_bw: float
    """Bytes per cycle of a link."""
    dram_channels: int
    """DRAM channels."""
    dram_bw: float
    """Bytes per cycle of a channel."""
    energy: Energy
    """Energies."""
    model: Model
    """The model."""
    tiles: int
    """Parts of QKV, attention and projection."""
    ffn_tiles: int
    """Parts of both feed-forward matrices."""
    blocks: int
    """Blocks in a row."""
    micro_batches: tuple[tuple[Request, ...], ...]
    """Requests of each micro-batch."""
    note: str = field(default="", compare=False)
    """For people."""

    def __post_init__(self) -> None:
        _least(self, 1, "tiles", "ffn_tiles", "blocks", "dram_channels")
        for name in ("link_bw", "dram_bw"):
            if not getattr(self, name) > 0:
                raise SearchError(f"{name} must be above 0, not {getattr(self, name)}")
        if min(self.grid) < 1 or self.chips > CHIPS_MAX:
            raise SearchError(f"grid must have 1 to {CHIPS_MAX} chips, "
                              f"not {self.grid[0]} x {self.grid[1]}")
        if not self.kinds:
            raise SearchError("kinds must have at least one kind, not none")
        if len(self.chip_kind) != self.chips:
            raise SearchError(f"chip_kind must have {self.chips} entries, one a chip, "
                              f"not {len(self.chip_kind)}")
        for n, kind in enumerate(self.chip_kind):
            if not 0 <= kind < len(self.kinds):
                raise SearchError(f"chip_kind[{n}] must be 0 to {len(self.kinds) - 1}, not {kind}")
        if not self.micro_batches:
            raise SearchError("micro_batches must have at least one micro-batch, not none")
        for n, batch in enumerate(self.micro_batches):
            if not batch:
                raise SearchError(f"micro_batches[{n}] must have at least one request, not none")
        model, tiles, ffn = self.model, self.tiles, self.ffn_tiles
        for name, what, parts in (("tiles", "h", tiles), ("tiles", "kv", tiles),
                                  ("tiles", "d", tiles), ("ffn_tiles", "dff", ffn),
                                  ("ffn_tiles", "d", ffn)):
            if getattr(model, what) % parts:
                raise SearchError(f"{name} must divide model.{what} = {getattr(model, what)}, "
                                  f"not {parts}")
        if self.genes > GENES_MAX:
            raise SearchError(f"layers x micro-batches must be at most {GENES_MAX:,}, "
                              f"not {self.genes:,}")

    @property
    def chips(self) -> int:
        """Chips."""
        return self.grid[0] * self.grid[1]

    @property
    def layers(self) -> int:
        """Layers of all blocks."""
        return self.blocks * (3 * self.tiles + 2 * self.ffn_tiles + 3)

    @property
    def genes(self) -> int:
        """Layers times micro-batches: each has a chip."""
        return self.layers * len(self.micro_batches)

    @property
    def digest(self) -> str:
        """SHA-256 of everything but name and note."""
        content = asdict(self) | {"name": "", "note": ""}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For a file, without the totals of ``check``."""
        found = asdict(self)
        return {"name": found.pop("name"), "rules": RULES, "note": found.pop("note"), **found}


def _least(of: Any, low: int, *names: str) -> None:
    for name in names:
        if not getattr(of, name) >= low:
            raise SearchError(f"{name} must be at least {low}, not {getattr(of, name)}")
