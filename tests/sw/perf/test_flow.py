"""Many tokens at once: alone a token takes what the walk says, together they wait."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.flow import Span, flow
from ouroboros.sw.perf.stage_time import machine_time
from ouroboros.sw.perf.walk import walk
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.program.program import Program
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES

TINY = load_machine("tiny")


@pytest.fixture
def mapped(make_checkpoint) -> Program:
    model = quantise(make_checkpoint(dim=32, n_heads=4, n_kv_heads=2, n_layers=1, vocab_size=23,
                                     hidden_dim=40))
    return map_model(TINY, model)


def prompt(count: int, *, last: int = 0) -> list[Token]:
    return [*(Token(n, Flag.QUIET) for n in range(count - 1)), Token(count - 1, last)]


@pytest.mark.parametrize("routers", [False, True])
@pytest.mark.parametrize("token", [Token(0), Token(9, Flag.STREAM), Token(20, Flag.QUIET)])
@pytest.mark.parametrize("scheme", ["R", "R2"])
def test_alone_a_token_is_walked(token, scheme, routers, make_checkpoint):
    machine = replace(TINY, core=replace(TINY.core, residual_bits=24)) if scheme == "R2" else TINY
    program = map_model(machine, quantise(make_checkpoint(
        dim=32, n_heads=4, n_kv_heads=2, n_layers=2, hidden_dim=40), recipe=RECIPES[scheme]))
    stages = read_stages(program)
    alone = walk(program, stages, token)
    found = flow(program, stages, [token], routers=routers)
    assert found.results == (alone.result,)
    assert found.spans == {
        (one.stage.info.core, one.stage.info.index, 0): Span(one.start, one.end)
        for one in alone.stages}


@pytest.mark.parametrize("routers", [False, True])
def test_tokens_wait(routers, mapped):
    """None is faster than alone, and in the middle they keep the distance of the busiest unit."""
    stages, tokens = read_stages(mapped), prompt(20)
    found = flow(mapped, stages, tokens, routers=routers)
    for token, result in zip(tokens, found.results, strict=True):
        assert result >= walk(mapped, stages, token).result
    assert list(found.results) == sorted(found.results)
    least = machine_time(mapped, stages, Token(10, Flag.QUIET)).interval
    assert (found.results[17] - found.results[7]) / 10 >= least
    for one in stages:
        spans = [found.spans[one.info.core, one.info.index, token.position] for token in tokens]
        # No more at once than there are slots.
        for n in range(one.info.slots, len(spans)):
            assert spans[n].start > spans[n - one.info.slots].end, one.info.name


def test_fewer_slots_take_longer(mapped):
    """The slots of the stage that binds: its tokens follow each other by a round of them."""
    stages, tokens = read_stages(mapped), prompt(12)
    whole = flow(mapped, stages, tokens).results[-1]

    def few(slots):
        return [replace(one, info=replace(one.info, slots=slots)) if one.info.kind == "kv" else one
                for one in stages]
    times = [flow(mapped, few(slots), tokens).results[-1] for slots in (1, 2)]
    assert times[0] > times[1] >= whole


@pytest.mark.parametrize("routers", [False, True])
def test_a_stage_that_nobody_feeds(routers, mapped):
    stages = read_stages(mapped)
    with pytest.raises(PerfError, match="every token must get to the host"):
        flow(mapped, [replace(one, code=one.code[-1:]) if one.info.kind == "qkv" else one
                      for one in stages], prompt(3), routers=routers)
