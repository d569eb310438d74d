"""A model on a machine as one graph: stages, what they send each other, who reserves whom.

residual slices --h8--> QKV --q8, k8, v8--> all members of the head --o8 (home)--> projection
|   ^ (Y, shift)                            | contexts, den                        |  ^ root
|   root <-- sums of squares                v int32, to the home                   |  |
+------------------- x ------------------------------------------------------------+  |
up/gate --f---> down <--x----------+
| max |w|: R2   | int32 partial sums
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ouroboros.hw.params.isa import Op, Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.attention import AttentionGroup
from ouroboros.sw.block.draft import Draft
from ouroboros.sw.block.feed_forward import UpGroup
from ouroboros.sw.block.head import HeadGroup
from ouroboros.sw.block.layout import Layout
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.qkv import QkvGroup
from ouroboros.sw.block.residual import OPERAND_MAIN, ResidualGroup
from ouroboros.sw.block.schemes import check_context
from ouroboros.sw.block.stage import BlockStage, StageDraft, StageKey
from ouroboros.sw.block.tensors import Param
from ouroboros.sw.models.scheme import R, Scheme
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.program.program import EmbedTarget

__all__ = ["DEFAULT_CONTEXT", "Graph", "build_graph"]

DEFAULT_CONTEXT = 256
"""Most positions of a sequence unless the caller asks for more."""


@dataclass(frozen=True)
class Graph:
    """Everything about a placed model but its weights and the ways of its packets."""

    machine: Machine
    """Sizes."""
    shape: ModelShape
    """Dimensions."""
    scheme: Scheme
    """Integer definition."""
    layout: Layout
    """Which core does what."""
    context: int
    """Positions that a sequence may have."""
    stages: tuple[BlockStage, ...]
    """Every stage: embedding, blocks, head."""
    steps: dict[Position, tuple[int, ...]]
    """Drain steps of each core: masks of the macros whose sums the tree adds."""
    macros_used: dict[Position, int]
    """Macros that hold weights or KV blocks."""
    embed: tuple[EmbedTarget, ...]
    """What the host sends to each embedding slice; it reserves their slots."""
    logits: tuple[tuple[Position, range], ...]
    """Token ids of every core that streams logits."""
    result: Position | None
    """The core that tells the host the best token; None: the model has no head."""
    kv_blocks: int
    """Blocks of all sequences that a KV core can hold; one is K and V of every head in the core."""
    kv_sequence_blocks: int
    """The same for a sequence that is alone."""

    @cached_property
    def by_key(self) -> dict[StageKey, BlockStage]:
        """Stages by core and number."""
        return {stage.key: stage for stage in self.stages}

    @cached_property
    def packets(self) -> dict[StageKey, int]:
        """Packets that the first WAIT of each stage is for."""
        return {stage.key: next(step.instruction.fields["packets"] for step in stage.steps
                                if step.instruction.op is Op.WAIT) for stage in self.stages}

    @property
    def members(self) -> int:
        """KV cores that share a head."""
        return len(self.layout.blocks[0].kv[0])


class _Block:
    """The stages of one transformer block."""

    def __init__(self, draft: Draft, n: int):
        plan = draft.plan.blocks[n]
        self.layer = n
        self.qkv = QkvGroup(draft, n, plan.qkv)
        self.kv = [AttentionGroup(draft, n, cores, k) for k, cores in enumerate(plan.kv)]
        self.proj = ResidualGroup(draft, "proj", n, plan.proj)
        self.up = UpGroup(draft, n, plan.up)
        self.down = ResidualGroup(draft, "down", n, plan.down)

    @property
    def reserved(self) -> list[StageDraft]:
        """Whose slots the norm before the block reserves."""
        return [*self.qkv.stages, *self.proj.reserved]

    def code(self, after: "_Block | None", head: HeadGroup | None) -> None:
        """Programs of all stages; h goes to the block after this one, or to the head."""
        self.qkv.code(self.kv)
        for group in self.kv:
            group.code(self.proj)
        self.proj.code(Param("norm2", self.layer), self.up.stages,
                       [*self.up.stages, *self.down.reserved], self.down)
        self.up.code(self.down)
        if after is not None:
            self.down.code(Param("norm1", after.layer), after.qkv.stages, after.reserved,
                           after.proj)
        else:
            self.down.code(Param("norm_final", -1), head.stages if head else [],
                           head.reserved if head else [], None)


def build_graph(machine: Machine, shape: ModelShape, plan: Layout, *, context: int | None = None,
                seq_len: int | None = None, scheme: Scheme = R) -> Graph:
    """Stages of all blocks of a model with the cores of a layout.

    Parameters
    ----------
    context : int, optional
        Positions of a sequence; by default what model, page table and KV macros allow, but at most
        ``DEFAULT_CONTEXT``. It may be more than the KV macros hold: a sequence that outgrows them
        ends there.
    seq_len : int, optional
        Positions that the model was trained for.
    scheme : Scheme
        The integer definition that its numbers are of.

    Raises
    ------
    BlockError
        If something does not fit; the message names the limit and says by how much.
    """
    draft = Draft(machine, shape, plan, scheme)
    draft.context = _context(draft, context, seq_len)
    if scheme != R:
        check_context(shape, scheme, draft.context)

    # Slot layouts first: programs need those of the stages they send to.
    embed = ResidualGroup(draft, "embed", -1, plan.embed)
    blocks = [_Block(draft, n) for n in range(len(plan.blocks))]
    head = HeadGroup(draft, plan.lm, plan.best) if plan.lm else None
    draft.fit_slots()

    embed.code(Param("norm1", 0), blocks[0].qkv.stages, blocks[0].reserved, blocks[0].proj)
    for n, block in enumerate(blocks):
        block.code(blocks[n + 1] if n + 1 < len(blocks) else None, head)
    if head is not None:
        head.code()
    targets = _embed_targets(draft, embed)
    return Graph(
        machine=machine, shape=shape, scheme=scheme, layout=plan, context=draft.context,
        stages=tuple(stage.finish() for stage in draft.stages),
        steps={core: tuple(macros.steps) for core, macros in draft.macros.items()},
        macros_used={core: macros.used for core, macros in draft.macros.items()}, embed=targets,
        logits=tuple(zip(plan.lm, head.shares, strict=True)) if head else (),
        result=head.result.info.core if head else None,
        kv_blocks=min(room.blocks for room in draft.kv.values()),
        kv_sequence_blocks=min(room.sequence_blocks for room in draft.kv.values()))


def _context(draft: Draft, context: int | None, seq_len: int | None) -> int:
    machine = draft.machine
    table = machine.kv.blocks * draft.members * machine.block_tokens
    limits = [("the page table", table)]
    pool = draft.plan.pool
    if pool is not None:
        blocks = pool.rank.context // machine.block_tokens
        held = ("the tokens of a head in a pool's rank",
                blocks * draft.members * machine.block_tokens)
        limits = [held] if pool.alone else [*limits, held]
    if seq_len is not None:
        limits.insert(0, ("the model's seq_len", seq_len))
    if context is None:
        alone = min(room.sequence_blocks for room in draft.kv.values())
        return min(alone * draft.members * machine.block_tokens, DEFAULT_CONTEXT,
                   *(limit for _, limit in limits))
    if context < 1:
        raise BlockError(f"context must be at least 1, not {context}")
    for what, limit in limits:
        if context > limit:
            raise BlockError(f"context must be at most {limit} ({what}), not {context}: "
                             f"too many by {context - limit}")
    return context


def _embed_targets(draft: Draft, embed: ResidualGroup) -> tuple[EmbedTarget, ...]:
    """What the host sends to each embedding slice; the host reserves their slots.

    A root of the embedding's norm is a target too: one that is sent nothing.
    """
    targets = []
    reserved: Sequence[StageDraft] = embed.reserved
    for n, stage in enumerate(reserved):
        channels = embed.channels[n] if n < len(embed.stages) else range(0)
        rope = bool(n == 0 and draft.rope_flits)
        vectors = [stage.flits(len(channels), Type.I16), *([draft.rope_flits] if rope else [])]
        stage.packets[OPERAND_MAIN] += sum(-(-flits // PAYLOAD_FLITS_MAX) for flits in vectors)
        stage.owners.append((draft.machine.host, n))
        targets.append(EmbedTarget(
            core=stage.info.core, stage=stage.info.index, first=channels.start,
            channels=len(channels), counter=n, slots=stage.info.slots,
            rope_offset=stage.flit_offset("rope") if rope else -1))
    return tuple(targets)
