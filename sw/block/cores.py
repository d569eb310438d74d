"""How many cores a model takes on a machine, beside the least that its bytes would need."""

from dataclasses import dataclass
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.plans import kv_sharing, tiled_plan
from ouroboros.sw.block.sizes import divide
from ouroboros.sw.block.tiling import LayoutPlan
from ouroboros.sw.models.shape import ModelShape

__all__ = ["SPARES_PER_DIE", "CoreCount", "core_bytes", "count_cores"]

SPARES_PER_DIE = 4
"""Cores of each die that hold nothing, so that repairs stay local."""


def core_bytes(machine: Machine) -> int:
    """int8 weights that a core holds."""
    return machine.core.macros * machine.cim.rows * machine.cim.outputs


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreCount:
    """Cores of a model by purpose, in the layout ``tiled``."""

    machine: Machine
    """The machine."""
    shape: ModelShape
    """The model."""
    plan: LayoutPlan
    """Cores of every kind."""
    kv_heads: int
    """KV heads of one core."""
    most_members: int
    """Cores that could share the tokens of those heads."""
    live: int
    """Cores that work."""
    spares: int
    """Cores kept free for repairs."""

    @property
    def members(self) -> int:
        """Cores that share the tokens of a core's KV heads."""
        return self.plan.members

    @property
    def weights(self) -> int:
        """Cores that hold weights, or serve those that do (norm roots)."""
        return self.plan.weight_cores(self.shape.n_layers)

    @property
    def embedding(self) -> int:
        """Cores of the residual slices that the host fills."""
        return self.plan.embed_cores

    @property
    def kv_groups(self) -> int:
        """Groups of KV heads: each has ``members`` cores."""
        return self.shape.n_layers * self.plan.kv_groups

    @property
    def kv(self) -> int:
        """Cores that hold K and V."""
        return self.kv_groups * self.members

    @property
    def left_for_kv(self) -> int:
        """Cores that neither weights nor spares take."""
        return self.live - self.spares - self.weights - self.embedding

    @property
    def tiles(self) -> int:
        """Cores in use."""
        return self.weights + self.embedding + self.kv

    @property
    def least(self) -> int:
        """Crossbar minimum: cores that the weights would fill to the last byte."""
        return divide(self.shape.weight_bytes, core_bytes(self.machine))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        plan, shape = self.plan, self.shape
        tilings = {"qkv": plan.qkv, "projection": plan.proj, "up": plan.up, "down": plan.down,
                   "head": plan.lm}
        return {
            "cores": {"all": self.machine.mesh.cores, "live": self.live, "spare": self.spares,
                      "weights": self.weights, "embedding": self.embedding, "kv": self.kv,
                      "tiles": self.tiles, "unused": self.live - self.spares - self.tiles},
            "crossbar_minimum": self.least,
            "weight_bytes": shape.weight_bytes,
            "weight_fill": shape.weight_bytes / (self.weights * core_bytes(self.machine)),
            "block_cores": plan.block_cores,
            "block_minimum": divide(shape.block_bytes, core_bytes(self.machine)),
            "kv_heads_per_core": self.kv_heads, "kv_members": self.members,
            "tilings": {name: {"row_tiles": t.rows, "column_tiles": t.columns,
                               "row_slices": t.row_slices, "column_slices": t.column_slices,
                               "cores": t.cores} for name, t in tilings.items() if t}}


def count_cores(machine: Machine, shape: ModelShape, *, members: int | None = None,
                dead: int = 0, spares_per_die: int = SPARES_PER_DIE) -> CoreCount:
    """Tile every matrix, then share out what is left to KV.

    Parameters
    ----------
    members : int, optional
        Cores that share the tokens of a KV head; by default as many as fit.

    Raises
    ------
    BlockError
        If the model does not fit (says how many such machines it takes), attends to an encoder, or
        members are more than fit.
    """
    if shape.n_decoder_layers:
        raise BlockError(f"kind of model {shape.name!r} must be 'decoder' or 'encoder', not "
                         f"{shape.kind!r}: there is no program that attends to an encoder")
    if spares_per_die < 0:
        raise BlockError(f"spares_per_die must be at least 0, not {spares_per_die}")
    mesh = machine.mesh
    if dead >= mesh.cores:
        raise BlockError(f"machine {machine.name!r} must have a live core, but all "
                         f"{mesh.cores:,} are dead")
    spares = spares_per_die * (mesh.width // mesh.die_width) * (mesh.height // mesh.die_height)
    bare = CoreCount(machine=machine, shape=shape, kv_heads=1, most_members=0, spares=spares,
                     plan=tiled_plan(machine, shape, kv_heads=1, members=1),
                     live=mesh.cores - dead)
    kv_heads, most = kv_sharing(machine, shape, max(bare.left_for_kv, 0))
    if not most:
        raise BlockError(_too_large(bare))
    if members is not None and not 1 <= members <= most:
        raise BlockError(f"members must be between 1 and {most} for model {shape.name!r} on "
                         f"machine {machine.name!r}, not {members}")
    return CoreCount(machine=machine, shape=shape, kv_heads=kv_heads, most_members=most,
                     spares=spares, live=bare.live,
                     plan=tiled_plan(machine, shape, kv_heads=kv_heads, members=members or most))


def _too_large(bare: CoreCount) -> str:
    """How many machines: whole blocks on each, with one core for each full set of KV heads."""
    machine, shape, plan = bare.machine, bare.shape, bare.plan
    have = max(bare.live - bare.spares, 0)
    heads = max(n for n in range(1, machine.kv.heads + 1)
                if machine.kv.heads % n == 0 and shape.n_kv_heads % n == 0)
    block = plan.block_cores + shape.n_kv_heads // heads
    ends = bare.weights - shape.n_layers * plan.block_cores + bare.embedding
    need = shape.n_layers * block + ends
    if block + ends > have:
        return (f"a block of model {shape.name!r} must be at most {have:,} cores (live ones of "
                f"machine {machine.name!r} less {bare.spares} spares), not {block + ends:,}")
    first, each = (have - ends) // block, have // block
    machines = 1 + divide(shape.n_layers - first, each)
    return (f"model {shape.name!r} must be at most {have:,} cores (live ones of machine "
            f"{machine.name!r} less {bare.spares} spares), not {need:,} with one KV core for "
            f"every {heads} heads: it takes {machines} of them, whole blocks on each")
