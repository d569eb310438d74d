"""Tilings and traffic of shapes, worked out by hand on the tiny core in a larger mesh.

A macro is 64 x 16, a core has four of them; a flit is 16 bytes and so is a word.
"""

from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.models.shape import SHAPES, ModelShape, load_shape
from ouroboros.sw.perf.block_cores import block_cores
from ouroboros.sw.perf.substage import Tiling
from ouroboros.sw.tiling.cores import core_bytes, count_cores
from ouroboros.sw.tiling.errors import TilingError
from ouroboros.sw.tiling.model import model_traffic, tile_model
from ouroboros.sw.tiling.rules import TilingRules
from ouroboros.sw.wafer.estimate import Wafer, WaferOptions

TINY = load_machine("tiny")
MACHINE = replace(TINY, mesh=replace(TINY.mesh, width=20, height=20, die_width=10, die_height=10))
SHAPE = ModelShape(name="x", source="here", dim=128, hidden_dim=160, n_layers=3, n_heads=8,
                   n_kv_heads=4, vocab_size=100)
TWO = TilingRules(members=2)
FLIT = 16


def traffic(shape=SHAPE, rules=TWO):
    return model_traffic(count_cores(MACHINE, shape, rules))


def sent(found, source, sink):
    """Bytes of all nets from one tile to another, by name, in order."""
    a, b = found.names.index(source), found.names.index(sink)
    return [net.volume_bytes for net in found.nets if net.source == a and b in net.sinks]


