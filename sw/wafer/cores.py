"""How a model's cores are counted on a wafer: weights, spares, and what is left for KV."""

import math
from dataclasses import dataclass, field
from functools import cached_property

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.defects.process import Process
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.block import attention, lm_head, norm_root, projection, qkv, reduced, up_gate
from ouroboros.sw.perf.block_cores import block_cores, kv_sharing
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.substage import SubStage, columns
from ouroboros.sw.program.image import Token
from ouroboros.sw.wafer.assumptions import Assumption, assumptions
from ouroboros.sw.wafer.busiest_link import BusiestLink

__all__ = ["WaferOptions", "WaferPlacement"]

PUBLISHED_CORES = 13_923
"""Of the published machine, 117 x 119; the whole wafer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaferOptions:
    """What a user may choose; the defaults are assumptions and say where they come from."""

    context: int = 1024
    """Tokens that the token in question attends to, itself included."""
    overrides: dict[str, float] = field(default_factory=dict)
    """Values of assumptions by name."""
    busiest_link: BusiestLink | None = None
    """Of a placement of this model on this machine, instead of the assumption."""


class WaferPlacement:
    """The cores that a model takes.

    Parameters
    ----------
    machine : Machine
        Usually ``wafer``.
    shape : ModelShape
        The model.
    options : WaferOptions
        Context and assumptions.

    Raises
    ------
    PerfError
        If weights and one block of KV for each head do not fit, the context is longer than the KV
        that fits, or an assumption is unknown.
    """

    def __init__(self, machine: Machine, shape: ModelShape, options: WaferOptions):
        if options.context < 1:
            raise PerfError(f"context must be at least 1, not {options.context}")
        self.machine, self.shape, self.context = machine, shape, options.context
        self.assumptions: dict[str, Assumption] = assumptions(options.overrides)
        self.busiest_link = options.busiest_link
        if self.busiest_link is not None:
            if "busiest_link_flits" in options.overrides:
                raise PerfError("busiest_link_flits must be given by name or by the file of a "
                                "placement, not both")
            self.assumptions["busiest_link_flits"] = self.busiest_link.assumption(
                self.assumptions["busiest_link_flits"], machine, shape)
        if shape.kind != "decoder":
            raise PerfError(f"kind of model {shape.name!r} must be 'decoder' for the wafer model, "
                            f"not {shape.kind!r}")
        if shape.head_dim > machine.cim.outputs or machine.cim.outputs % shape.head_dim:
            raise PerfError(f"head_dim must divide cim.outputs ({machine.cim.outputs}), "
                            f"not {shape.head_dim}")
        self.token = Token(options.context - 1)
        self._place()
        if not self.sequences:
            raise PerfError(f"context must be at most {self.kv_tokens} tokens (all KV that fits "
                            f"beside {shape.name} on machine {machine.name!r}), "
                            f"not {options.context}")

    def value(self, name: str) -> float:
        """Value of an assumption."""
        return self.assumptions[name].value

    # Cores

    @cached_property
    def dead(self) -> int:
        """Cores that defects are expected to kill, rounded up."""
        process = Process(core_area_mm2=self.value("core_area_mm2"),
                          density_per_cm2=self.value("defect_density_per_cm2"))
        return math.ceil(process.expected_dead(self.machine.mesh.cores))

    @cached_property
    def edge(self) -> int:
        """Cores lost at the wafer's edge; a smaller machine than the published one has none."""
        mesh = self.machine.mesh
        return int(self.value("edge_cores")) if mesh.cores >= PUBLISHED_CORES else 0

    @cached_property
    def spare(self) -> int:
        """Cores kept free for repairs."""
        mesh = self.machine.mesh
        dies = (mesh.width // mesh.die_width) * (mesh.height // mesh.die_height)
        return int(self.value("spare_cores_per_die")) * dies

    def _place(self) -> None:
        """Tile matrices, then share out what is left to KV."""
        machine, shape = self.machine, self.shape
        tiles = block_cores(machine, shape)
        self.slices, self.down_tiling = tiles.projection.cores, tiles.down
        lm = columns(machine, shape.dim, shape.vocab_size).cores
        self.weight_cores = tiles.cores * shape.n_layers + lm + 1
        self.embed_cores = tiles.down.cores + 1
        left = (machine.mesh.cores - self.dead - self.edge - self.spare - self.weight_cores
                - self.embed_cores)
        self.kv_heads, self.members = kv_sharing(machine, shape, left)
        if not self.members:
            least = shape.n_layers * shape.n_kv_heads // math.gcd(machine.kv.heads,
                                                                  shape.n_kv_heads)
            raise PerfError(
                f"model {shape.name!r} must leave {least} cores for KV on machine "
                f"{machine.name!r} ({machine.kv.heads} heads a core at most), "
                f"not {left} of {machine.mesh.cores}")
        self.kv_cores_left = left
        self.kv_cores = self.members * shape.n_layers * shape.n_kv_heads // self.kv_heads
        self.home, self.member = attention(machine, shape, members=self.members,
                                           kv_heads=self.kv_heads, context=self.context)
        self.qkv = qkv(machine, shape, senders=tiles.down.cores, members=self.members)
        kv_senders = shape.n_kv_heads // self.kv_heads
        if tiles.projection.row_slices > 1:
            self.proj, _ = reduced(
                machine, "projection", shape.q_width, shape.dim, rows=tiles.projection.rows,
                before=tiles.down.cores, senders=kv_senders, consumers=tiles.up.cores)
        else:
            self.proj = projection(
                machine, shape, kv_cores=kv_senders, before=tiles.down.cores,
                after=tiles.down.cores, consumers=tiles.up.cores)
        self.proj_tiling = tiles.projection
        self.up = up_gate(machine, shape, senders=self.slices, row_slices=tiles.down.row_slices)
        self.down, _ = reduced(
            machine, "down", shape.hidden_dim, shape.dim, rows=tiles.down.rows,
            before=self.slices, senders=tiles.up.cores, consumers=tiles.qkv.cores)
        self.roots = (norm_root(machine, "norm 1", tiles.down.cores),
                      norm_root(machine, "norm 2", self.slices))
        self.head, self.head_root = lm_head(machine, shape, senders=tiles.down.cores)

    def units(self, stage: SubStage) -> dict[str, int]:
        """Cycles of a sub-stage's core per token, by resource."""
        return stage.units(self.machine, self.token)

    @property
    def head_blocks(self) -> int:
        """KV blocks of one head, all its members together."""
        cim, half = self.machine.cim, max(self.machine.core.macros // 2, 1)
        k = half * (cim.groups // -(-self.shape.head_dim // cim.active_rows))
        v = half * (cim.rows // cim.outputs) * (cim.outputs // self.shape.head_dim)
        return self.members * min(k, v) // self.kv_heads

    @property
    def kv_tokens(self) -> int:
        """Tokens whose K and V fit."""
        return self.head_blocks * self.machine.block_tokens

    @property
    def kv_tokens_by_bytes(self) -> int:
        """The same if every byte that holds no weight held K or V.

        No dead or spare cores then, and no tiles that do not fill their core.
        """
        cim, core = self.machine.cim, self.machine.core
        sram = self.machine.mesh.cores * core.macros * cim.rows * cim.outputs
        return (sram - self.shape.weight_bytes) // self.shape.kv_bytes_per_token

    @property
    def kv_tokens_of_cores_left(self) -> int:
        """The same if the cores left over were shared out evenly, not in powers of two."""
        return self.kv_tokens * self.kv_cores_left // self.kv_cores

    @property
    def sequences(self) -> int:
        """Sequences at the context that can be alive."""
        blocks = -(-self.context // self.machine.block_tokens)
        return min(self.head_blocks // blocks, self.machine.kv.sequences)
