"""A model on its way into a graph: what all kinds of stage share."""

from collections import Counter

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.layout import Layout, Slices
from ouroboros.sw.block.limits import BlockError, CoreLimits
from ouroboros.sw.block.macros import KvRoom, Macros
from ouroboros.sw.block.pool import pool_room
from ouroboros.sw.block.schemes import check_scheme, residual_type
from ouroboros.sw.block.sizes import Sizes
from ouroboros.sw.block.stage import StageDraft, StageKey
from ouroboros.sw.block.tensors import Channels, Run
from ouroboros.sw.models.scheme import R, Scheme
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.program.program import StageInfo

__all__ = ["MATRIX_KINDS", "SHARED_SLOTS", "SLOTS", "STAGE_INDEX", "Draft"]

STAGE_INDEX = {"lm": 0, "best": 0, "embed": 1, "qkv": 0, "proj": 1, "kv": 0, "up": 0, "down": 1,
               "norm": 0}
"""Number of each kind of stage in its core; receivers of one multicast need the same number."""

MATRIX_KINDS = ("qkv", "proj", "up", "down", "lm")
"""Kinds of stage with a weight matrix."""

SLOTS = {"lm": 3, "embed": 3, "qkv": 4, "proj": 8, "kv": 4, "up": 4, "down": 6}
"""Token slots of each kind of stage in a core of its own, cut to what the core has room for.

The residual waits at a projection while its token is in QKV and attention, at a down projection
while it is in up/gate: its slots are the tokens that may be under way there. Layouts whose norms
have roots of their own take all slots that a core has."""

SHARED_SLOTS = {"lm": 4, "embed": 4, "qkv": 3, "proj": 5, "up": 3, "down": 5}
"""Token slots where a core hosts two stages."""


