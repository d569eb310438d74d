"""Energy of runs: parts add up; nothing is divided by nothing."""

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.energy.events import Events
from ouroboros.sw.energy.joules import joules, leakage_w
from ouroboros.sw.energy.run import run_energy
from ouroboros.sw.energy.technology import load_technology

MACHINE, SHIPPED = load_machine("wafer"), load_technology()
EVENTS = Events(cycles=2_000_000, tokens=100, tokens_recomputed=25, tokens_out=30,
                array_reads=10 ** 9, macs=4 * 10 ** 12, flit_hops=10 ** 8)


@pytest.mark.parametrize("wafers", [1, 2])
def test_parts(wafers):
    found = run_energy(EVENTS, MACHINE, SHIPPED, clock_hz=1e9, core_area_mm2=3.32, wafers=wafers)
    dynamic = joules(EVENTS, MACHINE, SHIPPED).total
    assert found.seconds == pytest.approx(2e-3)
    assert found.leakage == pytest.approx(
        wafers * 2e-3 * leakage_w(MACHINE, 3.32, SHIPPED))
    assert found.total == pytest.approx(dynamic + found.leakage)
    assert found.recomputed == pytest.approx(dynamic / 4)
    assert found.per_token == pytest.approx(found.total / 75)
    assert found.per_output == pytest.approx(found.total / 30)
    assert found.watts == pytest.approx(found.total / 2e-3)
    assert found.as_dict()["joules"] == found.total


def test_a_slower_clock_leaks_longer():
    fast, slow = (run_energy(EVENTS, MACHINE, SHIPPED, clock_hz=hertz, core_area_mm2=3.32)
                  for hertz in (1e9, 2e8))
    assert slow.leakage == pytest.approx(5 * fast.leakage)
    assert slow.dynamic == fast.dynamic


def test_a_run_of_nothing():
    found = run_energy(Events(), MACHINE, SHIPPED, clock_hz=1e9, core_area_mm2=3.32)
    assert (found.total, found.watts, found.recomputed) == (0, 0, 0)
    assert found.per_token is found.per_output is None
