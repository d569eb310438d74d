"""Counters beside the model: equal where they were made from it, named where one is off."""

from collections import Counter

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.perf.counted import COUNTED, counted, sequence_tokens
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.quantise.quantise import quantise


@pytest.fixture
def program(make_checkpoint):
    return map_model(load_machine("tiny"), quantise(make_checkpoint(n_layers=1)))


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_of_a_sequence(stream):
    """Two of the prompt without logits, its last and one more with, and the one that frees."""
    flags = Flag.STREAM if stream else 0
    assert sequence_tokens(3, 4, stream=stream) == [
        Token(0, Flag.QUIET), Token(1, Flag.QUIET), Token(2, flags), Token(3, flags),
        Token(4, Flag.FREE | Flag.QUIET)]


def test_counters(program):
    tokens, stages = sequence_tokens(3, 5, stream=True), read_stages(program)
    counters = {core: Counter(dict.fromkeys(COUNTED, 0)) for core in program.images}
    for token in tokens:
        for core, events in token_events(program, stages, token).items():
            if core in counters:        # not of routers that only pass packets on
                counters[core] += events
    counters = {core: {name: one[name] for name in COUNTED} for core, one in counters.items()}
    found = counted(program, counters, tokens)
    assert found.differing == () and found.measured == found.predicted
    assert all(found.measured.values())

    core = stages[-1].info.core
    counters[core]["sfu_elements"] += 1
    found = counted(program, counters, tokens)
    assert found.differing == ((core, "sfu_elements"),)
    assert found.measured["sfu_elements"] == found.predicted["sfu_elements"] + 1
    assert found.as_dict()["differing"] == [[*core, "sfu_elements"]]
    assert counted(program, counters, tokens[:-2]).differing
