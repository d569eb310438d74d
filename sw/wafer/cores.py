"""A model's cores on a wafer: what defects, spares and weights leave for KV."""

import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property

from ouroboros.hw.params.machine import Machine, MeshParams
from ouroboros.hw.params.values import Value
from ouroboros.sw.block.cores import CoreCount, count_cores
from ouroboros.sw.block.graph import Graph, build_graph
from ouroboros.sw.block.layout import layout
from ouroboros.sw.block.tables import check_tables
from ouroboros.sw.defects.process import Process
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.wafer.assumptions import assumptions
from ouroboros.sw.wafer.busiest_link import BusiestLink

__all__ = ["WaferOptions", "WaferPlacement"]

PUBLISHED_CORES = 13_923
"""Of the published machine, 117 x 119; the whole wafer."""
REMEDIES = {"encoder": "give it inputs, by --lengths N:1 or --trace",
            "encoder-decoder": "there is no program that attends to an encoder",
            "decoder": "it generates"}
ROOMY = MeshParams(width=126, height=126, die_width=126, die_height=126)
"""Where the cores of a block lie is an assumption here, so any mesh does for its graph."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaferOptions:
    """What a user may choose; the defaults are assumptions and say where they come from."""

    context: int = 1024
    """Tokens that the token in question attends to, itself included."""
    members: int | None = None
    """Cores that share the tokens of a KV head; by default those that are best for
    ``objective``."""
    wafers: int = 1
    """Wafers in a row, each with an equal share of the blocks."""
    objective: str = "decode"
    """What members are chosen for: tokens/s of decode, of prefill, or room for KV."""
    overrides: dict[str, float] = field(default_factory=dict)
    """Values of assumptions by name."""
    whole_inputs: bool = False
    """Whether the model is an encoder, which attends to its whole input."""
    busiest_link: BusiestLink | None = None
    """Of a placement of this model on this machine, instead of the assumption."""


class WaferPlacement:
    """The cores that a model takes, and the graph of its blocks.

    Parameters
    ----------
    machine : Machine
        Usually ``wafer``.
    shape : ModelShape
        The model.
    options : WaferOptions
        Context and assumptions.
    members : int, optional
        Cores that share the tokens of a KV head; by default as many as fit.
    count : CoreCount, optional
        Cores as somebody else has shared them out, instead of ``members``.

    Raises
    ------
    PerfError
        If the model is of another kind, wafers are more than blocks, the context is longer than the
        KV that fits, or an assumption is unknown.
    BlockError
        If the model does not fit the machine, or its programs a core's tables.
    """

    def __init__(self, machine: Machine, shape: ModelShape, options: WaferOptions,
                 members: int | None = None, count: CoreCount | None = None):
        if options.context < 1:
            raise PerfError(f"context must be at least 1, not {options.context}")
        self.machine, self.shape, self.options = machine, shape, options
        self.context = options.context
        self.assumptions: dict[str, Value] = assumptions(options.overrides)
        if shape.kind != ("encoder" if options.whole_inputs else "decoder"):
            raise PerfError(f"kind of model {shape.name!r} must be 'decoder' for the wafer model, "
                            f"not {shape.kind!r}: {REMEDIES[shape.kind]}")
        if not 1 <= options.wafers <= shape.n_layers:
            raise PerfError(f"wafers must be 1 to {shape.n_layers}, the blocks of model "
                            f"{shape.name!r}, not {options.wafers}")
        self.wafers = options.wafers
        # Each wafer is costed as the one with most blocks, embedding and head.
        self.wafer_layers = -(-shape.n_layers // options.wafers)
        if (self.wafers - 1) * self.wafer_layers >= shape.n_layers:
            raise PerfError(f"wafers must be {-(-shape.n_layers // self.wafer_layers)} for "
                            f"{self.wafer_layers} of {shape.n_layers} blocks on each, not "
                            f"{options.wafers}: the last would have none")
        self.count: CoreCount = count or count_cores(
            machine, replace(shape, n_layers=self.wafer_layers), members=members,
            dead=self.dead + self.edge,
            spares_per_die=int(self.value("spare_cores_per_die")))
        self.busiest_link = options.busiest_link
        if self.busiest_link is not None:
            if "busiest_link_share" in options.overrides:
                raise PerfError("busiest_link_share must be given by name or by the file of a "
                                "placement, not both")
            self.busiest_link.check(self.count)
        if not self.sequences:
            raise PerfError(f"context must be at most {self.most_context} tokens (all KV that fits "
                            f"beside {shape.name} on machine {machine.name!r} with {self.members} "
                            f"members a head), not {options.context}")

    def value(self, name: str) -> float:
        """Value of an assumption."""
        return self.assumptions[name].mid

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

    @property
    def members(self) -> int:
        """Cores that share the tokens of a KV head."""
        return self.count.members

    @cached_property
    def graph(self) -> Graph:
        """Two blocks between embedding and head: the first is like all but the last.

        Its programs are what ``sw.mapper`` emits; a table that is too small for them is refused as
        there.
        """
        roomy, two = replace(self.machine, mesh=ROOMY), replace(self.shape, n_layers=2)
        graph = build_graph(roomy, two, layout(roomy, two, self.count.plan), context=self.context)
        check_tables(graph)
        return graph

    # Room

    @cached_property
    def head_blocks(self) -> int:
        """KV blocks of one head, all its members together."""
        cim, half = self.machine.cim, max(self.machine.core.macros // 2, 1)
        k = half * (cim.groups // -(-self.shape.head_dim // cim.active_rows))
        v = half * (cim.rows // cim.outputs) * (cim.outputs // self.shape.head_dim)
        return self.members * (min(k, v, self.machine.kv.pages) // self.count.kv_heads)

    @property
    def kv_tokens(self) -> int:
        """Tokens whose K and V fit."""
        return self.head_blocks * self.machine.block_tokens

    @property
    def most_context(self) -> int:
        """Longest sequence: all KV, but no more than the page tables of a head's members hold."""
        table = self.machine.kv.blocks * self.members * self.machine.block_tokens
        return min(self.kv_tokens, table)

    @property
    def kv_tokens_by_bytes(self) -> int:
        """The same if every byte that holds no weight held K or V.

        No dead or spare cores then, and no tiles that do not fill their core.
        """
        cim, core = self.machine.cim, self.machine.core
        sram = self.wafers * self.machine.mesh.cores * core.macros * cim.rows * cim.outputs
        return (sram - self.shape.weight_bytes) // self.shape.kv_bytes_per_token

    @property
    def kv_tokens_of_cores_left(self) -> int:
        """The same if all cores left over were shared out evenly."""
        return self.kv_tokens * self.count.left_for_kv // self.count.kv

    @property
    def sequences(self) -> int:
        """Sequences at the context that can be alive; 0: not one fits."""
        if self.context > self.most_context:
            return 0
        blocks = self.head_blocks // self.members
        book = KvBook(block_tokens=self.machine.block_tokens, members=self.members,
                      blocks=blocks, sequence_blocks=blocks, ring=self.machine.kv.ring)
        return bisect_right(
            range(1, self.machine.kv.sequences + 1), 0,
            key=lambda count: -book.free((number, self.context) for number in range(count)))
