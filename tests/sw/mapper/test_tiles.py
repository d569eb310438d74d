"""Tilings, core counts and traffic of shapes, worked out by hand on the tiny core in a larger mesh.

A macro is 64 x 16, a core has four of them; a flit is 16 bytes and so is a word.
"""

from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.sw.block.cores import core_bytes, count_cores
from ouroboros.sw.block.graph import build_graph
from ouroboros.sw.block.layout import layout
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.plans import plan_layout, tiled_plan
from ouroboros.sw.block.tiling import Tiling, roots
from ouroboros.sw.mapper.mapper import map_graph
from ouroboros.sw.mapper.tiles import graph_nets, tile_model
from ouroboros.sw.mapper.traffic import program_traffic
from ouroboros.sw.models.shape import SHAPES, ModelShape, load_shape
from ouroboros.sw.place.instance import Instance

TINY = load_machine("tiny")
MACHINE = replace(TINY, mesh=MeshParams(width=20, height=20, die_width=10, die_height=10))
SHAPE = ModelShape(name="x", source="here", dim=128, hidden_dim=160, n_layers=3, n_heads=8,
                   n_kv_heads=4, vocab_size=100)
FLIT = 16


def tiles(shape=SHAPE, members=2, machine=MACHINE):
    return tile_model(count_cores(machine, shape, members=members))


def sent(found, source, sink):
    """Bytes of all nets from one tile to another, by name, in order of size."""
    a, b = found.tile_names.index(source), found.tile_names.index(sink)
    return sorted(net.volume_bytes for net in found.nets if net.source == a and b in net.sinks)


