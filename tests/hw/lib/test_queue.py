from functools import cache

import pytest

from ouroboros.hw.lib.queue import Queue
from ouroboros.tb.lib.agent import Agent
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.lib.stream import StreamSink, StreamSource


@cache
def simulated(depth):
    return PySim(Queue(8, depth))


def run(depth, items, *, stall=0.0, takes=lambda cycle: True):
    """Send items through; both ends, when all have come."""
    ends = []

    async def story(dut):
        agent, came = Agent(dut, stall=stall), []
        sink = StreamSink(agent, "o", came.append,
                          idle=lambda: not takes(agent.cycle) or agent.idle())
        source = StreamSource(agent, "i")
        ends[:] = source, sink
        for item in items:
            source.send(item)
        await agent.until(lambda: len(came) == len(items), 1000)
        assert came == items

    simulated(depth).tell(story)
    return ends


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_items_come_out_in_order(depth, stall):
    run(depth, list(range(100)), stall=stall)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_latency_and_full_rate(depth):
    source, sink = run(depth, list(range(20)))
    assert source.times == list(range(20))
    assert sink.times == list(range(1, 21))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_it_holds_as_many_as_it_says(depth):
    source, _ = run(depth, list(range(10)), takes=lambda cycle: cycle >= 20)
    assert source.times[:depth] == list(range(depth))
    assert source.times[depth] > 20
