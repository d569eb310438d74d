"""Events of a token by its context: those of the whole graph, stage by stage, at any context."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.energy.count import graph_events
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.program.image import Token
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.counts import run_events, token_events, ways_of
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.requests import of_lengths
from ouroboros.sw.wafer.service import Service

CONTEXT = 20_000
WAFERS = {name: Wafer(load_machine("wafer"), replace(load_shape(name), n_layers=2),
                      WaferOptions(context=CONTEXT), members)
          for name, members in (("llama-13b", 6), ("llama-3-8b", 10), ("llama-7b", 3))}
"""Of two blocks, as many as the graph has: nothing is counted once for several. At the longest
contexts members of llama-7b have more KV blocks than macros for V."""


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(sorted(WAFERS)), st.integers(1, CONTEXT))
def test_events_at_any_context(name, context):
    wafer = WAFERS[name]
    found = token_events(wafer).at(context)
    whole = graph_events(wafer.graph, Token(context - 1), ways_of(wafer))
    assert replace(found, tokens=0, tokens_out=0, host_flits=0) == whole
    assert (found.tokens, found.tokens_out) == (1, 1) and found.host_flits > 0


@pytest.mark.parametrize("name", sorted(WAFERS))
def test_partial_sums_of_many_blocks_are_no_multiple(name):
    """So ``whole`` is a table: members run out of macros for V."""
    wafer = WAFERS[name]
    whole = [events.partial_sums for events in token_events(wafer).whole]
    macros = wafer.members * wafer.machine.core.macros // 2
    steps = [b - a for a, b in pairwise(whole)]
    assert len(whole) == -(-CONTEXT // wafer.machine.block_tokens)
    assert (len(set(steps)) > 1) == (len(whole) > macros), "macros for V of all members"


def test_a_token_of_a_prompt_has_no_head():
    wafer = Wafer(load_machine("wafer"), replace(load_shape("llama-13b"), n_layers=2),
                  WaferOptions(context=256), 6)
    run = Service(wafer).serve(of_lengths("100:30", 20))
    found, each = run_events(wafer, run), token_events(wafer)
    prompt, made = Token(0, Flag.QUIET), Token(0)
    quiet, loud = (graph_events(wafer.graph, token, ways_of(wafer)) for token in (prompt, made))
    assert each.head.macs == loud.macs - quiet.macs > 0
    every = sum((each.at(c) * int(n) for c, n in enumerate(run.by_context) if n), each.at(1) * 0)
    assert every + each.head * (600 - 20 * 129) == replace(
        found, cycles=0, tokens_recomputed=0)