def test_cores_by_hand():
    found = count_cores(MACHINE, SHAPE, members=2)
    plan = found.plan
    # 128 inputs are two row tiles, so two column tiles a core: 16 tiles of 8 q, 4 k, 4 v.
    assert plan.qkv == Tiling(2, 2, 1, 8)
    assert plan.proj == Tiling(2, 2, 1, 4)      # 8 tiles
    # 160 hidden channels in ten cores with a tile of up and one of gate.
    assert plan.up == Tiling(2, 2, 1, 10)
    # 160 inputs are three row tiles, 128 outputs eight column tiles; 3 x 1 and 2 x 2 a core would
    # take 8 cores, 1 x 4 takes 6.
    assert plan.down == Tiling(1, 4, 3, 2)
    # Sixteen counters: 10 up/gate cores, 6 down and a root are 17, so there is a second root. QKV
    # 8, projection 4 and its roots are 14; 4 head cores and the argmax 5.
    assert plan.roots == (1, 2, 1, 1)
    assert plan.block_cores == 8 + 4 + 2 + 10 + 6 + 1
    assert plan.lm == Tiling(2, 2, 1, 4)        # 100 ids are 7 tiles
    assert found.weights == 3 * 31 + 4 + 1
    assert found.embedding == 4 + 1             # 128 channels are at most four shares of words
    assert found.kv_groups == 3 * 4
    assert found.tiles == 98 + 5 + 12 * 2
    assert found.spares == 4 * 4
    assert core_bytes(MACHINE) == 4 * 64 * 16
    assert found.least == -(-SHAPE.weight_bytes // 4096) == 85
    # All that is left: 400 - 16 - 98 - 5 = 281, 23 for each of 12 heads; but a QKV core makes one
    # head's first query at most, and has sixteen counters.
    assert count_cores(MACHINE, SHAPE).members == 16
    assert found.as_dict()["cores"]["unused"] == 400 - 16 - 127


@pytest.mark.parametrize(("receivers", "wanted"), [(1, 1), (16, 1), (17, 2), (32, 2), (33, 3)])
def test_roots_have_a_counter_for_each(receivers, wanted):
    assert TINY.core.credits == 16 and roots(TINY, receivers) == wanted


def test_residual_by_hand():
    found = tiles()
    # 64 sums of a column slice are four words of int8, shared by three cores: 16, 16 and 32.
    # h8; the RoPE row of 16 int16 from slice 0.
    for n, flits in enumerate((2 + 3, 2, 3, 2, 2, 3)):
        assert sent(found, (0, "down", n), (1, "qkv", 3)) == [flits * FLIT]
    # x16: channels 0..15 of 0..31; then the RoPE row. 16..31 from the next slice.
    assert sent(found, (0, "down", 0), (1, "proj", 0)) == [(2 + 1 + 3) * FLIT]
    assert sent(found, (0, "down", 1), (1, "proj", 0)) == [(2 + 1) * FLIT]
    assert sent(found, (0, "down", 2), (1, "proj", 0)) == []
    # Partial sums of the receiver's channels in int32: 16 and 32.
    assert sent(found, (1, "down", 0), (1, "down", 1)) == [(4 + 1) * FLIT]
    assert sent(found, (1, "down", 0), (1, "down", 2)) == [(8 + 1) * FLIT]
    assert sent(found, (1, "down", 0), (1, "down", 3)) == []    # another column slice
    # Statistics are words, which the four slices of a projection exchange; the last tells the
    # roots. They reserve 16 stages and one, and say so; every stage credits its own.
    assert sent(found, (1, "proj", 0), (1, "proj", 3)) == [2 * FLIT]
    assert sent(found, (1, "proj", 0), (1, "proj norm", 0)) == []
    for root in range(2):
        assert sent(found, (1, "proj", 3), (1, "proj norm", root)) == [2 * FLIT]
        assert sent(found, (1, "proj norm", root), (1, "proj", 0)) == [2 * FLIT]
        assert sent(found, (1, "proj norm", root), (0, "down norm", 0)) == [FLIT]
    assert sent(found, (1, "up", 9), (1, "proj norm", 0)) == [FLIT]
    assert sent(found, (1, "down", 5), (1, "proj norm", 0)) == [FLIT]
    assert sent(found, (1, "down norm", 0), (1, "proj norm", 1)) == [FLIT]
    assert sent(found, (1, "qkv", 3), (0, "down norm", 0)) == [FLIT]
    # Down has six slices in three row slices, and a root that returns the scale.
    assert sent(found, (1, "down", 5), (1, "down norm", 0)) == [2 * FLIT]
    assert sent(found, (1, "down norm", 0), (1, "down", 0)) == [2 * FLIT]


def test_attention_by_hand():
    found = tiles()
    # A core makes two vectors of 16; a KV head's are q, q, k, v. Head 1: cores 2 and 3.
    home, member = (1, "kv", 2), (1, "kv", 3)
    for sink in (home, member):
        assert sent(found, (1, "qkv", 2), sink) == [(2 + 1) * FLIT]     # both q
        assert sent(found, (1, "qkv", 3), sink) == [2 * 2 * FLIT]       # k, v to every member
        assert sent(found, sink, (1, "qkv", 2)) == [FLIT]
    # Whoever reserves the members' slots tells the other maker that it may send.
    assert sent(found, (1, "qkv", 2), (1, "qkv", 3)) == [2 * FLIT]
    assert sent(found, (1, "qkv", 1), home) == []
    # Maxima of two queries, a context of 2 x 16 int32, denominators; the maximum comes back.
    assert sent(found, member, home) == [(3 + 9 + 3) * FLIT]
    assert sent(found, home, member) == [3 * FLIT]
    # 32 channels of o8, from the home alone, to every projection core.
    assert sent(found, home, (1, "proj", 3)) == [3 * FLIT]
    assert sent(found, member, (1, "proj", 3)) == []


def test_feed_forward_by_hand():
    found = tiles()
    assert sent(found, (1, "proj", 2), (1, "up", 7)) == [(2 + 1) * FLIT]
    # Core 4 makes hidden channels 64..79, inputs of row slice 1: cores 1 and 4 of the slices.
    assert [n for n in range(6) if sent(found, (1, "up", 4), (1, "down", n))] == [1, 4]
    assert sent(found, (1, "up", 4), (1, "down", 4)) == [2 * FLIT]


def test_two_heads_in_a_core():
    small = replace(SHAPE, vocab_size=40)
    plan = tiled_plan(MACHINE, small, kv_heads=1, members=1)
    least = plan.weight_cores(3) + plan.embed_cores
    tight = replace(MACHINE, mesh=MeshParams(width=least + 6 + 4, height=1, die_width=least + 10,
                                             die_height=1))
    found = count_cores(tight, small)       # 6 cores for 12 heads
    assert (found.kv_heads, found.members, found.kv_groups) == (2, 1, 6)
    nets = tile_model(found)
    # Both heads' queries come from cores 0 and 2, and the home sends 64 channels.
    assert sent(nets, (1, "qkv", 2), (1, "kv", 0)) == [3 * FLIT]
    assert sent(nets, (1, "kv", 0), (1, "proj", 0)) == [5 * FLIT]


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 6])
def test_copies_of_blocks_are_blocks(layers):
    """The instance of a model is the traffic of its whole graph, and of its program."""
    shape = replace(SHAPE, n_layers=layers)
    count = count_cores(MACHINE, shape, members=1)
    found = tile_model(count)
    graph = build_graph(MACHINE, shape, layout(MACHINE, shape, count.plan), context=1)
    whole = graph_nets(graph)
    assert sorted((net.source, net.sinks, net.volume_bytes) for net in found.nets) == sorted(
        (net.source, net.sinks, net.volume_bytes) for net in whole)
    assert len({*found.tile_names}) == len(found.tile_names) == count.tiles
    program = program_traffic(map_graph(graph, None), found.grid)
    assert np.array_equal(program.edges * [1, 1, FLIT], found.edges)


