"""General tilings in the simulator: the logits of the decoder, the events that the model counts."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.api.catalogue import SHIPPED, TOKENIZER
from ouroboros.sw.block.tiling import tiled
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import verilator

SMALL = load_machine("small")


def run(program, model, requests):
    job = Job(program=program, model=model, requests=requests, twin=True)
    result = verilator(job, lambda *_: None)
    exact, vectors = compare(model, result.requests)
    assert exact
    assert vectors == sum(len(spec.prompt) + spec.limit - 1 for spec in requests)
    assert sum(core.events["errors"] for core in result.counters.values()) == 0
    return result


@pytest.mark.sim
def test_every_kind_of_slice(make_checkpoint):
    """Row slices of both residual matrices, a head over QKV cores, chains of norm roots, and three
    members of a KV head: 70 tokens are blocks of 32 in each of them."""
    model = quantise(make_checkpoint(dim=64, hidden_dim=160, n_layers=1, n_heads=8, n_kv_heads=4,
                                     vocab_size=100, seq_len=128))
    plan = replace(tiled(SMALL, model.shape, qkv=3, kv_groups=2, members=3, proj=(2, 2), up=3,
                         down=(2, 2), lm=2, embed=2), roots=(1, 2, 1, 2))
    program = map_model(SMALL, model, placement=plan)
    prompts = [[n % 90 + 3 for n in range(70)], [5, 9]]
    result = run(program, model, tuple(
        RequestSpec(prompt=tuple(prompt), limit=2, logits="all") for prompt in prompts))
    # K and V of a token are written by one member of each group; the second sequence begins at the
    # second of them.
    stages = read_stages(program)
    tokens = [Token(n, Flag.QUIET * (n + 1 < len(prompt)) | Flag.STREAM, sequence)
              for sequence, prompt in enumerate(prompts) for n in range(len(prompt) + 1)]
    for group in plan_members(program):
        written = [result.counters[core].events["row_writes"] for core in group]
        assert all(written) and sum(written) == len(tokens) * 2
        assert written == [sum(token_events(program, stages, token)[core]["row_writes"]
                               for token in tokens) for core in group]


def plan_members(program):
    """Cores of each group of KV heads."""
    groups = {}
    for stage in program.stages:
        if stage.kind == "kv":
            groups.setdefault(stage.name.rpartition(".")[0], []).append(stage.core)
    return groups.values()


@pytest.mark.sim
def test_shipped_model_tiled_by_itself():
    """The layout that the wafer figures are about, on the small machine."""
    model = open_model(SHIPPED, TOKENIZER).quantised()
    program = map_model(SMALL, model, placement="tiled")
    run(program, model, (RequestSpec(prompt=(1, 5, 9, 30), limit=3, logits="all"),))
