"""What goes in comes out or is refused; parts add up; more of anything is never slower."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.energy.technology import load_technology
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.counts import run_events, token_events
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.metrics import summary
from ouroboros.sw.wafer.power import Power
from ouroboros.sw.wafer.requests import Requests, of_lengths
from ouroboros.sw.wafer.run import run
from ouroboros.sw.wafer.service import Service

CONTEXT = 512
SERVICE: list[Service] = []


def served(**overrides):
    if overrides or not SERVICE:
        found = Service(Wafer(load_machine("wafer"), load_shape("llama-7b"), WaferOptions(
            context=CONTEXT, overrides=overrides), 4))
        if overrides:
            return found
        SERVICE.append(found)
    return SERVICE[0]


@st.composite
def asked(draw):
    count = draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    late = draw(st.sampled_from([0.0, 1e-5, 1e-3]))
    return Requests(np.cumsum(rng.exponential(1, count)) * late, rng.integers(1, 400, count),
                    rng.integers(1, 300, count), "drawn")


@settings(deadline=None, max_examples=25)
@given(asked(), st.integers(6, 64))
def test_tokens_in_are_tokens_out_or_refused(requests, blocks):
    """Also where room is short, so that tokens are computed again."""
    service = served()
    rules = service.rules._replace(blocks=blocks)
    made = run(service.chain, rules, requests.at(1e9))
    found = summary(made, 1e9, {})
    fits = requests.prompts + requests.outputs <= CONTEXT
    assert np.array_equal(made.served, fits)
    assert np.array_equal(made.generated, np.where(fits, requests.outputs, 0))
    total = int((requests.prompts + requests.outputs).sum())
    assert total == found["prompt_tokens"] + found["output_tokens"] + found["tokens_refused"]
    # The last token of a request is not sent again.
    useful = int((requests.prompts + requests.outputs - 1)[fits].sum())
    assert made.tokens == useful + made.recomputed
    assert made.injected == made.tokens + made.poisoned + made.frees
    assert (made.first[fits] > made.traffic.arrivals[fits]).all()
    assert (made.end >= made.first).all() and made.kv_share <= made.kv_peak <= 1
    for cell in service.chain.cells:
        held = cell.hold * made.injected + cell.context * int(
            (made.by_context * service.chain.hold_at).sum())
        assert held <= made.cycles, cell.name


@settings(deadline=None, max_examples=10)
@given(asked())
def test_events_and_energy_add_up(requests):
    """A run's events are those of its tokens; its joules those of its kinds and of leakage."""
    service = served()
    made = service.serve(requests)
    one, events = token_events(service.wafer), run_events(service.wafer, made)
    # Tokens of prompts have no head.
    heads = int(made.generated.sum()) - made.tokens
    for name in ("macs", "array_reads", "buffer_bytes", "flit_hops", "sfu_elements"):
        assert getattr(events, name) == heads * getattr(one.head, name) + sum(
            getattr(one.at(context), name) * int(count)
            for context, count in enumerate(made.by_context) if count)
    energy = Power(wafer=service.wafer, technology=load_technology()).energy(made, 1e9)
    parts = energy.dynamic.as_dict()
    assert parts.pop("total") == pytest.approx(sum(parts.values()))
    assert energy.total == pytest.approx(energy.dynamic.total + energy.leakage)
    assert 0 <= energy.recomputed <= energy.dynamic.total


@pytest.mark.parametrize("name", ["busiest_link_share", "hops_per_block_side",
                                  "die_crossings_per_way"])
def test_better_links_are_never_slower(name):
    asked = of_lengths("120:40", 40)
    cycles = [served(**{name: value}).serve(asked).cycles for value in (3.0, 1.0, 0.3, 0.0)]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[-1]


@settings(deadline=None, max_examples=15)
@given(asked())
def test_a_faster_clock_is_never_slower(requests):
    service = served()
    ends = [service.serve(requests, clock_hz=hz).end / hz for hz in (0.25e9, 0.5e9, 1e9)]
    last = [end.max(initial=0) for end in ends]
    assert last[0] >= last[1] >= last[2]


def test_more_room_is_never_slower():
    """Requests that are alike: those that wait for room begin sooner."""
    service = served()
    asked = of_lengths("200:100", 80).at(1e9)
    cycles = [run(service.chain, service.rules._replace(blocks=blocks), asked).cycles
              for blocks in (8, 16, 32, 64)]
    assert cycles == sorted(cycles, reverse=True) and cycles[0] > 1.2 * cycles[-1]