class Draft:
    """Cores and stages under construction.

    Parameters
    ----------
    machine : Machine
        Where to.
    shape : ModelShape
        What.
    plan : Layout
        Which core does what.
    scheme : Scheme
        Of what integer definition.

    Attributes
    ----------
    context : int
        Positions of a sequence: scores have room for as many.

    Raises
    ------
    BlockError
        If the model's dimensions or its scheme do not suit the machine or the placement.
    """

    def __init__(self, machine: Machine, shape: ModelShape, plan: Layout, scheme: Scheme = R):
        self.machine, self.shape, self.plan, self.scheme = machine, shape, plan, scheme
        check_scheme(machine, shape, scheme)
        self.x_type = residual_type(scheme)
        """Elements of the residual."""
        self.wide = scheme != R
        """Whether exponentials and hidden channels take two digits (R2)."""
        self.sizes = Sizes(machine)
        self.lanes = machine.core.lanes
        self.head_pad = self.sizes.padded(shape.head_dim)
        """Elements from one head to the next; vectors of one head begin at word boundaries."""
        self._check_shape()
        self.limits = {core: CoreLimits(machine, core) for core in plan.cores}
        self.macros = {core: Macros(limits) for core, limits in self.limits.items()}
        self.stages: list[StageDraft] = []
        self.members = len(plan.blocks[0].kv[0])
        self.kv: dict[Position, KvRoom] = {}
        self._pooled: Counter[Position] = Counter()
        self._reserve_kv()
        self.context = 0
        headings = Counter([*plan.embed.all, *plan.lm, *(
            core for block in plan.blocks
            for core in (*block.qkv, *block.proj.all, *block.up, *block.down.all))])
        # Stages of a core that has several, by what they are to share with.
        self._shared = {core for core, count in headings.items() if count > 1}

    def _check_shape(self) -> None:
        """Refuse dimensions that no placement of this machine can take."""
        shape, cim, where = self.shape, self.machine.cim, f"on machine {self.machine.name!r}"
        word, plan = self.sizes.word, self.plan
        for name, value in (("rows", cim.rows), ("outputs", cim.outputs)):
            if value % word:
                raise BlockError(f"cim.{name} must be a multiple of the {word} bytes of a "
                                 f"buffer word, not {value}")
        if shape.head_dim > cim.outputs or cim.outputs % shape.head_dim:
            raise BlockError(f"head_dim must divide the {cim.outputs} outputs of a macro {where}, "
                             f"not {shape.head_dim}")
        if shape.head_dim % self.lanes:
            raise BlockError(f"head_dim must be a multiple of the {self.lanes} lanes {where}, "
                             f"not {shape.head_dim}")
        even = 1 if plan.own_roots else len(plan.embed.cores)
        if shape.dim % (word * even):
            raise BlockError(f"dim must be a multiple of {word * even} for placement "
                             f"{plan.name!r} {where}, not {shape.dim}")
        block = plan.blocks[0]
        for name, size, cores in (
                ("hidden_dim", shape.hidden_dim, len(block.up)),
                ("hidden_dim", shape.hidden_dim, block.down.row_slices),
                ("dim", shape.dim, len(plan.embed.cores)),
                ("dim", shape.dim, block.proj.columns), ("dim", shape.dim, block.down.columns),
                ("vocab_size", shape.vocab_size, len(plan.lm))):
            # Shares are whole words: with too few of them a core would have nothing to do.
            if cores and not self.sizes.share(size, cores - 1, cores):
                raise BlockError(f"{name} must be more than {(cores - 1) * word} to be "
                                 f"shared by {cores} cores {where}, not {size}")
        rows = block.proj.row_slices
        least = (rows - 1) * -(-shape.n_heads // rows)
        if least >= shape.n_heads:
            raise BlockError(f"n_heads must be more than {least} to be shared by {rows} cores "
                             f"{where}, not {shape.n_heads}")

    def _reserve_kv(self) -> None:
        """Give every KV core its macros."""
        shape, pool = self.shape, self.plan.pool
        groups = Counter(group[-1] for block in self.plan.blocks for group in block.kv)
        for block in self.plan.blocks:
            heads = shape.n_kv_heads // len(block.kv)
            for group in block.kv:
                for member, core in enumerate(group):
                    if core in self.macros:
                        self.kv[core] = self.macros[core].set_kv(
                            head_dim=shape.head_dim, heads=heads, members=len(group),
                            member=member)
                    else:
                        assert pool is not None, "who is no core is a pool"
                        self.kv[core] = pool_room(self.machine, pool, core, groups=groups[core],
                                                  heads=heads, members=len(group))

    # Shapes

    def head_channels(self, heads: range) -> Channels:
        """Channels of ``heads``, each head padded to a word boundary."""
        dim = self.shape.head_dim
        return tuple(Run(head * dim, dim, self.head_pad - dim) for head in heads)

    def padded_share(self, share: range) -> Channels:
        """Channels of a share, padded to a word boundary."""
        return (Run(share.start, len(share), self.sizes.padded(len(share)) - len(share)),)

    def home_channels(self, slices: Slices) -> list[range]:
        """Residual channels of each slice.

        Row slices of a column share its outputs once their partial sums are added.

        Raises
        ------
        BlockError
            If a slice would be left without.
        """
        found: list[range] = []
        for column in self.sizes.shares(self.shape.dim, slices.columns):
            for part in self.sizes.parts(len(column), slices.row_slices):
                if not part:
                    raise BlockError(
                        f"row slices of {len(column)} channels must be at most "
                        f"{len(column) // self.sizes.word} on machine {self.machine.name!r}, "
                        f"not {slices.row_slices}")
                found.append(range(column.start + part.start, column.start + part.stop))
        return found

    @property
    def per_kv(self) -> int:
        """Query heads that share one KV head."""
        return self.shape.n_heads // self.shape.n_kv_heads

    @property
    def vectors_abreast(self) -> int:
        """Vectors of a head that a QKV core has room for; any number where passes are stacked."""
        shape, core = self.shape, self.machine.core
        if not self.plan.own_roots:
            return shape.n_heads + 2 * shape.n_kv_heads
        rows = -(-shape.dim // self.machine.cim.rows)
        return core.macros // rows * self.machine.cim.outputs // self.head_pad

    @property
    def rope_flits(self) -> int:
        """Flits of the RoPE row that rides with a token; 0: it has none."""
        if self.shape.positions != "rope":
            return 0
        return self.sizes.flits(self.shape.head_dim, Type.I16)

    # Parts of stages

    def stage(self, kind: str, layer: int, core: Position, suffix: str = "") -> StageDraft:
        """A new stage; its name follows from layer, kind and suffix."""
        prefix = f"l{layer}." if layer >= 0 else ""
        slots = SHARED_SLOTS if core in self._shared else SLOTS
        room = self.kv.get(core)
        index = STAGE_INDEX[kind]
        if core not in self.macros:
            # A pool has a stage for each of its groups, which its packets name.
            index = self._pooled[core]
            self._pooled[core] += 1
        built = StageDraft(self.machine, StageInfo(
            name=f"{prefix}{kind}{suffix}", kind=kind, layer=layer, core=core,
            index=index,
            slots=self.machine.core.slots if self.plan.own_roots else slots[kind]),
            kv=None if room is None else room.config)
        self.stages.append(built)
        return built

    def fit_slots(self) -> None:
        """Cut the slots of stages to what credit counters hold and until those of a core fit.

        A core takes from the stage with the largest number.

        Raises
        ------
        BlockError
            If not even one slot of every stage fits.
        """
        core = self.machine.core
        hosted: dict[Position | StageKey, list[StageDraft]] = {}
        for stage in self.stages:
            stage.cut_slots(min(stage.info.slots, (1 << core.credit_bits) - 1))
            # Stages of a pool share nothing.
            place = stage.info.core if stage.info.core in self.macros else stage.key
            hosted.setdefault(place, []).append(stage)
        for stages in hosted.values():
            names = " and ".join(s.info.name for s in stages)
            limits = CoreLimits(self.machine, stages[0].info.core)
            limits.check("token slots", len(stages), core.slots)
            limits.check(f"buffer words for one slot of {names}",
                         sum(s.words_used for s in stages), core.buffer_words)
            while (sum(s.info.slots for s in stages) > core.slots
                   or sum(s.info.slots * s.words_used for s in stages) > core.buffer_words):
                largest = max(stages, key=lambda s: s.info.slots)
                largest.cut_slots(largest.info.slots - 1)

    def share_macros(self, stage: StageDraft) -> list[int]:
        """Macros for a stage's matrix: an equal part for each matrix still to come in its core."""
        macros = self.macros[stage.info.core]
        to_come = [s for s in self.stages
                   if s.info.core == stage.info.core and s.info.kind in MATRIX_KINDS]
        return macros.take(macros.left // (len(to_come) - to_come.index(stage)))
