"""Both steps of the re-layout, both ways, against the golden model; a beat a clock."""

import numpy as np
import pytest

from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.coarse import CoarseOrder
from ouroboros.hw.pim.relayout import Relayout
from ouroboros.sw.golden.operands import RangeError
from ouroboros.sw.golden.pim import coarse, coarse_back, relayout, relayout_back
from ouroboros.tb.lib.agent import Agent
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.lib.stream import StreamSink, StreamSource


def through(sim, beats, *, back, stall=0.0):
    """Beats that come out, and the cycles in which they went in and came out."""
    found, times = [], []

    async def story(dut):
        agent = Agent(dut, stall=stall)
        dut.set("back", int(back))
        source = StreamSource(agent, "i")
        sink = StreamSink(agent, "o", lambda beat: found.append(list(beat)))
        for beat in beats.tolist():
            source.send(beat)
        await agent.until(lambda: len(found) == len(beats), 100 + 40 * len(beats))
        times.extend([source.times, sink.times])

    sim.tell(story)
    return np.array(found), *times


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("chips, parts", [(8, 2), (8, 1), (16, 2), (8, 4)])
def test_fine(chips, parts, back):
    """Every group is transposed, ``parts`` clocks late, without a bubble."""
    beats = np.random.default_rng(chips + parts).integers(0, 256, (24 * parts, chips))
    sim = PySim(Relayout(chips, 8, parts))
    found, put, taken = through(sim, beats, back=back)
    assert (found == (relayout_back if back else relayout)(beats, parts)).all()
    assert [b - a for a, b in zip(put, taken, strict=True)] == [parts] * len(beats)
    found, *_ = through(sim, beats, back=back, stall=0.4)
    assert (found == (relayout_back if back else relayout)(beats, parts)).all()


def test_an_fp16_lies_in_one_chip():
    """Of 16-bit elements on chips of 8 bits both bytes come to the chip of the element."""
    elements = np.arange(32, dtype=np.uint16) * 257 + 3
    beats = relayout(elements.view(np.uint8).reshape(-1, 8), 2)
    for number, element in enumerate(elements):
        group, chip = divmod(number, 8)
        assert beats[2 * group:2 * group + 2, chip].tolist() == [element & 255, element >> 8]
    assert (relayout_back(beats, 2).reshape(-1).view(np.uint16) == elements).all()


@pytest.mark.parametrize("chips, head_chips, dim", [(8, 8, 64), (8, 4, 128), (8, 1, 16), (2, 1, 8)])
def test_coarse(chips, head_chips, dim):
    """Each chip gets every ``head_chips``-th dimension of its head; and back."""
    pim = PimParams(chips=chips, head_chips=head_chips, head_dim=dim)
    rng = np.random.default_rng(dim)
    vectors = rng.integers(0, 256, (5, pim.slots, dim))
    linear = vectors.reshape(-1, chips)
    ordered = np.concatenate([coarse(one, head_chips) for one in vectors])
    sim = PySim(CoarseOrder(pim))
    found, _, taken = through(sim, linear, back=False)
    assert (found == ordered).all()
    assert taken[-1] - taken[0] == len(linear) - 1, "a beat a clock"
    found, *_ = through(sim, ordered, back=True, stall=0.3)
    assert (found == linear).all()
    assert (coarse_back(coarse(vectors[0], head_chips), head_chips) == vectors[0]).all()


def test_where_a_dimension_lies():
    pim = PimParams()
    beats = coarse(np.arange(2 * 128).reshape(2, 128), pim.head_chips)
    for slot in range(2):
        for dim in range(128):
            index, chip = divmod(dim, pim.head_chips)
            assert beats[index, slot * pim.head_chips + chip] == slot * 128 + dim


def test_half_a_group_is_refused():
    with pytest.raises(RangeError, match=r"^beats must be groups of 2, not 3"):
        relayout(np.zeros((3, 8)), 2)
