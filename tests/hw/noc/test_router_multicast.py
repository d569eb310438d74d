import random

import pytest

from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.tb.noc.packets import header_of, packet
from ouroboros.tb.noc.router_agent import EVERY_PORT, RouterBench

NOC = NocParams(class1_vcs=0, class2_vcs=0, labels=8)
N, E, S, W, L = Port


def test_multicast_copies():
    """Each port of the entry gets the packet; a port whose copy must wait holds no other."""
    held = {S: True}
    bench = RouterBench(NOC, labels={5: 1 << N | 1 << S | 1 << L, 2: 1 << E, 13: 1 << E},
                  hold=lambda port, vc: held.get(port, False))
    first = [packet(0, range(8), label=5, spare=n) for n in range(2)]
    for flits in first:
        bench.sources[W].send(flits)

    def release(bench):
        if bench.cycle == 80:
            # Ten credits: the first copy takes nine, the second cannot start.
            assert [len(bench.sinks[p].packets) for p in Port] == [2, 0, 1, 0, 2]
            held[S] = False

    bench.run(each_cycle=release)
    for port in (N, S, L):
        assert bench.sinks[port].packets == first
    assert not bench.sinks[E].packets and not bench.sinks[W].packets


def test_multicast_waits_for_room_for_all():
    """Not one flit of a copy moves while credits for its last flit are missing."""
    open_at = 60
    bench = RouterBench(NOC, labels={1: 1 << E}, hold=lambda port, vc: bench.cycle < open_at)
    bench.sources[W].send(packet(0, [1], dst_x=5, dst_y=2))
    bench.sources[W].send(packet(0, range(8), label=1))
    bench.run()
    assert next(seen for seen in bench.sinks[E].seen if seen > 5) > open_at
    assert len(bench.sinks[E].packets) == 2


def test_multicast_is_not_starved_by_unicast():
    """Unicast that takes every credit as it comes back cannot keep a multicast packet waiting."""
    rng = random.Random(1)
    bench = RouterBench(NOC, labels={1: 1 << E}, hold=lambda port, vc: rng.random() < 0.5)
    for n in range(60):
        for port in (N, S, L):
            bench.sources[port].send(packet(0, [n], dst_x=5, dst_y=2, spare=n))
    bench.sources[W].send(packet(0, range(8), label=1))
    bench.run()
    labels = [header_of(flits[0])["label"] for flits in bench.sinks[E].packets]
    # Ten flits may be in the sink, then at most one packet of each other input goes before.
    assert labels.index(1) <= 5 + 3 + 3


def test_multicast_past_an_unconnected_port():
    """The other copies are made; the packet counts as dropped."""
    bench = RouterBench(NOC, connected=EVERY_PORT & ~(1 << N), labels={1: 1 << N | 1 << E})
    flits = packet(1, range(4), label=1)
    bench.sources[L].send(flits)
    bench.run()
    assert bench.sinks[E].packets == [flits]
    assert bench.drops == 1


@pytest.mark.long
@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("noc", [NOC, NocParams(
    vcs=2, class1_vcs=0, class2_vcs=0, vc_depth=9, labels=8)])
def test_random_traffic(noc, stall):
    """Every copy arrives once, intact, in order per source, port and channel."""
    rng = random.Random(f"{noc} {stall}")
    bench = RouterBench(noc, labels={n: rng.randrange(1, EVERY_PORT + 1) for n in range(1, 8)},
                        stall=stall, rng=rng)
    bench.send_random(70)
    bench.run()
    bench.check()
