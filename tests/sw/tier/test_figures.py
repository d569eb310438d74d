"""The publication's figures, where its bars lie beside the checkout; files that are none."""

import json

import pytest

from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.figures.ablation import ablation_group
from ouroboros.sw.tier.figures.bar import Bar, Bars, Group, read_bars
from ouroboros.sw.tier.figures.compare import compare
from ouroboros.sw.tier.figures.links import link_group, micro_efficiency


def test_micro_benchmarks(bars, ddr4):
    found = read_bars(bars)
    efficiency, fitted = micro_efficiency(found, ddr4[0])
    assert fitted
    assert efficiency == pytest.approx(0.80, abs=0.01)
    links = link_group(found, ddr4[0])
    assert len(links.bars) == 12
    assert sum(bar.status == "held out" for bar in links.bars) == 11
    assert links.most == 0.02
    assert links.holds
    steps = ablation_group(found, ddr4[0], efficiency)
    assert len(steps.bars) == 30
    assert sum(bar.status == "held out" for bar in steps.bars) == 24
    assert steps.most == 0.03
    assert steps.holds


@pytest.mark.long
def test_every_figure(bars, ddr4):
    found = compare(read_bars(bars), *ddr4)
    assert found.failed == ()
    groups = {group.title: group for group in found.groups}
    assert groups["throughput of GPT-175B"].mean_error < 0.08
    assert len(groups["throughput of GPT-175B"].errors) == 15
    assert len(groups["throughput of OPT-66B"].errors) == 11
    assert groups["throughput of QWEN-72B"].holds is None
    assert "2.6 times that" in " ".join(groups["throughput of QWEN-72B"].words)
    held_out = [one for one in found.predictions if one.held_out]
    assert held_out
    assert all(one.pim[0] < 0.01 and one.dense[0] < 0.01 for one in held_out)


def test_without_bars_nothing_is_fitted(ddr4):
    none = read_bars(None)
    efficiency, fitted = micro_efficiency(none, ddr4[0])
    assert not fitted
    assert efficiency == ddr4[0].of("lockstep")
    links = link_group(none, ddr4[0])
    assert links.holds is None
    assert all(bar.published is None and bar.status == "derived" for bar in links.bars)


def test_a_group_that_is_too_far_off():
    far = Bar(name="far", ours=1.2, published=1.0)
    near = Bar(name="near", ours=1.0, published=1.0)
    fitted = Bar(name="fitted", ours=9.0, published=1.0, status="fitted")
    assert Group(title="", bars=(far, near), most=0.1).holds is False
    assert Group(title="", bars=(far, near), most=0.1, mean=0.15, limited="mean").holds is True
    assert Group(title="", bars=(near, fitted), most=0.1).holds is True
    assert Group(title="", bars=(far,), most=0.1, limited="none").holds is None


@pytest.mark.parametrize(("table", "words"), [
    ({}, "must have the key pcie_overhead_percent"),
    ({"pcie_overhead_percent": {"GPT-175B": {"P4x192 D64x8K": ["many"]}}},
     "P4x192 D64x8K.0 must be a number above 0, not 'many'"),
    ({"pcie_overhead_percent": {"GPT-175B": {"P4x192 D64x8K": [-1]}}},
     "P4x192 D64x8K.0 must be a number above 0, not -1"),
])
def test_a_file_that_holds_no_bars(tmp_path, ddr4, table, words):
    path = tmp_path / "bars.json"
    path.write_text(json.dumps(table))
    with pytest.raises(TierError, match=words):
        micro_efficiency(read_bars(path), ddr4[0])


def test_bars_of_no_file_are_none():
    assert Bars(None, {}).number("anything", 3) is None
