"""Pools at the wafer's edge: what fits, what binds, what cannot be."""

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.edge import Edge, Wafers
from ouroboros.sw.tier.errors import TierError

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wafers():
    return Wafers(load_machine("wafer"), load_shape("llama-33b"))


def edge(wafers, ddr4, pools=1, **more):
    return Edge(wafers=wafers, technology=ddr4[0], pools=pools, **more)


def test_beyond_the_wafers_room_only_pools_serve(wafers, ddr4):
    assert wafers.rate(32768) == (0.0, 0)
    one = edge(wafers, ddr4).beside(32768)
    assert one.sequences == 84
    assert one.binds == "banks of the pools"
    # 13.1 TB/s of banks in lockstep over K and V of the context.
    assert one.tokens_per_s == pytest.approx(13.1072e12 * 0.825 / (32768 * 798_720))


@pytest.mark.parametrize("pools", [1, 2, 4])
@pytest.mark.parametrize("context", [1024, 8192])
def test_gain_is_the_ratio_of_bandwidths(wafers, ddr4, pools, context):
    own = edge(wafers, ddr4, pools)
    alone, _ = wafers.rate(context)
    gain = own.beside(context).tokens_per_s / alone - 1
    assert gain == pytest.approx(own.ratio(context), rel=0.05)
    assert own.balanced_share(context) == pytest.approx(gain / (1 + gain), rel=0.05)


def test_the_wafers_rates_are_those_of_its_model(wafers):
    for context in (1024, 8192):
        one = wafers.at(context)
        assert wafers.rate(context)[0] == pytest.approx(one.decode_tokens_per_s)
        # Attention between two contexts on a straight line.
        assert wafers.attention_s(context) == pytest.approx(
            one.block_latency["attention"] / one.clock_hz, rel=0.1)


def test_staggered_banks_give_what_their_timings_say(wafers, ddr4):
    slow, fast = (edge(wafers, ddr4, banks=banks).whole(32768).tokens_per_s
                  for banks in ("lockstep", "staggered"))
    assert fast / slow == pytest.approx(0.904 / 0.825)


def test_a_split_sequence_has_both_sides_work(wafers, ddr4):
    own = edge(wafers, ddr4)
    share, rates = own.split(32768)
    assert 0 < share < 1
    assert rates.tokens_per_s > own.whole(32768).tokens_per_s
    for part, one in own.shares(32768):
        here = 32768 * (1 - part)
        assert one.sequences * here <= wafers.least.kv_tokens + one.sequences * 128


@pytest.mark.parametrize(("context", "pools", "words"), [
    (3_000_000, 1, r"context must be at most 2,753,184 tokens \(a pool of 2048 GiB\), not 3,0"),
    (1024, 473, "pools must be 0 to 472"),
])
def test_what_no_pool_holds(wafers, ddr4, context, pools, words):
    with pytest.raises(TierError, match=words):
        edge(wafers, ddr4, pools).whole(context)


def test_wafers_that_do_not_divide_the_blocks():
    with pytest.raises(TierError, match="wafers must divide the 80 blocks of llama-65b, not 3"):
        Wafers(load_machine("wafer"), load_shape("llama-65b"), 3)


def test_two_wafers_serve_65b(ddr4):
    two = Wafers(load_machine("wafer"), load_shape("llama-65b"), 2)
    assert two.rate(32768) == (0.0, 0)
    assert edge(two, ddr4).beside(32768).tokens_per_s == pytest.approx(252, rel=0.02)
