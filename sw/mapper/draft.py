"""A model on its way onto a machine: what all kinds of stage share."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.core import CoreBuilder
from ouroboros.sw.mapper.labels import LabelAllocator
from ouroboros.sw.mapper.layout import Layout
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.stage import StageBuilder
from ouroboros.sw.mapper.ways import Ways
from ouroboros.sw.models.integer import Norm, QuantModel, Requant

__all__ = ["DEFAULT_CONTEXT", "MATRIX_KINDS", "SHARED_SLOTS", "SLOTS", "STAGE_INDEX", "Draft",
           "Ints", "gather"]

Ints = npt.NDArray[np.integer]

DEFAULT_CONTEXT = 256
"""Most positions of a sequence unless the caller asks for more."""

STAGE_INDEX = {"lm": 0, "embed": 1, "qkv": 0, "proj": 1, "kv": 0, "up": 0, "down": 1}
"""Number of each kind of stage in its core; receivers of one multicast need the same number."""

MATRIX_KINDS = ("qkv", "proj", "up", "down", "lm")
"""Kinds of stage with a weight matrix."""

SLOTS = {"lm": 3, "embed": 3, "qkv": 4, "proj": 8, "kv": 4, "up": 4, "down": 6}
"""Token slots of each kind of stage in a core of its own, cut to what the core has room for.

