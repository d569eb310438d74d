"""Places an integer model on a machine: layers to stages to cores to macros."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.attention import AttentionGroup
from ouroboros.sw.mapper.core import CoreBuilder
from ouroboros.sw.mapper.draft import Draft
from ouroboros.sw.mapper.feed_forward import UpGroup
from ouroboros.sw.mapper.head import HeadGroup
from ouroboros.sw.mapper.layout import layout
from ouroboros.sw.mapper.qkv import QkvGroup
from ouroboros.sw.mapper.residual import OPERAND_MAIN, ResidualGroup
from ouroboros.sw.mapper.ways import Ways
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.program import EmbedTarget, Program, Role

if TYPE_CHECKING:       # machines without faults need not wait for the compiler behind it
    from ouroboros.sw.noc.routes.routing import Routes

__all__ = ["map_model"]


def map_model(machine: Machine, model: QuantModel, *, placement: str = "plain",
              cores: Sequence[Position] | None = None, context: int | None = None,
              routes: "Routes | None" = None) -> Program:
    """Place ``model`` on ``machine``.

    Parameters
    ----------
    placement : str
        A name of ``sw.mapper.layout.PLACEMENTS``: which core of the layout does what.
    cores : sequence of tuple of int, optional
        Where the cores of the layout lie (``Program.roles`` has them in order); by default along a
        snake. ``sw.tiling.placed`` reads them from a placement file.
    context : int, optional
        Positions per sequence; the default is what model, page table and KV macros allow, at most
        256. It may be more than the KV macros hold: a sequence that outgrows them ends there.
    routes : Routes, optional
        Routes around dead cores and links; by default nothing is dead and all packets go XY.

    Raises
    ------
    MapperError
        If something does not fit; the message names the limit and says by how much.
    NocError
        If the host's port is beside a dead core.
    """
    ways = Ways(machine, routes)
    plan = layout(machine, model.shape, placement, cores, ways.live)
    draft = Draft(machine, model, plan, context, ways)

    # Slot layouts first: programs need those of the stages they send to.
    embed = ResidualGroup(draft, "embed", -1, plan.embed)
    blocks = [_Block(draft, n) for n in range(len(plan.blocks))]
    head = HeadGroup(draft, plan.lm)
    draft.fit_slots()

    embed.code(None, model.layers[0].norm1, blocks[0].qkv.stages, blocks[0].proj.stages)
    for n, block in enumerate(blocks):
        block.code(blocks[n + 1] if n + 1 < len(blocks) else None, head)
    head.code()
    targets = _embed_targets(draft, embed)
    for stage in draft.stages:
        stage.finish()
    return _program(draft, targets)


class _Block:
    """The stages of one transformer block."""

    def __init__(self, draft: Draft, n: int):
        plan = draft.plan.blocks[n]
        self.draft, self.layer = draft, draft.model.layers[n]
        self.qkv = QkvGroup(draft, n, plan.qkv)
        self.kv = [AttentionGroup(draft, n, cores, k) for k, cores in enumerate(plan.kv)]
        self.proj = ResidualGroup(draft, "proj", n, plan.proj)
        self.up = UpGroup(draft, n, plan.up)
        self.down = ResidualGroup(draft, "down", n, plan.down)

    def code(self, after: "_Block | None", head: HeadGroup) -> None:
        """Programs of all stages; h goes to the block after this one, or to the head."""
        layer = self.layer
        self.qkv.code(layer, self.kv)
        for group in self.kv:
            group.code(layer, self.proj.stages)
        self.proj.code(layer, layer.norm2, self.up.stages, self.down.stages)
        self.up.code(layer, self.down.stages)
        if after is None:
            self.down.code(layer, self.draft.model.norm_final, head.stages, [])
        else:
            self.down.code(layer, after.layer.norm1, after.qkv.stages, after.proj.stages)


def _embed_targets(draft: Draft, embed: ResidualGroup) -> tuple[EmbedTarget, ...]:
    """What the host sends to each embedding slice; the host reserves their slots."""
    targets = []
    for n, stage in enumerate(embed.stages):
        channels = draft.slices[n]
        vectors = [stage.flits(len(channels), Type.I16)]
        if n == 0:
            vectors.append(stage.flits(draft.model.shape.head_dim, Type.I16))
        stage.packets[OPERAND_MAIN] += sum(-(-flits // PAYLOAD_FLITS_MAX) for flits in vectors)
        stage.owners.append((draft.machine.host, n))
        targets.append(EmbedTarget(
            core=stage.info.core, stage=stage.info.index, first=channels.start,
            channels=len(channels), counter=n, slots=stage.info.slots,
            rope_offset=stage.flit_offset("rope") if n == 0 else -1))
    return tuple(targets)


def _program(draft: Draft, embed: tuple[EmbedTarget, ...]) -> Program:
    """Images of all cores, and of those whose routers only pass multicasts on."""
    plan, shape, cores = draft.plan, draft.model.shape, draft.cores
    for core, table in draft.labels.tables.items():
        builder = cores.setdefault(core, CoreBuilder(draft.machine, core))
        for label, ports in table.items():
            builder.label(label, ports)
    shares = [draft.lm_share(n) for n in range(len(plan.lm))]
    return Program(
        machine=draft.machine, placement=plan.name, context=draft.context,
        sequences=draft.machine.kv.sequences, vocab_size=shape.vocab_size, dim=shape.dim,
        images={core: builder.image() for core, builder in cores.items()}, embed=embed,
        logit_slices=tuple((core, share.start, len(share))
                           for core, share in zip(plan.lm, shares, strict=True)),
        result_core=plan.lm[0], stages=tuple(stage.info for stage in draft.stages),
        roles=tuple(Role(core=core, stages=tuple(builder.stage_names),
                         macros_used=builder.macros.used)
                    for core, builder in cores.items() if builder.stage_names),
        kv_blocks=draft.kv_blocks, kv_sequence_blocks=draft.kv_sequence_blocks,
        kv_members=draft.members, detours=draft.ways.detours(cores.keys()))
