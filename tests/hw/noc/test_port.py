import random
from functools import cache

import pytest

from ouroboros.hw.noc.port import HostPort
from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.lib.agent import Agent
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.lib.stream import StreamSink, StreamSource
from ouroboros.tb.noc.links import LinkSink, LinkSource
from ouroboros.tb.noc.packets import flit_of, packet

NOC = NocParams()


@cache
def simulator():
    return PySim(HostPort(NOC))


def run(to_mesh, from_mesh, *, hold=lambda vc: False, ready=lambda cycle: True, cycles=2000):
    """Send flits both ways; (what the mesh got, with cycles; what ``o`` gave, with cycles)."""
    agent, got = Agent(), []
    sink, source = LinkSink(agent, "link_out", NOC, hold=hold), LinkSource(agent, "link_in", NOC)
    for flits in from_mesh:
        source.send(flits)

    async def story(dut):
        agent.dut = dut
        into = StreamSource(agent, "i")
        StreamSink(agent, "o", lambda flit: got.append((agent.cycle, flit_of(flit))),
                   idle=lambda: not ready(agent.cycle))
        for flits in to_mesh:
            for flit in flits:
                into.send(flit._asdict())
        await agent.until(lambda: len(sink.flits) == sum(map(len, to_mesh))
                          and len(got) == sum(map(len, from_mesh)) and source.whole, cycles)

    simulator().tell(story)
    return sink, source, got


def test_latency_and_full_rate():
    """One cycle into the link, two out of it, a flit every cycle both ways."""
    packets = [packet(n % 2, range(8), spare=n) for n in range(4)]
    sink, source, got = run(packets, [packet(0, range(8), spare=n) for n in range(4)])
    assert sink.packets == packets
    assert sink.seen == list(range(1, 37))
    assert [cycle for cycle, _ in got] == [cycle + 2 for cycle in source.sent]


def test_blocked_channel_waits_for_credit():
    """``vc_depth`` flits leave, the next waits until the mesh takes one."""
    hold = {0: True}
    sent = [packet(0, range(8), spare=n) for n in range(2)]
    seen = []

    def ready(cycle):
        seen.append(cycle)
        if cycle == 50:
            hold[0] = False
        return True

    sink, _, _ = run(sent, [], hold=lambda vc: hold.get(vc, False), ready=ready)
    assert sink.packets == sent
    assert sum(cycle <= 50 for cycle in sink.seen) == NOC.vc_depth


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_random(stall):
    """Nothing is lost or mixed when the host stalls ``o`` and the mesh its credits."""
    rng = random.Random(int(stall * 10))
    pattern = [rng.random() >= stall for _ in range(4000)]
    both = [[packet(rng.randrange(2), [rng.getrandbits(128) for _ in range(rng.randrange(9))],
                    spare=n) for n in range(30)] for _ in range(2)]
    sink, _, got = run(*both, hold=lambda vc: rng.random() < stall, ready=pattern.__getitem__)
    for vc in range(2):
        assert [p for p in sink.packets if p[0].vc == vc] == [p for p in both[0] if p[0].vc == vc]
        assert [flit for _, flit in got if flit.vc == vc] == [
            flit for flits in both[1] for flit in flits if flit.vc == vc]
