"""Events of a token from the graph: equal to those of its program, which RTL is held to."""

from collections import Counter
from dataclasses import replace

import pytest

from ouroboros.hw.params.isa import BMode, Op, Type
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.block.costs import port_loads, sends
from ouroboros.sw.energy.count import Ways, graph_events, model_events, ways_within
from ouroboros.sw.mapper.mapper import map_model, model_graph
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.perf.cycles import vector_length
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer

WAYS = Ways(hops=3.5, borders=0.25)
SAME = {"array_group_cycles": "array_group_cycles", "row_writes": "kv_rows_written",
        "byte_writes": "kv_bytes_written", "sfu_elements": "sfu_elements", "flits_out": "flits"}
"""Counter of a core, and the event that is its sum over all cores."""


@pytest.fixture(scope="module")
def wafer():
    return Wafer(load_machine("wafer"), load_shape("llama-13b"), WaferOptions(context=1024), 4)


@pytest.mark.parametrize("placement", ["plain", "split"])
@pytest.mark.parametrize("position, flags", [
    (0, 0), (5, 0), (6, Flag.QUIET), (40, 0), (41, Flag.FREE | Flag.QUIET)])
def test_events_are_those_of_the_cores_counters(placement, position, flags, make_checkpoint):
    machine = load_machine("small")
    model = quantise(make_checkpoint(dim=64, n_heads=4, n_kv_heads=2, n_layers=2, hidden_dim=80,
                                     seq_len=64))
    token = Token(position, flags)
    program = map_model(machine, model, placement=placement)
    counters: Counter[str] = Counter()
    for core in token_events(program, read_stages(program), token).values():
        counters += core
    graph = model_graph(machine, model, placement)
    found = graph_events(graph, token, WAYS)
    assert {name: getattr(found, event) for name, event in SAME.items()} == {
        name: counters[name] for name in SAME}
    if not flags & Flag.FREE:
        assert found.array_reads * 8 == found.array_group_cycles > 0
    # All flits into cores but the host's, by who receives them.
    sent = sum(load.flits_in for load in port_loads(machine, graph.stages).values())
    if not flags:
        whole = model_events(graph, 2, token, WAYS)
        assert counters["flits_in"] == sent + whole.host_flits - _to_host(graph)
        assert whole.tokens_out == 1


def _to_host(graph):
    flits = 0
    for stage in graph.stages:
        for step in stage.steps:
            if step.flow is not None and step.flow.targets[0][0] == graph.machine.host \
                    and step.instruction.runs(0):
                flits += step.instruction.fields["flits"] + 1
    return flits


def test_a_model_is_its_blocks(make_checkpoint):
    """The graph of two blocks says what that of five does."""
    machine, token, ways = load_machine("small"), Token(9), Ways(hops=4.0, borders=0.0)
    two, five = (model_graph(machine, quantise(make_checkpoint(
        dim=32, n_heads=4, n_kv_heads=2, n_layers=layers, hidden_dim=40)), "plain")
        for layers in (2, 5))
    repeated = model_events(two, 5, token, ways)
    assert replace(repeated, tokens=0, tokens_out=0, host_flits=0) == graph_events(
        five, token, ways)


def test_array_reads_of_13b(wafer):
    """Its matrices fill whole groups: every weight and every K and V once, no padding."""
    weights, kv = 40 * (4 * 5120 ** 2 + 3 * 5120 * 13824) + 32000 * 5120, 2 * 40 * 5120 * 1024
    ways = ways_within(wafer.machine, 243)
    found = model_events(wafer.graph, 40, Token(1023), ways)
    assert found.macs == weights + kv
    assert found.array_reads * 32 * 128 == found.macs
    assert found.kv_bytes_written == 40 * 5120 and found.kv_rows_written == 40 * 40
    quiet = model_events(wafer.graph, 40, Token(1023, Flag.QUIET), ways)
    assert found.macs - quiet.macs == 32000 * 5120
    # A macro hands over all outputs once for each tile, and every block of K and V. Down has three
    # row slices of five tiles; slices of projection, down (seven of 5,120 channels) and head are no
    # whole macros: each matrix comes to at most 6 % more, all of them to 1.6 %.
    tiles = 40 * (4 * 5 * 5120 + 2 * 5 * 13824 + 15 * 5120) + 5 * 32000
    scores, contexts = 40 * 40 * 1024, 40 * 40 * 8 * 128
    assert 0 <= found.partial_sums / (tiles + scores + contexts) - 1 < 0.016


def test_buffer_bytes_of_a_block_of_13b(wafer):
    """Every operand once for each core that multiplies it; payload once out, once in for each."""
    block = [stage for stage in wafer.graph.stages if stage.info.layer == 0]
    found = graph_events(wafer.graph, Token(1023), WAYS, block).buffer_bytes
    # Down: seven column slices, each takes all hidden channels. A head's four members: q each, k
    # and v of the token in one, e of all tokens.
    operands = (20 + 7 + 36) * 5120 + 7 * 13824 + 40 * (4 * 128 + 2 * 128 + 1024)
    payload = sum(32 * step.instruction.fields["flits"] * (1 + len(step.flow.targets))
                  for stage in block for step in sends(stage))
    assert found == operands + payload


def test_ways_within_a_square():
    ways = ways_within(load_machine("wafer"), 144)
    assert ways.hops == pytest.approx(8)
    # 8 of 116 links along x, 6 of 118 along y.
    assert ways.borders == pytest.approx((8 / 116 + 6 / 118) / 2)
    assert ways_within(load_machine("small"), 1).borders == 0


def test_buffer_bytes_of_a_special_function(wafer):
    """What the technology file derives: bytes read and written for an element, in 13B."""
    sizes, elements = 0, 0
    for stage in wafer.graph.stages:
        image = stage.costed()
        tokens = image.local_tokens(wafer.machine, Token(1023))
        for i in image.code:
            if i.op is not Op.SFU or not i.runs(0):
                continue
            f, n = i.fields, vector_length(i, tokens)
            wide = {BMode.NONE: 0, BMode.ADD32: 4, BMode.RESIDUAL16: 2, BMode.RESIDUAL32: 4}
            elements += n
            sizes += n * ((0 if f["a_array"] else Type(f["a_type"]).bytes) + wide[f["b_mode"]]
                          + Type(f["d_type"]).bytes)
    assert 4 <= sizes / elements <= 12
