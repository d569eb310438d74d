"""How the matrices of a transformer block lie over cores: counted once, for model and mapper.

Q, K, V, up/gate and the head are output-tiled: every core has all inputs. So is the projection
while its inputs reach a core within the cycles of an MVM. Otherwise the projection, and always
down, are tiled by ``rows x columns`` macros a core: on fewest cores among the tilings that are not
slower than an up/gate core (all its units: array, SFU, flits in and out). Where several cores share
the inputs, int32 partial sums are exchanged.
"""

from dataclasses import dataclass

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.block import reduced, up_gate
from ouroboros.sw.perf.substage import Sizes, SubStage, Tiling, columns, divide
from ouroboros.sw.program.image import Token

__all__ = ["BlockCores", "block_cores", "kv_sharing"]

ROOTS = 2
"""Cores of a block that add the sums of squares of a norm."""


@dataclass(frozen=True, slots=True)
class BlockCores:
    """Tilings of one block's matrices."""

    qkv: Tiling
    """Q, K and V side by side."""
    projection: Tiling
    """Attention outputs to the residual."""
    up: Tiling
    """Up projection, and the gate where there is one."""
    down: Tiling
    """Hidden channels to the residual."""

    @property
    def cores(self) -> int:
        """Cores for weights, norm roots included."""
        return (self.qkv.cores + self.projection.cores + self.up.cores + self.down.cores + ROOTS)


def block_cores(machine: Machine, shape: ModelShape) -> BlockCores:
    """Tile the matrices of one block.

    Raises
    ------
    PerfError
        If the inputs of an output-tiled matrix exceed a core.
    """
    matrices = 2 if shape.gated else 1
    qkv = columns(machine, shape.dim, shape.q_width + 2 * shape.kv_width)
    up = columns(machine, shape.dim, matrices * shape.hidden_dim)
    if Sizes(machine).flits(shape.q_width, Type.I8) <= machine.cim.mvm_cycles:
        projection = columns(machine, shape.q_width, shape.dim)
    else:
        # Its senders are the KV cores that have whole heads: at least one for each head.
        goal = _busy(machine, up_gate(machine, shape, senders=1, row_slices=2))
        projection = _best_rows(machine, "projection", shape.q_width, shape.dim, goal=goal,
                                before=1, senders=shape.n_kv_heads, consumers=up.cores)
    goal = _busy(machine, up_gate(machine, shape, senders=projection.cores, row_slices=2))
    down = _best_rows(machine, "down", shape.hidden_dim, shape.dim, goal=goal,
                      before=projection.cores, senders=up.cores, consumers=qkv.cores)
    return BlockCores(qkv, projection, up, down)


def kv_sharing(machine: Machine, shape: ModelShape, cores: int) -> tuple[int, int]:
    """KV heads of one core, and cores that share the tokens of its heads; (0, 0) if none fit.

    Members of a head come in powers of two (``hw.params.packet.KV_CONFIG``); a core has more than
    one head only where ``cores`` are fewer than heads.
    """
    heads = shape.attention_layers * shape.n_kv_heads
    each = 1
    while heads // each > cores:
        each *= 2
        if each > machine.kv.heads or shape.n_kv_heads % each:
            return 0, 0
    return each, 1 << (cores // (heads // each)).bit_length() - 1


def _busy(machine: Machine, stage: SubStage) -> int:
    return max(stage.units(machine, Token(0)).values())


def _best_rows(machine: Machine, name: str, inputs: int, outputs: int, *, goal: int, before: int,
               senders: int, consumers: int) -> Tiling:
    """Input tiling on fewest cores that is no slower than ``goal``, or as fast as can be."""
    choices = []
    for rows in range(1, min(machine.core.macros, divide(inputs, machine.cim.rows)) + 1):
        stage, tiling = reduced(machine, name, inputs, outputs, rows=rows, before=before,
                                senders=senders, consumers=consumers)
        choices.append((max(_busy(machine, stage), goal), tiling.cores, rows, tiling))
    return min(choices, key=lambda choice: choice[:3])[3]
