"""Programs of scheme R2 in the simulator: the logits of the decoder, and no packet refused."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import verilator

NARROW = load_machine("tiny")
TINY = replace(NARROW, core=replace(NARROW.core, residual_bits=24))


@pytest.mark.sim
def test_one_block(make_checkpoint):
    """Two sequences at once, one over two borders of KV blocks of 16 tokens, with massive sums."""
    model = quantise(make_checkpoint(dim=32, hidden_dim=44, n_layers=1, n_heads=4, n_kv_heads=2,
                                     vocab_size=59, seq_len=64, gain=3.0), recipe=RECIPES["R2"])
    requests = tuple(RequestSpec(prompt=tuple(n * 7 % 56 + 3 for n in range(count)), limit=2,
                                 logits="all") for count in (34, 3))
    result = verilator(Job(program=map_model(TINY, model), model=model, requests=requests,
                           twin=True), lambda *_: None)
    exact, vectors = compare(model, result.requests)
    assert exact
    assert vectors == 34 + 3 + 2
    assert sum(core.events["errors"] for core in result.counters.values()) == 0
