"""How many cores a model takes on a machine, beside the least that its bytes would need."""

from dataclasses import dataclass
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.block_cores import BlockCores, block_cores, kv_sharing
from ouroboros.sw.perf.substage import Tiling, columns, divide
from ouroboros.sw.tiling.errors import TilingError
from ouroboros.sw.tiling.rules import TilingRules

__all__ = ["CoreCount", "CrossCores", "core_bytes", "count_cores"]

HEAD_ROOTS = 1
EMBED_ROOTS = 1


def core_bytes(machine: Machine) -> int:
    """int8 weights that a core holds."""
    return machine.core.macros * machine.cim.rows * machine.cim.outputs


@dataclass(frozen=True, slots=True)
class CrossCores:
    """What attention to the encoder adds to a decoder block; its projection is like the block's."""

    q: Tiling
    """Queries, from the decoder."""
    kv: Tiling
    """Keys and values, from the encoder's last block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreCount:
    """Cores of a model by purpose."""

    machine: Machine
    """The machine."""
    shape: ModelShape
    """The model."""
    rules: TilingRules
    """What was chosen."""
    block: BlockCores
    """Tilings of a block."""
    cross: CrossCores | None
    """Tilings that a decoder block beside an encoder has in addition."""
    head: Tiling | None
    """Tiling of the head."""
    kv_heads: int
    """KV heads of one core."""
    members: int
    """Cores that share the tokens of those heads."""
    live: int
    """Cores that work."""

    @property
    def block_cores(self) -> int:
        """Cores for the weights of a block of the encoder, or of a decoder alone."""
        return self.block.cores

    @property
    def decoder_block_cores(self) -> int:
        """The same for a decoder block with attention to an encoder."""
        if self.cross is None:
            return self.block.cores
        return (self.block.cores + self.cross.q.cores + self.cross.kv.cores
                + self.block.projection.cores + 1)

    @property
    def weights(self) -> int:
        """Cores that hold weights, or serve those that do (norm roots)."""
        shape = self.shape
        head = self.head.cores + HEAD_ROOTS if self.head else 0
        return (shape.n_layers * self.block_cores
                + shape.n_decoder_layers * self.decoder_block_cores + head)

    @property
    def embedding(self) -> int:
        """Cores of the residual slices that the host fills."""
        return (self.block.down.cores + EMBED_ROOTS) * (2 if self.cross else 1)

    @property
    def kv_groups(self) -> int:
        """Groups of KV heads: each has ``members`` cores."""
        return self.shape.attention_layers * self.shape.n_kv_heads // self.kv_heads

    @property
    def tiles(self) -> int:
        """Cores in use."""
        return self.weights + self.embedding + self.kv_groups * self.members

    @property
    def spares(self) -> int:
        """Cores kept free for repairs."""
        mesh = self.machine.mesh
        return (self.rules.spares_per_die * (mesh.width // mesh.die_width)
                * (mesh.height // mesh.die_height))

    @property
    def least(self) -> int:
        """Crossbar minimum: cores that the weights would fill to the last byte."""
        return divide(self.shape.weight_bytes, core_bytes(self.machine))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        tilings = {"qkv": self.block.qkv, "projection": self.block.projection,
                   "up": self.block.up, "down": self.block.down, "head": self.head}
        if self.cross:
            tilings |= {"cross_q": self.cross.q, "cross_kv": self.cross.kv}
        shape = self.shape
        return {
            "cores": {"all": self.machine.mesh.cores, "live": self.live, "spare": self.spares,
                      "weights": self.weights, "embedding": self.embedding,
                      "kv": self.kv_groups * self.members, "tiles": self.tiles,
                      "unused": self.live - self.spares - self.tiles},
            "crossbar_minimum": self.least,
            "weight_bytes": shape.weight_bytes,
            "weight_fill": shape.weight_bytes / (self.weights * core_bytes(self.machine)),
            "block_cores": self.block_cores,
            "block_minimum": divide(shape.block_bytes, core_bytes(self.machine)),
            "kv_heads_per_core": self.kv_heads, "kv_members": self.members,
            "tilings": {name: {"row_tiles": t.rows, "column_tiles": t.columns,
                               "row_slices": t.row_slices, "column_slices": t.column_slices,
                               "cores": t.cores} for name, t in tilings.items() if t}}


def count_cores(machine: Machine, shape: ModelShape, rules: TilingRules | None = None, *,
                dead: int = 0) -> CoreCount:
    """Tile every matrix, then share out what is left to KV.

    Raises
    ------
    TilingError
        If the model does not fit; says how many such machines it takes.
    """
    rules = rules or TilingRules()
    if shape.head_dim > machine.cim.outputs or machine.cim.outputs % shape.head_dim:
        raise TilingError(f"head_dim of model {shape.name!r} must divide cim.outputs "
                          f"({machine.cim.outputs}), not {shape.head_dim}")
    cross = None
    if shape.n_decoder_layers:
        cross = CrossCores(columns(machine, shape.dim, shape.q_width),
                           columns(machine, shape.dim, 2 * shape.kv_width))
    head = columns(machine, shape.dim, shape.vocab_size) if shape.head else None
    bare = CoreCount(machine=machine, shape=shape, rules=rules, block=block_cores(machine, shape),
                     cross=cross, head=head, kv_heads=1, members=0,
                     live=machine.mesh.cores - dead)
    left = bare.live - bare.spares - bare.weights - bare.embedding
    kv_heads, members = kv_sharing(machine, shape, left) if left > 0 else (0, 0)
    if not members:
        raise TilingError(_too_large(bare))
    if rules.members is not None:
        if rules.members > members:
            raise TilingError(f"members must be at most {members} for model {shape.name!r} on "
                              f"machine {machine.name!r}, not {rules.members}")
        members = rules.members
    return CoreCount(machine=machine, shape=shape, rules=rules, block=bare.block, cross=cross,
                     head=head, kv_heads=kv_heads, members=members, live=bare.live)


def _too_large(bare: CoreCount) -> str:
    """How many machines: whole blocks on each, with one core for each full set of KV heads."""
    machine, shape = bare.machine, bare.shape
    have = bare.live - bare.spares
    heads = max(n for n in range(1, machine.kv.heads + 1)
                if machine.kv.heads % n == 0 and shape.n_kv_heads % n == 0)
    groups = shape.n_kv_heads // heads
    blocks = [bare.block_cores + groups] * shape.n_layers
    blocks += [bare.decoder_block_cores + 2 * groups] * shape.n_decoder_layers
    ends = bare.weights + bare.embedding + shape.attention_layers * groups - sum(blocks)
    need = sum(blocks) + ends
    if max(blocks) + ends > have:
        return (f"a block of model {shape.name!r} must be at most {have:,} cores (live ones of "
                f"machine {machine.name!r} less {bare.spares} spares), not {max(blocks) + ends:,}")
    machines, room = 1, have - ends
    for block in blocks:
        if block > room:
            machines, room = machines + 1, have
        room -= block
    return (f"model {shape.name!r} must be at most {have:,} cores (live ones of machine "
            f"{machine.name!r} less {bare.spares} spares), not {need:,} with one KV core for "
            f"every {heads} heads: it takes {machines} of them, whole blocks on each")
