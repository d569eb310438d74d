"""What a graph costs is what its placed program costs: units, flits of ports, cycles."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.hw.params.timing.control import DISPATCH_CYCLES
from ouroboros.sw.block.costs import stage_costs
from ouroboros.sw.block.graph import build_graph
from ouroboros.sw.block.latency import walk_graph
from ouroboros.sw.block.layout import layout
from ouroboros.sw.block.plans import plan_layout
from ouroboros.sw.block.tiling import tiled
from ouroboros.sw.mapper.mapper import map_graph
from ouroboros.sw.models.scheme import R2, R
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.stage_time import machine_time
from ouroboros.sw.program.image import Token, read_stages

TINY = load_machine("tiny")
WIDE = replace(TINY, mesh=MeshParams(width=9, height=6, die_width=9, die_height=6),
               core=replace(TINY.core, macros=16, buffer_words=512, residual_bits=24),
               cim=replace(TINY.cim, rows=128))
SHAPE = ModelShape(name="x", source="here", dim=96, hidden_dim=88, n_layers=1, n_heads=6,
                   n_kv_heads=2, vocab_size=59)
BASE = {"qkv": 2, "kv_groups": 2, "members": 3, "proj": (1, 3), "up": 3, "down": (1, 2), "lm": 2,
        "embed": 2}
ROWS = {**BASE, "proj": (2, 2), "down": (2, 2)}
TILINGS = {"plain": ("plain", R), "split": ("split", R), "columns": (BASE, R), "rows": (ROWS, R),
           "heads": ({**BASE, "qkv": 4}, R), "R2, plain": ("plain", R2), "R2, split": ("split", R2),
           "R2, rows": (ROWS, R2)}


def graph_of(tiling, scheme):
    plan = (tiled(WIDE, SHAPE, **tiling) if isinstance(tiling, dict)
            else plan_layout(WIDE, SHAPE, tiling, WIDE.mesh.cores, scheme))
    return build_graph(WIDE, SHAPE, layout(WIDE, SHAPE, plan), scheme=scheme)


@pytest.mark.parametrize("position", [0, 17, 40])
@pytest.mark.parametrize("name", TILINGS)
def test_costs_of_a_program(name, position):
    graph, token = graph_of(*TILINGS[name]), Token(position)
    program = map_graph(graph, None)
    time = machine_time(program, read_stages(program), token)
    wanted = {stage.stage.info.name: stage for core in time.cores for stage in core.stages}
    costs = stage_costs(WIDE, graph.stages, token)
    assert len(costs) == len(wanted)
    for cost in costs:
        stage = wanted[cost.stage.info.name]
        assert cost.holds == stage.holds
        # A walk counts from the first WAIT to END; a token that was parked has waited meanwhile.
        waits = sum(i.op in (Op.WAIT, Op.END) for i in stage.stage.code)
        assert 0 <= cost.serial - stage.serial <= DISPATCH_CYCLES * waits
        assert cost.port.flits_out == stage.flits_out
        # The host's rows are not in a graph's ports.
        host = stage.flits_in if cost.stage.info.kind == "embed" else 0
        assert cost.port.flits_in == stage.flits_in or host > cost.port.flits_in


@pytest.mark.parametrize("name", TILINGS)
def test_the_longest_path_grows_by_its_ways(name):
    """Stages take what they take; a cycle more on every way is one more for each way passed."""
    graph, token = graph_of(*TILINGS[name]), Token(40)
    near, far = (walk_graph(graph, token, ways) for ways in (10, 11))
    for key, walk in near.stages.items():
        assert walk.serial == far.stages[key].serial
    # Embedding, QKV, attention, projection, up/gate, down, head, host: more with sums in between.
    ways = far.result - near.result
    # The exponent of R2 goes to up/gate core 0 and back.
    assert 7 <= ways <= (22 if TILINGS[name][1] == R2 else 20)
    assert near.reserved.keys() == {stage.key for stage in graph.stages}
    for key, cycle in near.reserved.items():
        assert cycle < near.stages[key].start