The residual waits at a projection while its token is in QKV and attention, at a down projection
while it is in up/gate: its slots are the tokens that may be under way there."""

SHARED_SLOTS = {"lm": 4, "embed": 4, "qkv": 3, "proj": 5, "up": 3, "down": 5}
"""Token slots where a core hosts two stages."""


def gather(weights: Ints, rows: Ints) -> Ints:
    """Rows of a matrix; -1 gives a row of zeros."""
    return np.where(rows[:, None] < 0, 0, weights[rows]).astype(np.int8)


class Draft:
    """Cores and stages under construction.

    Parameters
    ----------
    machine : Machine
        Where to.
    model : QuantModel
        What.
    plan : Layout
        Which core does what.
    context : int, optional
        Positions of a sequence; by default what model, page table and KV macros allow, but at most
        ``DEFAULT_CONTEXT``.
    ways : Ways
        Ways of unicast packets.

    Raises
    ------
    MapperError
        If the model's dimensions do not suit the machine or the placement.
    """

    def __init__(self, machine: Machine, model: QuantModel, plan: Layout, context: int | None,
                 ways: Ways):
        self.machine, self.model, self.plan, self.ways = machine, model, plan, ways
        shape = model.shape
        self.lanes = machine.core.lanes
        self.word = 4 * self.lanes
        """int8 elements of a buffer word."""
        self.head_pad = self.padded(shape.head_dim)
        """Elements from one head to the next; vectors of one head begin at word boundaries."""
        self._check_shape()
        self.cores = {core: CoreBuilder(machine, core) for core in plan.cores}
        self.labels = LabelAllocator(machine)
        self.stages: list[StageBuilder] = []
        self.members = len(plan.blocks[0].kv[0])
        self.kv_blocks, self.kv_sequence_blocks = self._reserve_kv()
        self.context = self._context(context)
        count = len(plan.embed)
        self.slices = [range(n * shape.dim // count, (n + 1) * shape.dim // count)
                       for n in range(count)]
        """Residual channels of each slice."""
        headings = Counter([*plan.embed, *plan.lm, *(
            core for block in plan.blocks
            for core in (*block.qkv, *block.proj, *block.up, *block.down))])
        # Stages of a core that has several, by what they are to share with.
        self._shared = {core for core, count in headings.items() if count > 1}

    def _check_shape(self) -> None:
        """Refuse dimensions that no placement of this machine can take."""
        shape, cim, where = self.model.shape, self.machine.cim, f"on machine {self.machine.name!r}"
        for name, value in (("rows", cim.rows), ("outputs", cim.outputs)):
            if value % self.word:
                raise MapperError(f"cim.{name} must be a multiple of the {self.word} bytes of a "
                                  f"buffer word, not {value}")
        if shape.head_dim > cim.outputs or cim.outputs % shape.head_dim:
            raise MapperError(f"head_dim must divide the {cim.outputs} outputs of a macro {where}, "
                              f"not {shape.head_dim}")
        if shape.head_dim % self.lanes:
            raise MapperError(f"head_dim must be a multiple of the {self.lanes} lanes {where}, "
                              f"not {shape.head_dim}")
        slices = len(self.plan.embed)
        if shape.dim % (self.word * slices):
            raise MapperError(f"dim must be a multiple of {self.word * slices} for placement "
                              f"{self.plan.name!r} {where}, not {shape.dim}")
        for name, size, share, cores in (
                ("hidden_dim", shape.hidden_dim, self.up_share, self.plan.blocks[0].up),
                ("vocab_size", shape.vocab_size, self.lm_share, self.plan.lm)):
            # Shares are whole words: with too few of them a core would have nothing to do.
            if not share(len(cores) - 1):
                raise MapperError(f"{name} must be more than {(len(cores) - 1) * self.word} to be "
                                  f"shared by {len(cores)} cores {where}, not {size}")

    def _context(self, context: int | None) -> int:
        shape, machine = self.model.shape, self.machine
        table = machine.kv.blocks * self.members * machine.block_tokens
        if context is None:
            macros = self.kv_sequence_blocks * self.members * machine.block_tokens
            return min(shape.seq_len, table, macros, DEFAULT_CONTEXT)
        if context < 1:
            raise MapperError(f"context must be at least 1, not {context}")
        for what, limit in (("the model's seq_len", shape.seq_len), ("the page table", table)):
            if context > limit:
                raise MapperError(f"context must be at most {limit} ({what}), not {context}: "
                                  f"too many by {context - limit}")
        return context

    def _reserve_kv(self) -> tuple[int, int]:
        """Give every KV core its macros; blocks of the fullest core, for all and for a sequence."""
        shape = self.model.shape
        found = []
        for block in self.plan.blocks:
            heads = shape.n_kv_heads // len(block.kv)
            for group in block.kv:
                for member, core in enumerate(group):
                    builder = self.cores[core]
                    found.append(builder.macros.set_kv(
                        builder.macros.take(builder.macros.left), head_dim=shape.head_dim,
                        heads=heads, members=len(group), member=member))
        return min(blocks for blocks, _ in found), min(alone for _, alone in found)

    # Shapes

    def padded(self, count: int) -> int:
        """Elements rounded up to whole words of int8."""
        return -(-count // self.word) * self.word

    def padded_heads(self, heads: range) -> Ints:
        """Channels of ``heads`` with each head padded to a word boundary by -1."""
        dim = self.model.shape.head_dim
        return np.concatenate([
            np.concatenate([np.arange(h * dim, (h + 1) * dim),
                            np.full(self.head_pad - dim, -1)]) for h in heads])

    def up_share(self, n: int) -> range:
        """Hidden channels of up/gate core ``n``, and of down core ``n`` as inputs."""
        return self._share(self.model.shape.hidden_dim, n, len(self.plan.blocks[0].up))

    def lm_share(self, n: int) -> range:
        """Token ids of LM core ``n``."""
        return self._share(self.model.shape.vocab_size, n, len(self.plan.lm))

    def _share(self, size: int, n: int, count: int) -> range:
        """Share ``n`` of ``count``; shares begin at word boundaries."""
        share = self.padded(-(-size // count))
        return range(min(n * share, size), min((n + 1) * share, size))

    # Parts of stages

    def stage(self, kind: str, layer: int, core: Position, suffix: str = "") -> StageBuilder:
        """A new stage; its name follows from layer, kind and suffix."""
        prefix = f"l{layer}." if layer >= 0 else ""
        built = StageBuilder(
            self.cores[core], self.labels, self.ways, name=f"{prefix}{kind}{suffix}", kind=kind,
            layer=layer, index=STAGE_INDEX[kind],
            slots=(SHARED_SLOTS if core in self._shared else SLOTS)[kind])
        self.stages.append(built)
        return built

    def fit_slots(self) -> None:
        """Cut the slots of stages to what credit counters hold and until those of a core fit.

        A core takes from the stage with the largest number.

        Raises
        ------
        MapperError
            If not even one slot of every stage fits.
        """
        core = self.machine.core
        for stage in self.stages:
            stage.cut_slots(min(stage.info.slots, (1 << core.credit_bits) - 1))
        for place, builder in self.cores.items():
            stages = [s for s in self.stages if s.info.core == place]
            names = " and ".join(s.info.name for s in stages)
            builder.limits.check("token slots", len(stages), core.slots)
            builder.limits.check(f"buffer words for one slot of {names}",
                          sum(s.words_used for s in stages), core.buffer_words)
            while (sum(s.info.slots for s in stages) > core.slots
                   or sum(s.info.slots * s.words_used for s in stages) > core.buffer_words):
                largest = max(stages, key=lambda s: s.info.slots)
                largest.cut_slots(largest.info.slots - 1)

    def share_macros(self, stage: StageBuilder) -> list[int]:
        """Macros for a stage's matrix: an equal part for each matrix still to come in its core."""
        left = stage.core.macros.left
        to_come = [s for s in self.stages if s.core is stage.core and s.info.kind in MATRIX_KINDS]
        return stage.core.macros.take(left // (len(to_come) - to_come.index(stage)))

    def norm_param(self, core: CoreBuilder, norm: Norm) -> int:
        """Parameter word of RSQRT."""
        c = self.model.norm_c
        return core.params([c & 0xFFFF, c >> 16, norm.mg, norm.sg])

    @staticmethod
    def requant_params(core: CoreBuilder, requant: Requant, rows: Ints) -> int:
        """Parameter words for output channels ``rows``; -1 marks padding (multiplier 0)."""
        return core.params(np.where(rows < 0, 0, requant.m[rows]))
