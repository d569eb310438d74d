"""An annealed placement on RTL: same logits as along the snake, fewer flit-hops by the counters."""

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.api.catalogue import SHIPPED, TOKENIZER
from ouroboros.sw.mapper.grid import place_of
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.mapper.place import place_program
from ouroboros.sw.mapper.traffic import flit_hops, program_traffic
from ouroboros.sw.place.placement import save
from ouroboros.sw.program.image import Token
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare, serve
from ouroboros.tb.flow.backend import verilator


@pytest.mark.sim
def test_counters_are_the_predicted_hops(make_checkpoint):
    """Tiny machine, cores anywhere: every router's data flits, idle cores' routers included."""
    machine = load_machine("tiny")
    model = quantise(make_checkpoint(dim=32, n_heads=4, n_kv_heads=2, n_layers=1, hidden_dim=40))
    instance = program_traffic(map_model(machine, model))
    core = np.random.default_rng(5).permutation(instance.grid.cores)[:instance.tiles]
    program = map_model(machine, model, cores=[place_of(instance.grid, n) for n in core])
    result = verilator(
        Job(program=program, model=model, twin=True,
            requests=(RequestSpec(prompt=(1, 5, 9), limit=2, logits="none"),)), lambda *_: None)
    assert compare(model, result.requests)[0]
    flags = [Flag.QUIET, Flag.QUIET, 0, 0, Flag.FREE | Flag.QUIET]
    assert result.flit_hops == sum(flit_hops(program, Token(n, flag))
                                   for n, flag in enumerate(flags))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["plain", "split"])
def test_the_shipped_model_placed_by_the_annealer(layout, tmp_path):
    machine, source = load_machine("small"), open_model(SHIPPED, TOKENIZER)
    result, _, _ = place_program(machine, source.quantised(), layout)
    save(result.placement, tmp_path / "p.json")
    snake, placed = (serve(source, machine, ["Once upon a time", "One day"], tokens=3,
                           on="verilator", logits="all", placement=placement, twin=True)
                     for placement in (layout, str(tmp_path / "p.json")))
    assert snake.bit_exact and placed.bit_exact
    for before, after in zip(snake.result.requests, placed.result.requests, strict=True):
        assert before.tokens == after.tokens
        for position, vector in before.vectors.items():
            assert np.array_equal(vector, after.vectors[position])
    assert placed.result.flit_hops < snake.result.flit_hops
