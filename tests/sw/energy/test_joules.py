"""Joules by hand, sums of events, technology files, power caps."""

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.hw.params.load import ConfigError
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.energy.events import Events
from ouroboros.sw.energy.joules import Joules, capped_rate, joules, leakage_w
from ouroboros.sw.energy.technology import TECHNOLOGY, Technology, load_technology
from ouroboros.sw.lib.quantities import CORNERS

MACHINE, SHIPPED = load_machine("wafer"), load_technology()
BY_HAND = {
    "array_reads": ("array", 32 * 128 * 2.6), "macs": ("mac", 0.061),
    "kv_bytes_written": ("kv_write", 128 * 3.71), "kv_rows_written": ("kv_write", 128 * 3.71),
    "buffer_bytes": ("buffers", 2.6), "partial_sums": ("htree", 32 * 1.8 * 0.05),
    "flit_hops": ("noc", 32 * 0.58), "die_crossings": ("die_links", 256 * 0.6),
    "wafer_crossings": ("wafer_links", 256 * 28), "host_flits": ("host", 256 * 5.5)}
"""Event, the kind that it costs, pJ."""


@pytest.mark.parametrize("event", BY_HAND)
def test_an_event_by_hand(event):
    kind, pico = BY_HAND[event]
    found = joules(Events(**{event: 1000}), MACHINE, SHIPPED)
    assert found == Joules(**{kind: pytest.approx(pico * 1e-9)})


def test_a_special_function_by_hand():
    found = joules(Events(sfu_elements=1000), MACHINE, SHIPPED)
    assert found.sfu == pytest.approx(1e-9)
    assert found.buffers == pytest.approx(6 * 2.6e-9)


def test_every_event_costs_or_is_counted_elsewhere():
    """Group cycles cost with bit planes; cycles leak; tokens and flits are sums of others."""
    free = {"cycles", "tokens", "tokens_recomputed", "tokens_out", "flits", "array_group_cycles"}
    assert {one.name for one in fields(Events)} == {*BY_HAND, "sfu_elements"} | free
    for name in free:
        assert joules(Events(**{name: 5}), MACHINE, SHIPPED).total == 0


def test_reading_for_every_bit():
    events = Events(array_reads=10, array_group_cycles=80)
    once, each = (joules(events, MACHINE, SHIPPED, bit_planes=planes) for planes in (False, True))
    assert each.array == pytest.approx(8 * once.array)


counts = st.builds(Events, **{one.name: st.integers(0, 10 ** 12) for one in fields(Events)})


@settings(deadline=None)
@given(counts, counts, st.integers(0, 1000), st.sampled_from(CORNERS))
def test_energies_add_up(one, two, times, corner):
    def of(events):
        return joules(events, MACHINE, SHIPPED, corner).total
    assert of(one + two) == pytest.approx(of(one) + of(two))
    assert of(one * times) == pytest.approx(times * of(one))
    found = joules(one, MACHINE, SHIPPED, corner)
    assert found.total == pytest.approx(
        sum(getattr(found, part.name) for part in fields(Joules)))


@settings(deadline=None)
@given(counts)
def test_corners_are_in_order(events):
    low, mid, high = (joules(events, MACHINE, SHIPPED, corner).total for corner in CORNERS)
    assert low <= mid <= high


def test_leakage_by_hand():
    """A core has 2.27 mm2 of arrays at 14.8 Mb/mm2, and 1.05 of all else."""
    array = 32 * 2 ** 20 / 1e6 / 14.8
    assert leakage_w(MACHINE, 3.32, SHIPPED) == pytest.approx(
        13923 * (array * 0.005 + (3.32 - array) * 0.05))
    low, mid, high = (leakage_w(MACHINE, 3.32, SHIPPED, corner) for corner in CORNERS)
    assert low < mid < high
    assert low == pytest.approx(13923 * array * 0.005)


@pytest.mark.parametrize("watts, rate", [(1e6, 100.0), (60.0, 25.0), (35.0, 0.0), (10.0, 0.0)])
def test_a_cap(watts, rate):
    assert capped_rate(100.0, 1.0, 35.0, watts) == rate


# Files

def test_every_figure_has_a_source_and_a_spread_in_order():
    for one in fields(Technology):
        value = getattr(SHIPPED, one.name)
        assert value.source
        assert value.spread[0] <= value.mid <= value.spread[1]
        assert value.unit == one.metadata["unit"]


def test_a_file_replaces_some(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('mac = { mid = 0.5, unit = "pJ", source = "measured" }\n')
    found = load_technology(path)
    assert found.mac.mid == 0.5 and found.mac.spread == (0.5, 0.5)
    assert found.hop == SHIPPED.hop


@pytest.mark.parametrize("text, words", [
    ('mca = { mid = 1, unit = "pJ", source = "s" }', "unknown key 'mca'; known keys: ['array_"),
    ('mac = { mid = 1, unit = "nJ", source = "s" }', "unit of mac must be 'pJ', not 'nJ'"),
    ('mac = { mid = -1, unit = "pJ", source = "s" }', "mac must be above 0, not -1"),
    ('mac = { mid = 1, unit = "pJ", source = "" }', "source must say where the value comes from"),
    ('mac = { mid = 1, low = 2, unit = "pJ", source = "s" }', "mid must be low to high"),
    ("mac = 1", "mac: expected a table, not 1"), ("mac = ", "own.toml: not TOML")])
def test_files_with_faults(tmp_path, text, words):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_technology(path)
    assert words in str(caught.value) and "own.toml" in str(caught.value)


def test_the_shipped_file_is_whole():
    assert set(SHIPPED.as_dict()) == {one.name for one in fields(Technology)}
    assert TECHNOLOGY.is_file()
