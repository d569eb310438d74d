"""What is read back from the core images of a mapped program is what ``sw.block`` says."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.isa import Op, assemble, disassemble
from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.hw.params.packet import STAGE_ENTRY, Unit
from ouroboros.sw.block.graph import build_graph
from ouroboros.sw.block.layout import layout
from ouroboros.sw.block.plans import plan_layout
from ouroboros.sw.block.tables import core_tables
from ouroboros.sw.block.tiling import tiled
from ouroboros.sw.mapper.mapper import map_graph, map_model, model_graph
from ouroboros.sw.models.scheme import R2, R
from ouroboros.sw.models.shape import ModelShape, load_shape
from ouroboros.sw.program.image import read_stages
from ouroboros.sw.program.program import Write

TINY, SMALL, WAFER = (load_machine(name) for name in ("tiny", "small", "wafer"))
WIDE = replace(TINY, mesh=MeshParams(width=12, height=12, die_width=12, die_height=12),
               core=replace(TINY.core, macros=16, buffer_words=512))
TALL = replace(WIDE, cim=replace(WIDE.cim, rows=128))
FEW_CREDITS = replace(WIDE, core=replace(WIDE.core, credits=3))
WORDS = replace(WIDE, core=replace(WIDE.core, lanes=8, param_words=256),
                cim=replace(WIDE.cim, outputs=32, rows=256))
FLITS = replace(WORDS, noc=replace(WORDS.noc, flit_bits=256))
SHAPE = ModelShape(name="x", source="here", dim=96, hidden_dim=88, n_layers=1, n_heads=6,
                   n_kv_heads=2, vocab_size=59)
R2_WIDE, R2_TALL, R2_WORDS, R2_FEW_CREDITS = (
    replace(machine, core=replace(machine.core, residual_bits=24))
    for machine in (WIDE, TALL, WORDS, FEW_CREDITS))
BASE = {"qkv": 2, "kv_groups": 2, "members": 2, "proj": (1, 3), "up": 3, "down": (1, 2), "lm": 2,
        "embed": 2}


def of(**changes):
    return replace(SHAPE, **changes)


# Machine, shape, and a layout's name or the cores of every matrix; the scheme, if not R.
COMBINATIONS = {
    "plain": (TALL, SHAPE, "plain"),
    "plain, passes": (replace(TINY, cim=replace(TINY.cim, rows=256)), of(dim=32, n_heads=4),
                      "plain"),
    "plain, three blocks": (TALL, of(n_layers=3), "plain"),
    "plain, heads share a core": (replace(TINY, mesh=MeshParams(
        width=3, height=2, die_width=3, die_height=2)), of(dim=32, n_heads=4, hidden_dim=44),
        "plain"),
    "split": (TALL, SHAPE, "split"),
    "split, odd hidden": (TALL, of(hidden_dim=43), "split"),
    "split, two blocks": (TALL, of(n_layers=2), "split"),
    "split, wide words": (WORDS, of(dim=128, n_heads=4), "split"),
    "split, wide flits": (FLITS, of(dim=128, n_heads=4), "split"),
    "tiled by itself": (WIDE, SHAPE, "tiled"),
    "tiled by itself, small": (SMALL, of(dim=64, n_heads=8, n_kv_heads=4, hidden_dim=160,
                                         n_layers=3, vocab_size=512), "tiled"),
    "tiled by itself, long rows": (WIDE, of(dim=192, n_heads=12, hidden_dim=500), "tiled"),
    "one core each": (WORDS, of(dim=128, n_heads=4), {
        **BASE, "qkv": 1, "members": 1, "proj": (1, 1), "up": 1, "down": (1, 1), "lm": 1,
        "embed": 1}),
    "column slices": (WIDE, SHAPE, BASE),
    "row slices": (WIDE, SHAPE, {**BASE, "proj": (2, 2), "down": (3, 2)}),
    "row slices of projection": (WIDE, SHAPE, {**BASE, "proj": (3, 1)}),
    "a head over cores": (WIDE, SHAPE, {**BASE, "qkv": 4, "members": 1}),
    "heads of both groups in a core": (WIDE, SHAPE, {**BASE, "qkv": 3, "members": 4}),
    "one group of heads": (WIDE, SHAPE, {**BASE, "kv_groups": 1, "members": 4}),
    "several roots": (FEW_CREDITS, SHAPE, {**BASE, "proj": (2, 2), "down": (2, 3), "qkv": 3}),
    "chains, two blocks": (FEW_CREDITS, of(n_layers=2, vocab_size=100), {
        **BASE, "down": (3, 2), "lm": 4, "embed": 3}),
    "tiled, wide words": (WORDS, of(dim=128, n_heads=4), {**BASE, "proj": (2, 2), "down": (2, 2)}),
    "tiled, wide flits": (FLITS, of(dim=128, n_heads=4), {**BASE, "proj": (2, 2), "down": (1, 4)}),
    "R2, plain": (R2_TALL, SHAPE, "plain", R2),
    "R2, split": (R2_TALL, of(hidden_dim=43), "split", R2),
    "R2, split, wide words": (R2_WORDS, of(dim=128, n_heads=4), "split", R2),
    "R2, tiled by itself": (R2_WIDE, SHAPE, "tiled", R2),
    "R2, row slices": (R2_WIDE, SHAPE, {**BASE, "proj": (2, 2), "down": (3, 2)}, R2),
    "R2, several roots": (R2_FEW_CREDITS, SHAPE, {
        **BASE, "proj": (2, 2), "down": (2, 3), "qkv": 3}, R2),
    "llama-13b": (WAFER, replace(load_shape("llama-13b"), n_layers=1), "tiled"),
}


def graph_of(machine, shape, tiling, scheme=R, context=None):
    plan = (tiled(machine, shape, **tiling) if isinstance(tiling, dict)
            else plan_layout(machine, shape, tiling, machine.mesh.cores // 8 if tiling == "tiled"
                             else machine.mesh.cores, scheme))
    return build_graph(machine, shape, layout(machine, shape, plan), context=context,
                       scheme=scheme)


def said(graph):
    """A graph as a comparable value: stages, instructions, flows, reservations, slots."""
    found = {}
    for stage in graph.stages:
        code = []
        for step in stage.steps:
            free = {"dest"} if step.flow else {"param", "shift"} if step.param else set()
            fields = {k: v for k, v in step.instruction.fields.items() if k not in free}
            flow = step.flow and (sorted(step.flow.targets), step.flow.operand,
                                  sorted(step.flow.reserve))
            code.append((step.instruction.op, fields, flow))
        found[stage.key] = (stage.info, stage.words, stage.kv, sorted(stage.owners), code)
    return found


def read(program, graph):
    """The same, read back; fields that only weights and addresses decide are left out."""
    stages = read_stages(program)
    owner_of = {}       # (core, counter) -> the stage there that takes it
    for stage in stages:
        for send in stage.sends(flags=0):
            if send.instruction.fields["acquire"]:
                for counter in range(program.machine.core.credits):
                    if send.delivery.counters >> counter & 1:
                        owner_of[stage.info.core, counter] = stage.info.core, stage.info.index
    reserved = {}
    for stage in stages:
        for owner in stage.owners:
            reserved.setdefault(owner, []).append((stage.info.core, stage.info.index))
    found = {}
    for stage in stages:
        core, index = stage.info.core, stage.info.index
        table = {w.address: STAGE_ENTRY.unpack(w.values[0]) for w in program.images[core].writes
                 if w.unit == Unit.STAGE}[index]
        assert table["slot_count"] == stage.info.slots
        code = []
        for i, step in zip(stage.code, graph.by_key[core, index].steps, strict=True):
            free = ({"dest"} if i.op is Op.SEND else {"param", "shift"} if step.param else set())
            flow = None
            if i.op is Op.SEND:
                to = stage.dests[i.fields["dest"]]
                takes = [key for counter in range(program.machine.core.credits)
                         if to.counters >> counter & 1 for key in reserved[core, counter]]
                flow = (sorted((route.target, to.stage) for route in to.routes), to.operand,
                        sorted(takes))
            code.append((i.op, {k: v for k, v in i.fields.items() if k not in free}, flow))
        owners = sorted(owner if owner[0] == program.machine.host else owner_of[owner]
                        for owner in stage.owners)
        kv = stage.kv and {k: stage.kv[k] for k in graph.by_key[core, index].kv}
        found[core, index] = stage.info, table["stride"], kv, owners, code
    return found


@pytest.mark.parametrize("name", COMBINATIONS)
def test_read_back(name):
    machine = COMBINATIONS[name][0]
    graph = graph_of(*COMBINATIONS[name], context=1024 if machine is WAFER else None)
    program = map_graph(graph, None)
    assert read(program, graph) == said(graph)
    assert (program.context, program.kv_members) == (graph.context, graph.members)
    # What a model without addresses counts of every table is what the mapper writes.
    for core, table in core_tables(graph).items():
        written = {unit: sum(len(write.values) for write in program.images[core].writes
                             if write.unit == unit) for unit in table}
        assert written == table
    if machine is WAFER:
        labels = [sum(write.unit == Unit.LABEL for write in image.writes)
                  for image in program.images.values()]
        assert max(labels) < machine.noc.labels


@pytest.mark.parametrize("scheme", ["R", "R2"])
@pytest.mark.parametrize("placement", ["plain", "split"])
def test_read_back_with_weights(make_model, placement, scheme):
    machine = replace(TINY, core=replace(TINY.core, residual_bits=24))
    model = make_model(scheme=scheme)
    graph = model_graph(machine, model, placement)
    assert read(map_model(machine, model, placement=placement), graph) == said(graph)


@pytest.mark.parametrize("field", ["flits", "src", "dst"])
def test_a_drift_is_seen(field):
    """One more flit in one SEND, or one address."""
    graph = graph_of(*COMBINATIONS["row slices"])
    program = map_graph(graph, None)
    core = graph.layout.blocks[0].up[1]
    writes = program.images[core].writes
    at = next(n for n, write in enumerate(writes) if write.unit == Unit.PROGRAM)
    words = [*writes[at].values]
    send = next(n for n, word in enumerate(words) if disassemble(word)[0] is Op.SEND)
    op, fields = disassemble(words[send])
    words[send] = assemble(op, **{name: value + (name == field) for name, value in fields.items()
                                  if name != "op"})
    writes[at] = Write(Unit.PROGRAM, 0, tuple(words))
    assert read(program, graph) != said(graph)
