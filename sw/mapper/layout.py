"""Placements: which core does what."""

from collections.abc import Iterator
from dataclasses import dataclass

from hw.params.machine import Machine
from sw.mapper.core import MapperError
from sw.mapper.program import Coordinate
from sw.models.checkpoint import Shape

__all__ = ["PLACEMENTS", "BlockLayout", "Layout", "layout", "snake"]

PLACEMENTS = ("plain", "split")


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """Cores of one transformer block; a core may occur under several headings."""

    qkv: tuple[Coordinate, ...]
    """Each makes q, k, v of its share of the KV heads."""
    kv: tuple[tuple[Coordinate, ...], ...]
    """For each group of KV heads, the cores that share its tokens."""
    proj: tuple[Coordinate, ...]
    """Residual slices after attention."""
    up: tuple[Coordinate, ...]
    """Each makes its share of the hidden channels."""
    down: tuple[Coordinate, ...]
    """Residual slices after the feed-forward layer; each takes its share of hidden channels."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Cores of a whole model."""

    name: str
    """Name of the placement."""
    embed: tuple[Coordinate, ...]
    """Residual slices that the host fills."""
    blocks: tuple[BlockLayout, ...]
    """First to last."""
    lm: tuple[Coordinate, ...]
    """Each makes its share of the logits."""

    @property
    def cores(self) -> list[Coordinate]:
        """Every core in use, once."""
        found: dict[Coordinate, None] = dict.fromkeys((*self.embed, *self.lm))
        for block in self.blocks:
            found |= dict.fromkeys((*block.qkv, *block.proj, *block.up, *block.down))
            found |= dict.fromkeys(core for group in block.kv for core in group)
        return [*found]


def snake(machine: Machine) -> Iterator[Coordinate]:
    """Cores row by row, every second row backwards, so that neighbours in order are adjacent."""
    for y in range(1, machine.mesh.height + 1):
        row = range(1, machine.mesh.width + 1)
        for x in row if y % 2 else reversed(row):
            yield x, y


def layout(machine: Machine, shape: Shape, placement: str) -> Layout:
    """Cores for a model, along a snake through the mesh.

    ``plain``: a core for each of QKV, projection, up/gate and down, one for each KV head (or fewer
    if the mesh is too small). ``split``: residual, norm statistics and the inputs of the down
    projection over two cores, every KV head over two cores, QKV over two cores.

    Raises
    ------
    MapperError
        If the placement is unknown or the mesh has too few cores; says how many are missing.
    """
    if placement not in PLACEMENTS:
        raise MapperError(f"placement must be one of {PLACEMENTS}, not {placement!r}")
    have = machine.mesh.cores
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
        groups, members, slices = _kv_groups(machine, shape, lm), 1, 1
        per_block = 3 + groups + 1
    need = lm + shape.n_layers * per_block
    if need > have:
        raise MapperError(f"machine {machine.name!r} has {have} cores; placement {placement!r} of "
                          f"{shape.n_layers} layers takes {need}: {need - have} too few")
    cores = snake(machine)
    blocks = []
    # The LM head stands next to the host's port, which it shares with the embedding.
    head = tuple(next(cores) for _ in range(lm))
    for _ in range(shape.n_layers):
        if placement == "split":
            first = tuple(next(cores) for _ in range(2))
            kv = tuple(tuple(next(cores) for _ in range(members)) for _ in range(groups))
            last = tuple(next(cores) for _ in range(2))
            blocks.append(BlockLayout(qkv=first, kv=kv, proj=first, up=last, down=last))
        else:
            qkv = (next(cores),)
            kv = tuple((next(cores),) for _ in range(groups))
            blocks.append(BlockLayout(qkv=qkv, kv=kv, proj=(next(cores),), up=(next(cores),),
                                      down=(next(cores),)))
    return Layout(name=placement, embed=head[:slices], blocks=tuple(blocks), lm=head)


def _kv_groups(machine: Machine, shape: Shape, lm: int) -> int:
    """Most KV groups per block that the mesh has cores for; divides the KV heads."""
    spare = (machine.mesh.cores - lm) // shape.n_layers - 4
    groups = shape.n_kv_heads
    while groups > 1 and (groups > spare or shape.n_kv_heads % groups):
        groups -= 1
    return groups