def test_cores_by_hand():
    found = count_cores(MACHINE, SHAPE, TWO)
    # 128 inputs are two row tiles, so two column tiles a core.
    assert found.block.qkv == Tiling(2, 2, 1, 8)           # 16 tiles of 8 q, 4 k, 4 v
    assert found.block.projection == Tiling(2, 2, 1, 4)    # 8 tiles
    assert found.block.up == Tiling(2, 2, 1, 10)           # 20 tiles of up and gate
    # 160 inputs are three row tiles, 128 outputs eight column tiles; 3 x 1 and 2 x 2 a core would
    # take 8 cores, 1 x 4 takes 6.
    assert found.block.down == Tiling(1, 4, 3, 2)
    assert found.block_cores == 8 + 4 + 10 + 6 + 2
    assert found.head == Tiling(2, 2, 1, 4)                # 100 ids are 7 tiles
    assert found.weights == 3 * 30 + 4 + 1
    assert found.embedding == 6 + 1
    assert found.kv_groups == 3 * 4
    assert found.tiles == 95 + 7 + 12 * 2
    assert found.spares == 4 * 4
    assert core_bytes(MACHINE) == 4 * 64 * 16
    assert found.least == -(-SHAPE.weight_bytes // 4096) == 85
    # All that is left: 400 - 16 - 95 - 7 = 282, 23.5 for each of 12 heads; powers of two only.
    assert count_cores(MACHINE, SHAPE).members == 16
    assert found.as_dict()["cores"]["unused"] == 400 - 16 - 126


def test_residual_by_hand():
    found = traffic()
    # 64 sums of a column slice are shared by three cores: 22, 22, 20 channels.
    for n in range(6):
        assert sent(found, (0, "down", n), (1, "qkv", 3))[0] == (2 + 1) * FLIT
    # h8; then the RoPE row of 16 int16 from slice 0.
    assert sent(found, (0, "down", 0), (1, "qkv", 3)) == [3 * FLIT, (2 + 1) * FLIT]
    # x16: channels 0..21 of 0..31; then the RoPE row. 22..31 from the next slice.
    assert sent(found, (0, "down", 0), (1, "proj", 0)) == [(3 + 1) * FLIT, 3 * FLIT]
    assert sent(found, (0, "down", 1), (1, "proj", 0)) == [(2 + 1) * FLIT]
    assert sent(found, (0, "down", 2), (1, "proj", 0)) == []
    # Partial sums of the receiver's channels in int32: 22 and 20.
    assert sent(found, (1, "down", 0), (1, "down", 1)) == [(6 + 1) * FLIT]
    assert sent(found, (1, "down", 0), (1, "down", 2)) == [(5 + 1) * FLIT]
    assert sent(found, (1, "down", 0), (1, "down", 3)) == []    # another column slice
    # Statistics are words; the credit of a slot is a header.
    assert sent(found, (1, "down", 0), (1, "down norm", 0)) == [2 * FLIT]
    assert sent(found, (1, "down norm", 0), (1, "down", 5)) == [2 * FLIT]
    assert sent(found, (1, "down", 0), (1, "proj norm", 0)) == [FLIT]
    assert sent(found, (1, "qkv", 3), (0, "down norm", 0)) == [FLIT]
    assert sent(found, (1, "down norm", 0), (1, "proj norm", 0)) == [FLIT]


def test_attention_by_hand():
    found = traffic()
    # A core makes two vectors of 16; a KV head's are q, q, k, v. Head 1: cores 2 and 3.
    home, member = (1, "kv", 2), (1, "kv", 3)
    for sink in (home, member):
        assert sent(found, (1, "qkv", 2), sink) == [2 * 2 * FLIT]       # both q, to all members
        assert sent(found, (1, "qkv", 3), sink) == [2 * 2 * FLIT // 2]  # k, v to one of two
        assert sent(found, sink, (1, "qkv", 2)) == [FLIT]
    assert sent(found, (1, "qkv", 1), home) == []
    # Maxima of two queries, a context of 2 x 16 int32, denominators; the maximum comes back.
    assert sent(found, member, home) == [3 * FLIT, 9 * FLIT, 3 * FLIT]
    assert sent(found, home, member) == [3 * FLIT]
    # 32 channels of o8, from the home alone, to every projection core.
    assert sent(found, home, (1, "proj", 3)) == [3 * FLIT]
    assert sent(found, member, (1, "proj", 3)) == []


def test_feed_forward_by_hand():
    found = traffic()
    assert sent(found, (1, "proj", 2), (1, "up", 7)) == [(2 + 1) * FLIT]
    # Core 4 makes hidden channels 64..79, inputs of row slice 1: cores 1 and 4 of the slices.
    assert [n for n in range(6) if sent(found, (1, "up", 4), (1, "down", n))] == [1, 4]
    assert sent(found, (1, "up", 4), (1, "down", 4)) == [2 * FLIT]


def test_k_and_v_to_all():
    found = traffic(rules=TilingRules(members=2, kv_to_all_members=True))
    assert sent(found, (1, "qkv", 3), (1, "kv", 3)) == [2 * 2 * FLIT]


def test_two_heads_in_a_core():
    tight = replace(MACHINE, mesh=replace(MACHINE.mesh, width=10, height=12, die_width=10,
                                          die_height=12))
    found = count_cores(tight, SHAPE)       # 120 - 4 - 102 = 14 for 12 heads
    assert (found.kv_heads, found.members) == (1, 1)
    tight = replace(tight, mesh=replace(tight.mesh, height=11, die_height=11))
    shape = replace(SHAPE, n_layers=3, vocab_size=40)       # 110 - 4 - 100 = 6
    found = count_cores(tight, shape)
    assert (found.kv_heads, found.members, found.kv_groups) == (2, 1, 6)
    nets = model_traffic(found)
    # Both heads' queries come from cores 0 and 2, and the home sends 64 channels.
    assert sent(nets, (1, "qkv", 2), (1, "kv", 0)) == [4 * FLIT]
    assert sent(nets, (1, "kv", 0), (1, "proj", 0)) == [5 * FLIT]


def test_blocks_are_copies():
    four, three = traffic(replace(SHAPE, n_layers=4)), traffic()
    size = 30 + 8

    def of(found, layer):
        first = found.names.index((layer, "qkv", 0))
        return sorted((net.source - first, tuple(s - first for s in net.sinks), net.volume_bytes)
                      for net in found.nets
                      if first <= max(net.source, *net.sinks) < first + size)
    assert of(four, 1) == of(four, 2) == of(four, 3) == of(three, 2)
    assert len(of(four, 1)) > 100
    assert len({*four.names}) == len(four.names) == len(three.names) + size
    assert [name[0] for name in four.names if name[1] == "lm"] == [4] * 4


@pytest.mark.parametrize("layers", [1, 2])
def test_few_blocks(layers):
    shape = replace(SHAPE, n_layers=layers)
    found = tile_model(MACHINE, shape, TWO)
    assert found.tiles == count_cores(MACHINE, shape, TWO).tiles
    last = found.tile_names.index((layers, "lm", 0))
    assert last in found.edges[:, :2]


def test_instance_is_its_nets():
    found = tile_model(MACHINE, SHAPE, TWO, defects=(3, 9))
    assert found.grid.defects == (3, 9)
    assert found.volume == sum(net.volume_bytes * len(net.sinks) for net in found.nets)
    # One piece: every tile can be reached from tile 0.
    reached = np.zeros(found.tiles, bool)
    reached[0] = True
    for _ in range(found.tiles):
        a, b = found.edges[:, 0], found.edges[:, 1]
        more = reached.copy()
        more[b[reached[a]]] = True
        more[a[reached[b]]] = True
        if (more == reached).all():
            break
        reached = more
    assert reached.all()


def test_decoder_beside_an_encoder():
    shape = replace(SHAPE, kind="encoder-decoder", n_decoder_layers=2, n_layers=2, gated=False,
                    positions="relative")
    rules = TilingRules(members=1, prompt_tokens=3, generated_tokens=1)
    count = count_cores(MACHINE, shape, rules)
    assert count.block.up == Tiling(2, 2, 1, 5)
    assert count.block_cores == 8 + 4 + 5 + 6 + 2
    # Queries 8 tiles; keys and values of 4 heads 8 tiles; another projection and its root.
    assert count.decoder_block_cores == count.block_cores + 4 + 4 + 4 + 1
    assert count.kv_groups == (2 + 2 * 2) * 4
    found = model_traffic(count)
    assert len(found.names) == count.tiles
    # No RoPE; three of four tokens pass the encoder, one the decoder.
    assert sent(found, (0, "down", 0), (1, "qkv", 3)) == [3 * FLIT * 3 // 4]
    assert sent(found, (2, "down", 0), (3, "qkv", 3)) == [3 * FLIT // 4]
    # The encoder's last slices feed the makers of K and V in both decoder blocks.
    for layer in (2, 3):
        assert sent(found, (1, "down", 0), (layer, "cross kv maker", 1)) == [3 * FLIT * 3 // 4]
        assert sent(found, (layer, "cross kv maker", 0), (layer, "cross kv", 0)) == [
            2 * 2 * FLIT * 3 // 4]
        assert sent(found, (layer, "cross q", 0), (layer, "cross kv", 0)) == [2 * 2 * FLIT // 4]
        assert sent(found, (layer, "proj", 0), (layer, "cross q", 2)) == [3 * FLIT // 4]
        assert sent(found, (layer, "cross proj", 0), (layer, "up", 2)) == [3 * FLIT // 4]
    assert sent(found, (1, "down", 0), (2, "proj", 0)) == []


def test_encoder_has_no_head():
    shape = replace(SHAPE, kind="encoder", head=False)
    count = count_cores(MACHINE, shape, TWO)
    assert count.head is None
    assert count.weights == 3 * 30
    assert {name[1] for name in model_traffic(count).names}.isdisjoint({"lm", "argmax"})


def test_wide_heads_make_the_projection_input_tiled():
    """1,024 int8 are 64 flits, as long as an MVM; 2,048 are more."""
    wide = replace(SHAPE, n_heads=64, n_kv_heads=64, head_dim=16, hidden_dim=128)
    core = replace(MACHINE, core=replace(MACHINE.core, macros=32))
    assert block_cores(core, wide).projection.row_slices == 1
    wider = replace(wide, n_heads=128, n_kv_heads=128)
    tiling = block_cores(core, wider).projection
    assert tiling.row_slices > 1 and tiling.rows * tiling.columns <= 32


# The wafer


@pytest.mark.parametrize("name", sorted(path.stem for path in SHAPES.glob("*.toml")))
def test_counts_are_those_of_the_wafer_model(name):
    """Tiles and the performance model are one truth; never below the crossbar minimum."""
    machine, shape = load_machine("wafer"), load_shape(name)
    try:
        count = count_cores(machine, shape, dead=42)
    except TilingError as error:
        assert name in ("gpt-175b", "llama-2-70b", "llama-3-70b", "llama-65b", "opt-66b")
        assert f"it takes {5 if name == 'gpt-175b' else 2} of them" in str(error)
        return
    assert count.least <= count.weights
    assert count.tiles <= 13923 - 42 - 252
    if shape.kind == "decoder":
        model = Wafer(machine, shape, WaferOptions(context=1024))
        assert (count.weights, count.embedding) == (model.weight_cores, model.embed_cores)
        assert (count.kv_heads, count.members) == (model.kv_heads, model.members)


def test_flits_of_13b_are_those_of_the_wafer_model():
    """What arrives at a core of block 1 is what the wafer model's port of it takes."""
    machine, shape = load_machine("wafer"), load_shape("llama-13b")
    found = model_traffic(count_cores(machine, shape, TilingRules(kv_to_all_members=True), dead=42))
    model = Wafer(machine, shape, WaferOptions(context=1024))
    def arrives(kind):
        tile = found.names.index((1, kind, 1))
        credit = machine.noc.flit_bits // 8
        return sum(net.volume_bytes for net in found.nets
                   if tile in net.sinks and net.volume_bytes > credit) // 32

    def modelled(stage):
        return sum(flow.network_flits for flow in stage.inflows)

    # 20 slices of 256 int8; the RoPE row of 128 int16.
    assert arrives("qkv") == modelled(model.qkv) == 20 * (8 + 1) + 8 + 1
    # Six slices of 768 int8 and one of 512; the model takes seven equal ones.
    assert arrives("up") == 6 * (24 + 3) + 16 + 2 <= modelled(model.up) == 7 * (23 + 3)
    # The model's member gets q, k, v one by one, the maximum of all from the home.
    assert arrives("kv") == modelled(model.member)
    assert arrives("down") <= modelled(model.down)
    assert arrives("proj") <= modelled(model.proj)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: TilingRules(members=3), "members must be a power of two of at least 1, not 3"),
    (lambda: TilingRules(spares_per_die=-1), "spares_per_die must be at least 0, not -1"),
    (lambda: TilingRules(prompt_tokens=0, generated_tokens=0),
     "prompt_tokens and generated_tokens must not both be 0"),
    (lambda: count_cores(MACHINE, SHAPE, TilingRules(members=32)),
     "members must be at most 16 for model 'x' on machine 'tiny', not 32"),
    (lambda: count_cores(MACHINE, replace(SHAPE, head_dim=32)),
     "head_dim of model 'x' must divide cim.outputs (16), not 32"),
    (lambda: count_cores(MACHINE, replace(SHAPE, n_layers=100)), (
     "model 'x' must be at most 384 cores (live ones of machine 'tiny' less 16 spares), not 3,212 "
     "with one KV core for every 2 heads: it takes 9 of them, whole blocks on each")),
    (lambda: count_cores(TINY, SHAPE), (
     "a block of model 'x' must be at most 8 cores (live ones of machine 'tiny' less 4 spares), "
     "not 44"))])
def test_refused(call, message):
    with pytest.raises(TilingError) as error:
        call()
    assert str(error.value) == message
