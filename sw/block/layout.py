"""Layouts: which core does what. A layout hands roles to cores 0, 1, ..; a placement says where
those cores lie: along a snake, or anywhere else.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.pool import PoolPlan
from ouroboros.sw.block.tiling import LayoutPlan
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.noc.routes.xy import is_core

__all__ = ["BlockLayout", "Layout", "Slices", "layout", "snake"]


@dataclass(frozen=True, slots=True)
class Slices:
    """Cores that hold the residual, each a slice of its channels, after one step of a block.

    Where the step ends in a matrix, it lies over them in row slices x column slices.
    """

    cores: tuple[Position, ...]
    """Column slice by column slice, the row slices of each one after the other."""
    row_slices: int = 1
    """Cores that share the inputs of a column slice and exchange partial sums."""
    roots: tuple[Position, ...] = ()
    """Cores that add the sums of squares and reserve the slots of all that the slices send to, as
    many as the credit counters ask for; none: slice 0 does."""

    @property
    def columns(self) -> int:
        """Column slices."""
        return len(self.cores) // self.row_slices

    @property
    def all(self) -> tuple[Position, ...]:
        """Slices, then roots."""
        return (*self.cores, *self.roots)


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """Cores of one transformer block; a core may occur under several headings."""

    qkv: tuple[Position, ...]
    """Each makes its share of q, k and v."""
    kv: tuple[tuple[Position, ...], ...]
    """For each group of KV heads, the cores that share its tokens."""
    proj: Slices
    """Residual after attention."""
    up: tuple[Position, ...]
    """Each makes its share of the hidden channels."""
    down: Slices
    """Residual after the feed-forward layer."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Cores of a whole model."""

    name: str
    """Name of the layout."""
    embed: Slices
    """Residual slices that the host fills."""
    blocks: tuple[BlockLayout, ...]
    """First to last."""
    lm: tuple[Position, ...]
    """Each makes its share of the logits."""
    best: Position | None
    """Core that picks the best of all; None: the first of ``lm``."""
    own_roots: bool
    """Every core hosts one stage: norm roots and the argmax, too, have cores of their own."""
    cores: tuple[Position, ...]
    """Every core in use, once: core n of the layout lies at ``cores[n]``."""
    pool: PoolPlan | None = None
    """Whose ports are the last member of each KV group."""


def snake(machine: Machine) -> Iterator[Position]:
    """Cores row by row, every second row backwards, so that neighbours in order are adjacent."""
    for y in range(1, machine.mesh.height + 1):
        row = range(1, machine.mesh.width + 1)
        for x in row if y % 2 else reversed(row):
            yield x, y


def layout(machine: Machine, shape: ModelShape, plan: LayoutPlan,
           cores: Sequence[Position] | None = None,
           live: Collection[Position] | None = None) -> Layout:
    """Cores for a model.

    Parameters
    ----------
    cores : sequence of tuple of int, optional
        Where cores 0, 1, .. of the layout lie; by default along a snake through the mesh.
    live : collection of tuple of int, optional
        Cores to use; by default all of the mesh. The snake goes over the others.

    Raises
    ------
    BlockError
        If too few cores are alive (says how many are missing), or ``cores`` are not as many as the
        layout takes, each another live core of the mesh, or a pool is at no edge port.
    """
    if plan.pool is not None:
        plan.pool.check(machine)
    live = machine.mesh.coordinates if live is None else live
    have, need = len(live), plan.cores(shape.n_layers)
    if need > have:
        what = "cores" if have == machine.mesh.cores else "live cores"
        raise BlockError(f"machine {machine.name!r} has {have} {what}; placement {plan.name!r} of "
                         f"{shape.n_layers} layers takes {need}: {need - have} too few")
    alive = frozenset(live)
    taken = tuple(cores) if cores is not None else tuple(
        islice((core for core in snake(machine) if core in alive), need))
    _check_cores(machine, plan.name, taken, need, alive)
    free = iter(taken)

    def take(count: int) -> tuple[Position, ...]:
        return tuple(islice(free, count))

    # Along the snake, the LM head stands next to the host's port, which it shares with the
    # embedding.
    lm = take(plan.lm.cores) if plan.lm else ()
    best = take(1)[0] if plan.own_roots and plan.lm else None
    embed = (Slices(take(plan.embed), roots=take(plan.roots[0])) if plan.own_roots
             else Slices(lm[:plan.embed]))
    blocks = []
    for n in range(shape.n_layers):
        qkv = take(plan.qkv.cores)
        kv = tuple((*take(plan.members), *_pool(plan, n * plan.kv_groups + k))
                   for k in range(plan.kv_groups))
        proj = Slices(qkv if plan.shared else take(plan.proj.cores), plan.proj.row_slices,
                      take(plan.roots[1]))
        up = take(plan.up.cores)
        down = Slices(up if plan.shared else take(plan.down.cores), plan.down.row_slices,
                      take(plan.roots[2 if n + 1 < shape.n_layers else 3]))
        blocks.append(BlockLayout(qkv=qkv, kv=kv, proj=proj, up=up, down=down))
    return Layout(name=plan.name, embed=embed, blocks=tuple(blocks), lm=lm, best=best,
                  own_roots=plan.own_roots, cores=taken, pool=plan.pool)


def _pool(plan: LayoutPlan, group: int) -> tuple[Position, ...]:
    """Edge port of the pool that serves the model's KV group of this number."""
    return () if plan.pool is None else (plan.pool.ports[group % len(plan.pool.ports)],)


def _check_cores(machine: Machine, placement: str, cores: Sequence[Position],
                 need: int, alive: frozenset[Position]) -> None:
    if len(cores) != need:
        raise BlockError(f"cores for placement {placement!r} must be {need}, not {len(cores)}")
    seen: set[Position] = set()
    for core in cores:
        if not is_core(core, machine.mesh):
            raise BlockError(f"cores must lie in the {machine.mesh.width} x "
                             f"{machine.mesh.height} mesh of machine {machine.name!r}, "
                             f"not at {core}")
        if core not in alive:
            raise BlockError(f"cores must be alive, not {core}: place again without dead cores")
        if core in seen:
            raise BlockError(f"cores must each be used once, not {core} twice")
        seen.add(core)
