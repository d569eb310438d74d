"""Inputs of an encoder against plain Python; what limits them; copies of the model."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.chain import Cell, Chain, Window
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.encoder import encoder_service
from ouroboros.sw.wafer.inputs import pass_inputs
from ouroboros.sw.wafer.requests import Requests, of_lengths

LONGEST = 5


def plainly(chain, arrivals, lengths):
    """Start of every token in every cell, by the rules; tokens of all inputs are numbered."""
    inputs = [(i, n) for i, length in enumerate(lengths) for n in range(length)]
    last = np.cumsum(lengths) - 1

    @cache
    def out(k, s):
        cell = chain.cells[s]
        way = int(chain.way_at[lengths[inputs[k][0]]]) if cell.context else 0
        return start(k, s) + cell.way + way

    @cache
    def start(k, s):
        i, _ = inputs[k]
        cell = chain.cells[s]
        # Attention waits for the whole input.
        times = [arrivals[i] if s == 0 else out(int(last[i]) if cell.context else k, s - 1)]
        if k:
            times.append(start(k - 1, s) + chain.hold_of(cell, lengths[inputs[k - 1][0]]))
        times += [out(k - window.slots, window.last) + window.back for window in chain.windows
                  if window.first == s and k >= window.slots]
        return max(times)

    ends = [out(k, len(chain.cells) - 1) for k in range(len(inputs))]
    cuts = [s for s, cell in enumerate(chain.cells) if cell.context]
    begin = last + 1 - np.array(lengths)
    return ([ends[k] for k in begin], [ends[k] for k in last],
            [[out(int(k), s - 1) for s in cuts] for k in begin],
            [[out(int(k), s) for s in cuts] for k in last])


@st.composite
def runs(draw):
    count = draw(st.integers(2, 9))
    cells = tuple(Cell(f"c{n}", draw(st.integers(0, 12)), draw(st.integers(0, 25)),
                       n > 0 and draw(st.booleans())) for n in range(count))
    cuts = [n for n, cell in enumerate(cells) if cell.context]
    windows = []
    for n in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, count - 1))
        end = draw(st.integers(first, count - 1))
        spans = any(first < cut <= end for cut in cuts)
        windows.append(Window(f"w{n}", first, end, draw(st.integers(LONGEST if spans else 1, 9)),
                              draw(st.integers(-4, 6))))
    table = st.lists(st.integers(0, 9), min_size=LONGEST, max_size=LONGEST)
    chain = Chain(cells, tuple(windows), np.array([0, *draw(table)]), np.array([0, *draw(table)]))
    inputs = draw(st.integers(1, 7))
    lengths = draw(st.lists(st.integers(1, LONGEST), min_size=inputs, max_size=inputs))
    gaps = draw(st.lists(st.integers(0, 40), min_size=inputs, max_size=inputs))
    return chain, [int(time) for time in np.cumsum(gaps)], lengths


@given(runs())
@settings(max_examples=150, deadline=None)
def test_inputs_pass_by_the_rules(drawn):
    chain, arrivals, lengths = drawn
    first, end, kept, left = plainly(chain, arrivals, lengths)
    found = pass_inputs(chain, np.array(arrivals), np.array(lengths))
    assert found.first.tolist() == first and found.end.tolist() == end
    assert found.kept.tolist() == kept and found.left.tolist() == left


def test_a_window_that_an_input_fills_for_ever():
    cells = (Cell("a", 1, 1), Cell("attention", 1, 1, context=True))
    chain = Chain(cells, (Window("slots", 0, 1, 2, 0),), np.zeros(4, np.int64),
                  np.zeros(4, np.int64))
    with pytest.raises(ValueError, match="window 'slots' must have 3 slots, those of the longest "):
        pass_inputs(chain, np.array([0]), np.array([3]))


def served(lengths="128:1", count=40, longest=None, **overrides):
    requests = of_lengths(lengths, count)
    found = encoder_service(load_machine("wafer"), load_shape("bert-large"),
                            WaferOptions(overrides=overrides), requests, longest)
    return found, found.serve(requests)


def test_copies_share_the_inputs():
    """As many copies as fit; two take half of the time of one, but for the last inputs."""
    many, _ = served()
    (one, alone), (two, shared) = served(encoder_copies=1), served(encoder_copies=2)
    assert (one.copies, two.copies) == (1, 2) and many.copies > 20
    assert alone.injected == shared.injected == 40 * 128
    assert alone.cycles / 2 < shared.cycles < alone.cycles
    with pytest.raises(PerfError, match=f"encoder_copies must be at most {many.copies}, of "):
        _ = served(encoder_copies=many.copies + 1)[0].copies


def test_an_input_waits_for_its_last_token():
    """Alone, no token of an input comes out before all of it is in; longer ones take longer."""
    times = [served(f"{length}:1", 1)[1].cycles for length in (16, 64, 256, 512)]
    assert times == sorted(times) and times[0] < times[-1]
    found, run = served("64:1", 1)
    assert run.cycles > found.chain.latency(64) + 63 * min(
        cell.hold for cell in found.chain.cells if cell.context)


def test_inputs_that_are_too_long():
    """Of a trace they are refused and counted; programs for one as long do not exist."""
    requests = Requests(arrivals_s=np.zeros(2), prompts=np.array([64, 600]),
                        outputs=np.ones(2, np.int64), name="two inputs")
    found = encoder_service(load_machine("wafer"), load_shape("bert-large"), WaferOptions(),
                            requests, None)
    assert found.serve(requests).served.tolist() == [True, False]
    with pytest.raises(PerfError, match=r"an input must be at most 512 tokens .*, not 600"):
        served("600:1", 1, longest=600)
    with pytest.raises(PerfError, match="output_tokens must be 1 for an encoder"):
        served("64:2", 1)
    with pytest.raises(PerfError, match="wafers must be 1 for an encoder, not 2"):
        encoder_service(load_machine("wafer"), load_shape("bert-large"), WaferOptions(wafers=2),
                        requests, None)
