"""Limits of power: what is throttled holds them, meets them, and nothing else changes."""

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.energy.technology import load_technology
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.wafer.clocks import CAPS_W
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.metrics import summary
from ouroboros.sw.wafer.power import Power
from ouroboros.sw.wafer.requests import at_rate, of_lengths
from ouroboros.sw.wafer.service import service

ASKED = of_lengths("200:60", 80)


@pytest.fixture(scope="module")
def served():
    return service(load_machine("wafer"), load_shape("llama-7b"), WaferOptions(members=4), ASKED,
                   None)


def power(served, **changed):
    return Power(wafer=served.wafer, technology=load_technology(), **changed)


def test_all_at_once(served):
    """Power is (dynamic energy) / time + leakage, and the cap sets the time."""
    run = served.serve(ASKED)
    drawn = power(served)
    free = drawn.energy(run, 1e9)
    assert free.watts > CAPS_W[-1]
    rates = []
    for cap in CAPS_W:
        held = drawn.throttled(run, 1e9, cap)
        leakage = free.leakage / free.seconds
        assert held.energy.watts == pytest.approx(cap)
        assert held.energy.seconds == pytest.approx(free.dynamic.total / (cap - leakage))
        assert held.energy.dynamic == free.dynamic
        # A lower clock to begin with ends at the same one.
        assert drawn.throttled(run, 0.9e9, cap).clock_hz == pytest.approx(held.clock_hz)
        rates.append(summary(held.run, held.clock_hz, {})["output_tokens_per_s"])
    assert rates == sorted(rates) and rates[0] < rates[-1] < summary(run, 1e9, {})[
        "output_tokens_per_s"]


def test_a_high_limit_changes_nothing(served):
    run = served.serve(ASKED)
    held = power(served).throttled(run, 1e9, 1e7)
    assert (held.run, held.clock_hz) == (run, 1e9)


def test_leakage_takes_it_all(served):
    assert power(served).throttled(served.serve(ASKED), 1e9, 500) is None


@pytest.mark.parametrize("rate", ["20000", "60000", "600000"])
def test_arrivals_in_seconds(served, rate):
    """The limit holds, and is met within 0.5 % unless requests are too few to reach it."""
    asked = at_rate(ASKED, rate, 1)
    drawn = power(served, corner="high")
    calls = []

    def serve(hz):
        calls.append(hz)
        return served.serve(asked, mode="fast", clock_hz=hz)

    run = serve(1e9)
    held = drawn.throttled(run, 1e9, 15_000, serve)
    assert held.energy.watts <= 15_000
    assert held.energy.watts >= 15_000 * 0.99 or held.clock_hz == 1e9
    assert held.clock_hz in calls
    again = served.serve(asked, mode="fast", clock_hz=held.clock_hz)
    assert np.array_equal(again.end, held.run.end)


def test_bit_planes_are_throttled_more(served):
    run = served.serve(ASKED)
    once, each = (power(served, bit_planes=planes).throttled(run, 1e9, 15_000).clock_hz
                  for planes in (False, True))
    assert each < once / 4
