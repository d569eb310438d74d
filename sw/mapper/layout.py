"""Layouts: which core does what. A layout hands roles to cores 0, 1, ..; a placement says where
those cores lie: along a snake, or anywhere else.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.models.checkpoint import Shape
from ouroboros.sw.noc.routes.xy import is_core

__all__ = ["PLACEMENTS", "BlockLayout", "Layout", "layout", "snake"]

PLACEMENTS = ("plain", "split")


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """Cores of one transformer block; a core may occur under several headings."""

    qkv: tuple[Position, ...]
    """Each makes q, k, v of its share of the KV heads."""
    kv: tuple[tuple[Position, ...], ...]
    """For each group of KV heads, the cores that share its tokens."""
    proj: tuple[Position, ...]
    """Residual slices after attention."""
    up: tuple[Position, ...]
    """Each makes its share of the hidden channels."""
    down: tuple[Position, ...]
    """Residual slices after the feed-forward layer; each takes its share of hidden channels."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Cores of a whole model."""

    name: str
    """Name of the placement."""
    embed: tuple[Position, ...]
    """Residual slices that the host fills."""
    blocks: tuple[BlockLayout, ...]
    """First to last."""
    lm: tuple[Position, ...]
    """Each makes its share of the logits."""
    cores: tuple[Position, ...]
    """Every core in use, once: core n of the layout lies at ``cores[n]``."""


def snake(machine: Machine) -> Iterator[Position]:
    """Cores row by row, every second row backwards, so that neighbours in order are adjacent."""
    for y in range(1, machine.mesh.height + 1):
        row = range(1, machine.mesh.width + 1)
        for x in row if y % 2 else reversed(row):
            yield x, y


def layout(machine: Machine, shape: Shape, placement: str,
           cores: Sequence[Position] | None = None,
           live: Collection[Position] | None = None) -> Layout:
    """Cores for a model.

    ``plain``: a core for each of QKV, projection, up/gate and down, one for each KV head (or fewer
    if the mesh is too small). ``split``: residual, norm statistics and the inputs of the down
    projection over two cores, every KV head over two cores, QKV over two cores.

    Parameters
    ----------
    cores : sequence of tuple of int, optional
        Where cores 0, 1, .. of the layout lie; by default along a snake through the mesh.
    live : collection of tuple of int, optional
        Cores to use; by default all of the mesh. The snake goes over the others.

    Raises
    ------
    MapperError
        If the placement is unknown, too few cores are alive (says how many are missing), or
        ``cores`` are not as many as the layout takes, each another live core of the mesh.
    """
    if placement not in PLACEMENTS:
        raise MapperError(f"placement must be one of {PLACEMENTS}, not {placement!r}")
    live = machine.mesh.coordinates if live is None else live
    have = len(live)
    # A core holds as many columns of the head as it has macros for all their inputs.
    columns = max(machine.core.macros // -(-shape.dim // machine.cim.rows), 1)
    lm = -(-shape.vocab_size // (machine.cim.outputs * columns))
    if placement == "split":
        for name, value in (("n_kv_heads", shape.n_kv_heads), ("dim", shape.dim)):
            if value % 2:
                raise MapperError(f"{name} must be even for placement 'split', not {value}")
        lm = max(lm, 2)
        groups, members, slices = 2, 2, 2
        per_block = 2 + groups * members + 2
    else:
        groups, members, slices = _kv_groups(have, shape, lm), 1, 1
        per_block = 3 + groups + 1
    need = lm + shape.n_layers * per_block
    if need > have:
        what = "cores" if have == machine.mesh.cores else "live cores"
        raise MapperError(f"machine {machine.name!r} has {have} {what}; placement {placement!r} of "
                          f"{shape.n_layers} layers takes {need}: {need - have} too few")
    alive = frozenset(live)
    taken = tuple(cores) if cores is not None else tuple(
        islice((core for core in snake(machine) if core in alive), need))
    _check_cores(machine, placement, taken, need, alive)
    free = iter(taken)
    blocks = []
    # Along the snake, the LM head stands next to the host's port, which it shares with the
    # embedding.
    head = tuple(islice(free, lm))
    for _ in range(shape.n_layers):
        if placement == "split":
            first = tuple(islice(free, 2))
            kv = tuple(tuple(islice(free, members)) for _ in range(groups))
            last = tuple(islice(free, 2))
            blocks.append(BlockLayout(qkv=first, kv=kv, proj=first, up=last, down=last))
        else:
            qkv = (next(free),)
            kv = tuple((next(free),) for _ in range(groups))
            blocks.append(BlockLayout(qkv=qkv, kv=kv, proj=(next(free),), up=(next(free),),
                                      down=(next(free),)))
    return Layout(name=placement, embed=head[:slices], blocks=tuple(blocks), lm=head, cores=taken)


def _check_cores(machine: Machine, placement: str, cores: Sequence[Position],
                 need: int, alive: frozenset[Position]) -> None:
    if len(cores) != need:
        raise MapperError(f"cores for placement {placement!r} must be {need}, not {len(cores)}")
    seen: set[Position] = set()
    for core in cores:
        if not is_core(core, machine.mesh):
            raise MapperError(f"cores must lie in the {machine.mesh.width} x "
                              f"{machine.mesh.height} mesh of machine {machine.name!r}, "
                              f"not at {core}")
        if core not in alive:
            raise MapperError(f"cores must be alive, not {core}: place again without dead cores")
        if core in seen:
            raise MapperError(f"cores must each be used once, not {core} twice")
        seen.add(core)


def _kv_groups(have: int, shape: Shape, lm: int) -> int:
    """Most KV groups per block that ``have`` cores suffice for; divides the KV heads."""
    spare = (have - lm) // shape.n_layers - 4
    groups = shape.n_kv_heads
    while groups > 1 and (groups > spare or shape.n_kv_heads % groups):
        groups -= 1
    return groups
