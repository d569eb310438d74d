"""Heads over chips: what divides, what fits, who waits for whom."""

import pytest

from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.organisation import Organisation, largest


def organisation(ddr4, name, chips, **more):
    return Organisation(technology=ddr4[0], shape=load_shape(name), chips_of_a_head=chips, **more)


@pytest.mark.parametrize("chips", [0, 3, 5, 16])
def test_chips_that_do_not_divide(ddr4, chips):
    with pytest.raises(TierError, match=f"chips_of_a_head must divide the 8 chips of a rank, not "
                                        f"{chips}: take one of 1, 2, 4, 8"):
        organisation(ddr4, "gpt-175b", chips)


def test_a_result_buffer_that_is_too_small(ddr4, monkeypatch):
    monkeypatch.setattr("ouroboros.sw.tier.organisation.RESULT_BYTES", 512)
    with pytest.raises(TierError, match=r"must hold 1024 bytes .*, not 512: put a head over"):
        organisation(ddr4, "qwen2-72b", 1)


@pytest.mark.parametrize(("name", "chips"), [("gpt-175b", 8), ("qwen2-72b", 1)])
def test_the_publications_choice_in_fp16(ddr4, name, chips):
    # Its own two-byte sums would leave room for twice as many chips of a grouped head.
    own = organisation(ddr4, name, chips)
    assert own.free_of_bubbles(0.8)


@pytest.mark.parametrize(("name", "chips"), [("llama-33b", 4), ("qwen2-72b", 1)])
def test_int8_takes_fewer_chips(ddr4, name, chips):
    found = largest(ddr4[0], load_shape(name), 0.8, element_bytes=1, score_bytes=3, weight_bytes=1)
    assert found.chips_of_a_head == chips


def test_int8_grouped_queries_stall_the_score_phase(ddr4):
    own = organisation(ddr4, "qwen2-72b", 1, element_bytes=1, score_bytes=3, weight_bytes=1)
    score = own.exchange_s(3) / own.compute_s(0.8)
    assert score == pytest.approx(8 * 3 / 25.6e9 / (128 / (204.8e9 * 0.8)))
    assert own.stall(0.8) == pytest.approx((score + 1) / 2)
    assert 1.1 < score < 1.3
