"""Tilings of the matrices of a model over cores, and the plans that layouts are made from."""

from dataclasses import dataclass

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.pool import PoolPlan
from ouroboros.sw.block.sizes import Sizes, divide
from ouroboros.sw.models.shape import ModelShape

__all__ = ["LayoutPlan", "Tiling", "columns", "plain", "roots", "sliced", "split", "tiled"]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a matrix lies over cores."""

    rows: int
    """Row tiles (of at most ``cim.rows`` inputs) in a core."""
    columns: int
    """Column tiles (of at most ``cim.outputs`` outputs) in a core."""
    row_slices: int
    """Cores that share the inputs and add partial sums; 1: whole sums in every core."""
    column_slices: int
    """Cores side by side over the outputs."""

    @property
    def cores(self) -> int:
        """Cores in all."""
        return self.row_slices * self.column_slices


def columns(machine: Machine, inputs: int, outputs: int) -> Tiling:
    """Output-channel tiling on fewest cores: every core has all inputs.

    Raises
    ------
    BlockError
        If one column of row tiles does not fit a core.
    """
    rows = divide(inputs, machine.cim.rows)
    if rows > machine.core.macros:
        raise BlockError(f"inputs of an output-tiled matrix must be at most "
                         f"{machine.core.macros * machine.cim.rows}, not {inputs}")
    each = machine.core.macros // rows
    return Tiling(rows, each, 1, divide(divide(outputs, machine.cim.outputs), each))


def sliced(machine: Machine, inputs: int, outputs: int, row_slices: int,
           column_slices: int) -> Tiling:
    """A matrix over a given number of cores."""
    size, cim = Sizes(machine), machine.cim
    return Tiling(divide(len(size.share(inputs, 0, row_slices)), cim.rows),
                  divide(len(size.share(outputs, 0, column_slices)), cim.outputs),
                  row_slices, column_slices)


def roots(machine: Machine, receivers: int) -> int:
    """Norm roots that reserve the slots of ``receivers`` stages, with a core's counters each."""
    return max(divide(receivers, machine.core.credits), 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class LayoutPlan:
    """How many cores of each kind a model takes; the same for every block."""

    name: str
    """Of the layout."""
    qkv: Tiling
    """Q, K and V of a share of the heads in each core."""
    kv_groups: int
    """Groups of KV heads; divides the KV heads."""
    members: int
    """Cores that share the tokens of a group; block j of a sequence lies in member j mod members.
    """
    proj: Tiling
    """Attention outputs to the residual."""
    up: Tiling
    """Up projection, and the gate where there is one."""
    down: Tiling
    """Hidden channels to the residual."""
    lm: Tiling | None
    """Head; None: the model has none."""
    embed: int
    """Residual slices that the host fills."""
    shared: bool = False
    """Projection in the cores of QKV, down in those of up/gate, embedding in those of the head."""
    own_roots: bool = False
    """Norms over several slices have roots on cores of their own, and so has the argmax; else slice
    0 and the head's core 0 are that."""
    roots: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Norm roots after the embedding, a projection, a down projection, and the last one."""
    pool: PoolPlan | None = None
    """A pool that is one more member of each group, or the only one (``members`` is 0 then)."""

    @property
    def block_cores(self) -> int:
        """Cores for the weights of one block, norm roots included."""
        if self.shared:
            return self.qkv.cores + self.up.cores
        return (self.qkv.cores + self.proj.cores + self.roots[1] + self.up.cores + self.down.cores
                + self.roots[2])

    @property
    def head_cores(self) -> int:
        """Cores of the head, the argmax included."""
        return 0 if self.lm is None else self.lm.cores + self.own_roots

    @property
    def embed_cores(self) -> int:
        """Cores that hold the embedding alone."""
        return self.embed + self.roots[0] if self.own_roots else 0

    def weight_cores(self, layers: int) -> int:
        """Cores that hold weights, or serve those that do."""
        return layers * self.block_cores - self.roots[2] + self.roots[3] + self.head_cores

    def cores(self, layers: int) -> int:
        """Cores in use."""
        return (self.weight_cores(layers) + self.embed_cores
                + layers * self.kv_groups * self.members)


def tiled(machine: Machine, shape: ModelShape, *, qkv: int, kv_groups: int, members: int,
          proj: tuple[int, int], up: int, down: tuple[int, int], lm: int, embed: int,
          name: str = "tiled") -> LayoutPlan:
    """A layout with one stage a core: cores of every matrix, row slices x column slices.

    Norms over several slices have roots on cores of their own.
    """
    def norms(slices: int, receivers: int) -> int:
        return roots(machine, receivers) if slices > 1 else 0

    projs, downs = proj[0] * proj[1], down[0] * down[1]
    last = norms(downs, lm + 1 if lm else 0)
    # Roots are among the receivers of the norm before.
    after_proj = after_down = 0
    while (found := (norms(projs, up + downs + max(after_down, last)),
                     norms(downs, qkv + projs + after_proj))) != (after_proj, after_down):
        after_proj, after_down = found
    into_block = qkv + projs + after_proj
    vectors = (shape.n_heads + 2 * shape.n_kv_heads) * Sizes(machine).padded(shape.head_dim)
    return LayoutPlan(
        name=name, kv_groups=kv_groups, members=members, embed=embed, own_roots=True,
        qkv=sliced(machine, shape.dim, vectors, 1, qkv),
        proj=sliced(machine, shape.q_width, shape.dim, *proj),
        up=sliced(machine, shape.dim, (2 if shape.gated else 1) * shape.hidden_dim, 1, up),
        down=sliced(machine, shape.hidden_dim, shape.dim, *down),
        lm=sliced(machine, shape.dim, shape.vocab_size, 1, lm) if lm else None,
        roots=(norms(embed, into_block), after_proj, after_down, last))


def plain(machine: Machine, shape: ModelShape, have: int) -> LayoutPlan:
    """A core for each of QKV, projection, up/gate and down; as many for KV as ``have`` allows.

    KV cores are as many as heads, or the largest part of them that fits.
    """
    lm = _head_cores(machine, shape)
    spare = (have - lm) // shape.n_layers - 4
    groups = shape.n_kv_heads
    while groups > 1 and (groups > spare or shape.n_kv_heads % groups):
        groups -= 1
    return _fixed(machine, shape, "plain", cores=1, lm=lm, kv_groups=groups, members=1)


def split(machine: Machine, shape: ModelShape) -> LayoutPlan:
    """Residual, norm and the inputs of down over two cores, KV heads over two, QKV over two.

    Raises
    ------
    BlockError
        If the model's heads or channels cannot be halved.
    """
    for name, value in (("n_kv_heads", shape.n_kv_heads), ("dim", shape.dim)):
        if value % 2:
            raise BlockError(f"{name} must be even for placement 'split', not {value}")
    return _fixed(machine, shape, "split", cores=2, lm=max(_head_cores(machine, shape), 2),
                  kv_groups=2, members=2)


def _head_cores(machine: Machine, shape: ModelShape) -> int:
    # A core holds as many columns of the head as it has macros for all their inputs.
    each = max(machine.core.macros // divide(shape.dim, machine.cim.rows), 1)
    return divide(shape.vocab_size, machine.cim.outputs * each)


def _fixed(machine: Machine, shape: ModelShape, name: str, *, cores: int, lm: int, kv_groups: int,
           members: int) -> LayoutPlan:
    """Every matrix over the same number of cores."""
    vectors = shape.q_width + 2 * shape.kv_width
    return LayoutPlan(
        name=name, kv_groups=kv_groups, members=members, embed=cores, shared=cores > 1,
        qkv=sliced(machine, shape.dim, vectors, 1, cores),
        proj=sliced(machine, shape.q_width, shape.dim, 1, cores),
        up=sliced(machine, shape.dim, 2 * shape.hidden_dim, 1, cores),
        down=sliced(machine, shape.hidden_dim, shape.dim, cores, 1),
        lm=sliced(machine, shape.dim, shape.vocab_size, 1, lm))