def test_instance_is_its_nets():
    found = tile_model(count_cores(MACHINE, SHAPE, members=2, dead=2), defects=(3, 9))
    assert found.grid.defects == (3, 9)
    assert found.volume == sum(net.volume_bytes * len(net.sinks) for net in found.nets)
    again = Instance(name="", grid=found.grid, tiles=found.tiles, edges=found.edges)
    assert again.digest == found.digest != tiles(members=3).digest


def test_encoder_has_no_head():
    shape = replace(SHAPE, kind="encoder", head=False, gated=False, positions="relative")
    found = tile_model(count_cores(MACHINE, shape, members=2))
    assert {name[1] for name in found.tile_names}.isdisjoint({"lm", "best"})
    assert sent(found, (0, "down", 0), (1, "qkv", 3)) == [2 * FLIT]     # no RoPE row
    # Nobody is after the last block: whatever its slices send, no one takes.
    root = found.tile_names.index((2, "down norm", 0))
    assert [net.sinks for net in found.nets if net.source == root and len(net.sinks) > 1] == [
        tuple(found.tile_names.index((2, "down", n)) for n in range(6))]


def test_wide_heads_make_the_projection_input_tiled():
    """1,024 int8 are 64 flits, as long as an MVM; 2,048 are more."""
    core = replace(MACHINE, core=replace(MACHINE.core, macros=32, buffer_words=1024))
    wide = replace(SHAPE, n_heads=64, n_kv_heads=64, head_dim=16, hidden_dim=128)
    assert plan_layout(core, wide, "tiled", 400).proj.row_slices == 1
    wider = replace(wide, n_heads=128, n_kv_heads=128)
    tiling = plan_layout(core, wider, "tiled", 400).proj
    assert tiling.row_slices > 1 and tiling.rows * tiling.columns <= 32


# The wafer


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(path.stem for path in SHAPES.glob("*.toml")))
def test_shipped_models(name):
    """Never below the crossbar minimum, and never more cores than live."""
    machine, shape = load_machine("wafer"), load_shape(name)
    try:
        count = count_cores(machine, shape, dead=42)
    except BlockError as error:
        machines = {"gpt-175b": 5, "llama-2-70b": 2, "llama-3-70b": 2, "llama-65b": 2,
                    "opt-66b": 2, "qwen2-72b": 2}
        assert (f"it takes {machines[name]} of them" if name in machines
                else "there is no program that attends to an encoder") in str(error)
        return
    assert count.least <= count.weights
    assert count.tiles <= 13923 - 42 - 252


def test_13b():
    plan = count_cores(load_machine("wafer"), load_shape("llama-13b")).plan
    # 5 row tiles, so 6 column tiles a core: 120 tiles of Q, K, V in 20 cores, 40 in 7, 216 in 36.
    # Down: 5 row tiles x 6 column tiles a core, 3 x 7 of them; 20 cores would send more. LM head
    # 250 tiles.
    assert [t.cores for t in (plan.qkv, plan.proj, plan.up, plan.down, plan.lm)] == [
        20, 7, 36, 21, 42]
    assert plan.down == Tiling(5, 6, 3, 7)
    # 36 + 21 + 1 receivers with 32 counters a root.
    assert plan.roots == (1, 2, 1, 2)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: count_cores(MACHINE, SHAPE, spares_per_die=-1),
     "spares_per_die must be at least 0, not -1"),
    (lambda: count_cores(MACHINE, SHAPE, members=17),
     "members must be between 1 and 16 for model 'x' on machine 'tiny', not 17"),
    (lambda: count_cores(MACHINE, SHAPE, members=0),
     "members must be between 1 and 16 for model 'x' on machine 'tiny', not 0"),
    (lambda: count_cores(MACHINE, replace(SHAPE, head_dim=32)),
     "head_dim of model 'x' must divide cim.outputs (16), not 32"),
    (lambda: count_cores(MACHINE, replace(SHAPE, n_layers=100)), (
     "model 'x' must be at most 384 cores (live ones of machine 'tiny' less 16 spares), not 3,310 "
     "with one KV core for every 2 heads: it takes 10 of them, whole blocks on each")),
    (lambda: count_cores(TINY, SHAPE), (
     "a block of model 'x' must be at most 8 cores (live ones of machine 'tiny' less 4 spares), "
     "not 43")),
    (lambda: count_cores(TINY, SHAPE, dead=10), (
     "a block of model 'x' must be at most 0 cores (live ones of machine 'tiny' less 4 spares), "
     "not 43")),
    (lambda: count_cores(TINY, SHAPE, dead=12),
     "machine 'tiny' must have a live core, but all 12 are dead")])
def test_refused(call, message):
    with pytest.raises(BlockError) as error:
        call()
    assert str(error.value) == message
