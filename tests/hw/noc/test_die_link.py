import random
from functools import cache

import pytest

from ouroboros.hw.noc.die_link import DieLink
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.timing.network import crossing_cycles
from ouroboros.tb.lib.agent import Agent
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.noc.links import LinkSink, LinkSource
from ouroboros.tb.noc.packets import packet


def params(latency, cycles_per_flit, *, vc_depth=4):
    return NocParams(vcs=2, class1_vcs=0, class2_vcs=0, vc_depth=vc_depth, multicast_flits=4,
                     labels=8, die_latency_cycles=latency, die_cycles_per_flit=cycles_per_flit)


@cache
def simulator(noc):
    return PySim(DieLink(noc))


def run(noc, packets, *, cycles=4000, hold=lambda vc, sink: False, sim=None):
    """Source and sink after everything has come and all credits are back."""
    agent = Agent()
    source = LinkSource(agent, "i", noc)
    sink = LinkSink(agent, "o", noc, hold=lambda vc: hold(vc, sink))
    for flits in packets:
        source.send(flits)

    async def story(dut):
        agent.dut = dut
        await agent.until(lambda: source.empty and source.whole, cycles)
        await agent.step(2 * noc.die_latency_cycles + 20)
        assert source.whole

    (sim or simulator(noc)).tell(story)
    return source, sink


@pytest.mark.parametrize("latency", [1, 2, 7])
def test_extra_cycles(latency):
    noc = params(latency, 1)
    source, sink = run(noc, [packet(1, [5], spare=3)])
    assert sink.packets == [packet(1, [5], spare=3)]
    assert sink.seen == [cycle + crossing_cycles(noc) for cycle in source.sent]


@pytest.mark.parametrize("latency, cycles_per_flit", [(1, 1), (9, 1), (9, 2), (4, 3), (20, 4)])
def test_one_channel_fills_the_wire(latency, cycles_per_flit):
    """The receive buffer is as deep as a credit's round trip needs."""
    noc = params(latency, cycles_per_flit)
    _, sink = run(noc, [packet(0, [n], spare=n) for n in range(60)])
    assert sink.seen == list(range(sink.seen[0], sink.seen[0] + 120 * cycles_per_flit,
                                   cycles_per_flit))


def test_a_shallower_buffer_does_not(monkeypatch):
    """The derived depth is not far more than needed."""
    noc = params(20, 1)
    monkeypatch.setattr(NocParams, "die_depth", property(lambda self: 2 * 20))
    _, sink = run(noc, [packet(0, [n], spare=n) for n in range(60)], sim=PySim(DieLink(noc)))
    assert sink.seen[-1] - sink.seen[0] > 119


def test_a_stalled_channel_stops_no_other():
    """Channel 0 is held until all of channel 1 has come; nothing is lost."""
    noc = params(5, 2)
    packets = [packet(n % 2, [n, n], spare=n) for n in range(40)]
    _, sink = run(noc, packets, hold=lambda vc, sink: vc == 0 and sum(
        flits[0].vc for flits in sink.packets) < 20)
    assert [f for f in sink.packets if f[0].vc == 0] == packets[0::2]


def test_random_stalls():
    rng = random.Random(2)
    noc = params(6, 1)
    packets = [packet(rng.randrange(3), range(rng.randrange(9)), spare=n) for n in range(50)]
    _, sink = run(noc, packets, hold=lambda vc, sink: rng.random() < 0.6)
    for vc in range(3):
        assert [f for f in sink.packets if f[0].vc == vc] == [f for f in packets if f[0].vc == vc]
