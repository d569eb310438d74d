"""General tilings: any matrix in row slices x column slices, same logits as the decoder."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.tiling import tiled
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.mapper.mapper import map_model

TINY = load_machine("tiny")
WIDE = replace(TINY, mesh=MeshParams(width=9, height=6, die_width=9, die_height=6),
               core=replace(TINY.core, macros=16, buffer_words=512))
FEW_CREDITS = replace(WIDE, core=replace(WIDE.core, credits=3))
MODEL = {"dim": 96, "hidden_dim": 88, "n_heads": 6, "n_kv_heads": 2}
BASE = {"qkv": 2, "kv_groups": 2, "members": 2, "proj": (1, 3), "up": 3, "down": (1, 2), "lm": 2,
        "embed": 2}
# Machine, changes of the model, cores of every matrix, norm roots after embedding, projection,
# down, last down.
CASES = {
    "columns": (WIDE, {}, BASE, (1, 1, 1, 1)),
    # 34 tokens are two blocks and two tokens: the third member has them.
    "three members": (WIDE, {}, {**BASE, "members": 3}, (1, 1, 1, 1)),
    # Partial sums in both residual matrices; 88 hidden channels of three cores straddle the slices.
    "rows": (WIDE, {}, {**BASE, "proj": (2, 2), "down": (2, 2)}, (1, 1, 1, 1)),
    # A KV head's queries, k and v from different cores: the first tells the others to send.
    "parted heads": (WIDE, {}, {**BASE, "qkv": 4, "members": 1}, (1, 1, 1, 1)),
    # 2 + 6 + 1 receivers with three counters a core: roots share them.
    "several roots": (FEW_CREDITS, {}, {**BASE, "down": (2, 3)}, (3, 4, 3, 1)),
    "two blocks": (replace(WIDE, cim=replace(WIDE.cim, rows=128)), {"n_layers": 2},
                   {**BASE, "kv_groups": 1, "proj": (2, 1), "down": (3, 1)}, (1, 1, 1, 1)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_logits(make_model, serve, name):
    """Two sequences in any order of packets; 34 tokens come back to the first of two members."""
    machine, changes, tiling, roots = CASES[name]
    model = make_model(**MODEL, **changes)
    plan = tiled(machine, model.shape, **tiling)
    assert plan.roots == roots
    program = map_model(machine, model, placement=plan)
    assert len(program.roles) == plan.cores(model.shape.n_layers)
    check(program, model, serve, [[n % 59 for n in range(3, 37)], [5, 9]])


def check(program, model, serve, prompts):
    requests, golden = serve(program, model, prompts, limit=2, seed=3)
    decoder = IntegerDecoder(model)
    for n, request in enumerate(requests):
        logits = decoder.prefill(n, [*request.prompt, *request.tokens[:-1]])
        assert sorted(request.vectors) == [*range(len(request.prompt) + 1)]
        for position, vector in request.vectors.items():
            assert (vector == logits[position]).all(), f"{n}, position {position}"
    golden.settle()
    assert not any(core.slots for core in golden.cores.values())


@pytest.mark.long
def test_tiled_by_itself(make_model, serve):
    """By name, as the command line has it: KV cores are what the mesh has left."""
    model = make_model(**MODEL)
    program = map_model(WIDE, model, placement="tiled")
    assert program.placement == "tiled" and program.kv_members > 2
    check(program, model, serve, [[n % 59 for n in range(3, 37)], [5, 9]])


@pytest.mark.parametrize(("changes", "message"), [
    ({"embed": 7}, "dim must be more than 96 to be shared by 7 cores on machine 'tiny', not 96"),
    ({"up": 7}, ("hidden_dim must be more than 96 to be shared by 7 cores on machine 'tiny', "
                "not 88")),
    ({"proj": (4, 3)}, ("n_heads must be more than 6 to be shared by 4 cores on machine 'tiny', "
                       "not 6")),
    ({"down": (3, 6)}, "row slices of 16 channels must be at most 1 on machine 'tiny', not 3")])
def test_refused(make_model, changes, message):
    model = make_model(**MODEL)
    with pytest.raises(BlockError) as error:
        map_model(WIDE, model, placement=tiled(WIDE, model.shape, **{**BASE, **changes}))
    assert str(error.value) == message
