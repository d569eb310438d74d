"""Several wafers in a row: room, latency, the link between them."""

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.wafer.blocks import KINDS, model_chain
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.counts import token_events
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.requests import of_lengths
from ouroboros.sw.wafer.service import Service

MACHINE = load_machine("wafer")


def wafer(wafers, members=4, model="llama-7b", **overrides):
    return Wafer(MACHINE, load_shape(model), WaferOptions(
        context=512, wafers=wafers, overrides=overrides), members)


def test_latency_has_the_link():
    """40 flits and their way more, between two blocks; without a link the blocks' own latency."""
    one, two = wafer(1), wafer(2)
    # 4,096 channels of a residual in int16 or more, and headers.
    assert two.wafer_flits * 32 > 2 * 4096
    assert two.crossing == (-(-two.wafer_flits * 32 // 100), 500)
    same = two.latency_cycles - sum(two.crossing)
    assert abs(same / one.latency_cycles - 1) < 0.02        # distances are those of a block's cores
    for found in (one, two):
        chain = model_chain(found)
        assert chain.latency(512) == found.latency_cycles
        assert len(chain.cells) == 1 + 32 * len(KINDS) + 1 + 2 + (found.wafers - 1)
    names = [cell.name for cell in model_chain(two).cells]
    assert names[names.index("wafer link 15") + 1] == "norm 1 16"


def test_room_doubles():
    one, two = (Wafer(MACHINE, load_shape("llama-13b"), WaferOptions(context=512, wafers=n))
                for n in (1, 2))
    assert two.members > 2 * one.members
    assert two.kv_tokens > 2 * one.kv_tokens
    assert two.count.weights < one.count.weights


def test_a_model_of_two_wafers():
    with pytest.raises(BlockError, match="it takes 2 of them"):
        wafer(1, None, "llama-65b")
    found = wafer(2, None, "llama-65b")
    assert found.decode_tokens_per_s > 0 and found.wafer_layers == 40


def test_every_finish_time_is_that_of_all_cells():
    """A narrow link binds, a wide one does not; pruned is full."""
    ends = []
    for gigabytes in (3, 100):
        found = Service(wafer(2, wafer_link_gb_s=gigabytes))
        asked = of_lengths("150:40", 40)
        exact, full, fast = (found.serve(asked, mode=mode) for mode in ("exact", "full", "fast"))
        assert np.array_equal(exact.end, full.end) and np.array_equal(exact.end, fast.end)
        ends.append(exact.cycles)
    assert ends[0] > 1.5 * ends[1]


def test_events_of_the_link():
    assert token_events(wafer(1)).at(9).wafer_crossings == 0
    two = wafer(2)
    assert token_events(two).at(9).wafer_crossings == two.wafer_flits
    four = wafer(4)
    assert token_events(four).at(9).wafer_crossings == 3 * four.wafer_flits
