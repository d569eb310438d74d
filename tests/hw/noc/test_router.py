import random
from itertools import pairwise

import pytest
from amaranth.sim import Simulator

from hw.noc.router import PACKETS_AHEAD_MAX, Router, RouterTable
from hw.params.machine import MeshParams
from hw.params.noc import NocParams
from hw.params.packet import ROUTE_BITS, TABLE_ADDRESS, Port, Turn
from sw.golden.noc.route import next_port
from tb.noc.links import LinkSink, LinkSource
from tb.noc.packets import header_of, packet

NOC = NocParams(class1_vcs=0, class2_vcs=0, labels=8)
MESH = MeshParams(width=5, height=4, die_width=5, die_height=4)
N, E, S, W, L = Port
ALL = 31


class Bench:
    """One router at ``at`` with a source and a sink at every port."""

    def __init__(self, *, at=(3, 2), noc=NOC, connected=ALL, labels=None, tables=None, idle=None,
                 hold=None):
        self.dut = Router(noc)
        self.at, self.connected = at, connected
        self.tables = {(RouterTable.LABELS, n): ports for n, ports in (labels or {}).items()}
        self.tables |= tables or {}
        self.sources = [LinkSource(self.dut.inputs[p], noc, idle=idle or (lambda: False))
                        for p in Port]
        self.sinks = [LinkSink(self.dut.outputs[p], noc,
                               hold=(lambda vc, p=p: hold(p, vc)) if hold else lambda vc: False)
                      for p in Port]
        self.cycle = self.drops = 0
        self.hops = [0, 0]

    def run(self, cycles=5000, *, each_cycle=None):
        """Run until everything sent has come out and every credit is back."""
        async def process(ctx):
            for name, value in zip(("x", "y", "mesh_width", "mesh_height", "connected"),
                                   (*self.at, MESH.width, MESH.height, self.connected),
                                   strict=True):
                ctx.set(getattr(self.dut, name), value)
            for (table, address), value in self.tables.items():
                ctx.set(self.dut.config.valid, 1)
                ctx.set(self.dut.config.table, table)
                ctx.set(self.dut.config.address, address)
                ctx.set(self.dut.config.data, value)
                await ctx.tick()
            ctx.set(self.dut.config.valid, 0)
            quiet = 0
            for self.cycle in range(cycles):
                if each_cycle:
                    each_cycle(self)
                for end in (*self.sources, *self.sinks):
                    end.step(ctx, self.cycle)
                self.drops += ctx.get(self.dut.dropped)
                self.hops[0] += ctx.get(self.dut.hops.data)
                self.hops[1] += ctx.get(self.dut.hops.control)
                quiet = quiet + 1 if all(s.empty and s.whole for s in self.sources) else 0
                if quiet == 8:
                    self.latched = ctx.get(self.dut.drop_header.as_value())
                    return
                await ctx.tick()
            raise AssertionError(f"not idle after {cycles} cycles")

        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        sim.add_testbench(process)
        sim.run()


def test_header_is_untouched_and_hops_counted():
    """One packet to each port; every bit of it arrives; only mesh ports count as hops."""
    bench = Bench()
    way = {N: (3, 1), E: (5, 4), S: (3, 5), W: (0, 4), L: (3, 2)}
    sent = {p: packet(1, [7, p], dst_x=x, dst_y=y, src_x=3, ordered=1, kind=4, route_spare=9,
                      spare=12345) for p, (x, y) in way.items()}
    for flits in sent.values():
        bench.sources[L].send(flits)
    bench.run()
    assert {p: bench.sinks[p].packets for p in Port} == {p: [sent[p]] for p in Port}
    assert bench.hops == [0, 12]
    assert bench.drops == 0


@pytest.mark.parametrize("length, vc", [(0, 1), (1, 0), (8, 0)])
def test_latency_and_full_rate(length, vc):
    """Two cycles per hop, and a flit every cycle over packet boundaries."""
    bench = Bench()
    packets = [packet(vc, range(length), dst_x=5, dst_y=2, spare=n) for n in range(6)]
    for flits in packets:
        bench.sources[W].send(flits)
    bench.run()
    assert bench.sinks[E].packets == packets
    assert bench.sources[W].sent == list(range(6 * (length + 1)))
    assert bench.sinks[E].seen == [cycle + 2 for cycle in bench.sources[W].sent]


def test_multicast_copies():
    """Each port of the entry gets the packet; a port whose copy must wait holds no other."""
    held = {S: True}
    bench = Bench(labels={5: 1 << N | 1 << S | 1 << L, 2: 1 << E, 13: 1 << E},
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
    bench = Bench(labels={1: 1 << E}, hold=lambda port, vc: bench.cycle < open_at)
    bench.sources[W].send(packet(0, [1], dst_x=5, dst_y=2))
    bench.sources[W].send(packet(0, range(8), label=1))
    bench.run()
    assert next(seen for seen in bench.sinks[E].seen if seen > 5) > open_at
    assert len(bench.sinks[E].packets) == 2


def test_multicast_is_not_starved_by_unicast():
    """Unicast that takes every credit as it comes back cannot keep a multicast packet waiting."""
    rng = random.Random(1)
    bench = Bench(labels={1: 1 << E}, hold=lambda port, vc: rng.random() < 0.5)
    for n in range(60):
        for port in (N, S, L):
            bench.sources[port].send(packet(0, [n], dst_x=5, dst_y=2, spare=n))
    bench.sources[W].send(packet(0, range(8), label=1))
    bench.run()
    labels = [header_of(flits[0])["label"] for flits in bench.sinks[E].packets]
    # Ten flits may be in the sink, then at most one packet of each other input goes before.
    assert labels.index(1) <= 5 + 3 + 3


def test_fair_share():
    """Inputs that send to one output on one channel take turns."""
    bench = Bench()
    for port in (N, W, S, L):
        for n in range(6):
            bench.sources[port].send(packet(0, [n], dst_x=5, dst_y=2, src_x=port))
    bench.run()
    order = [header_of(flits[0])["src_x"] for flits in bench.sinks[E].packets]
    assert all(sorted(order[n:n + 4]) == sorted(order[:4]) for n in range(0, len(order), 4))


def test_starvation_bound():
    """Five inputs, two channels, one output that stalls: nobody is overtaken too often."""
    rng = random.Random(3)
    bench = Bench(labels={1: 1 << E}, hold=lambda port, vc: rng.random() < 0.8)
    for port in Port:
        for n in range(24):
            bench.sources[port].send(packet(n % 2, range(rng.choice([0, 0, 1, 8])), src_x=port,
                                            dst_x=5, dst_y=2, label=rng.randrange(2)))
    bench.run()
    for vc in range(2):
        order = [header_of(flits[0])["src_x"] for flits in bench.sinks[E].packets
                 if flits[0].vc == vc]
        for port in Port:
            turns = [n for n, source in enumerate(order) if source == port]
            assert max(b - a - 1 for a, b in pairwise(turns)) <= PACKETS_AHEAD_MAX


def test_stalled_channel_blocks_no_other():
    """A sink that holds channel 0 of EAST for ever stops nothing else."""
    bench = Bench(hold=lambda port, vc: port is E and vc == 0 and bench.cycle < 400)
    for n in range(6):
        bench.sources[W].send(packet(0, range(4), dst_x=5, dst_y=2, spare=n))
        bench.sources[W].send(packet(1, range(4), dst_x=5, dst_y=2, spare=n))
        bench.sources[N].send(packet(0, range(4), dst_x=3, dst_y=3, spare=n))

    def look(bench):
        if bench.cycle == 399:
            assert len(bench.sinks[S].packets) == 6
            assert len([p for p in bench.sinks[E].packets if p[0].vc == 1]) == 6
            assert len(bench.sinks[E].flits) == 30 + NOC.vc_depth

    bench.run(each_cycle=look)
    assert len(bench.sinks[E].packets) == 12


PAIR = NocParams(vcs=2, class1_vcs=0, class2_vcs=0, vc_depth=4, multicast_flits=4, labels=8)


@pytest.mark.parametrize("ordered", [0, 1])
def test_unordered_packets_take_the_channel_that_is_free(ordered):
    """With channel 0 of EAST held, unordered packets of channel 0 go on by 1, ordered ones wait."""
    held = 200
    bench = Bench(noc=PAIR, hold=lambda port, vc: port is E and vc == 0 and bench.cycle < held)
    sent = [packet(0, [n], dst_x=5, dst_y=2, spare=n, ordered=ordered) for n in range(12)]
    for flits in sent:
        bench.sources[W].send(flits)
    come = []
    bench.run(each_cycle=lambda bench: come.append(len(bench.sinks[E].packets)))
    # Two fit channel 0; the others may be done before it is released.
    assert come[:held][-1] == (2 if ordered else 12)
    data = sorted([f.data for f in flits] for flits in bench.sinks[E].packets)
    assert data == sorted([f.data for f in flits] for flits in sent)


def test_heads_prefer_an_empty_buffer():
    """Of two free channels a head takes the one with all credits, even if it is not the first."""
    bench = Bench(noc=PAIR, hold=lambda port, vc: bench.cycle < 60)
    for n in range(2):
        bench.sources[W].send(packet(0, [n], dst_x=5, dst_y=2, spare=n))
    bench.run()
    assert [flits[0].vc for flits in bench.sinks[E].packets] == [0, 1]


def test_longer_than_the_buffer():
    """Unicast packets may be longer than a buffer; at full rate."""
    bench = Bench(noc=PAIR)
    sent = [packet(0, range(8), dst_x=5, dst_y=2, spare=n, ordered=1) for n in range(3)]
    for flits in sent:
        bench.sources[W].send(flits)
    bench.run()
    assert bench.sinks[E].packets == sent
    assert bench.sources[W].sent == list(range(27))


def test_change_of_class():
    """At its waypoint, and only there, a packet leaves on class 1."""
    noc = NocParams(class2_vcs=0, labels=8)    # 0: class 0, 1: class 1, 2: control
    for at, vc in (((3, 2), 1), ((2, 2), 0)):
        bench = Bench(at=at, noc=noc)
        bench.sources[L].send(packet(0, [1], dst_x=5, dst_y=2, way_x=3, way_y=2))
        bench.sources[N].send(packet(2, [2], dst_x=5, dst_y=2, way_x=3, way_y=2))
        bench.sources[S].send(packet(1, [3], dst_x=5, dst_y=2, way_x=3, way_y=4))
        bench.run()
        assert {flits[1].data: flits[0].vc for flits in bench.sinks[E].packets} == {
            1: vc, 2: vc or 2, 3: 1}


def test_tables_and_dead_ports():
    """Class 2 follows the tables; what meets a dead port is drained, counted and latched."""
    noc = NocParams(labels=8)    # 2: transit, 3: arrival
    turns = {(RouterTable.DIES, 5): Turn.NORTH, (RouterTable.DIES, 6): Turn.ARRIVED,
             (RouterTable.CORES, 200): Turn.EAST, (RouterTable.CORES, 201): Turn.WEST,
             (RouterTable.DEAD, 0): 1 << W}
    bench = Bench(noc=noc, tables=turns)

    def to(die, core, vc, **fields):
        word = TABLE_ADDRESS.pack({"die": die, "core": core})
        flits = packet(vc, [die, core], way_x=word & 127, way_y=word >> 7, **fields)
        bench.sources[S].send(flits)
        return flits

    north, east, east_again = to(5, 200, 2), to(6, 200, 2), to(7, 200, 3)
    lost = to(6, 201, 2), to(8, 0, 2), to(5, 201, 3, src_x=77)
    bench.run()
    assert [flits[0].vc for flits in bench.sinks[N].packets] == [north[0].vc]
    assert sorted([f.data for f in flits] for flits in bench.sinks[E].packets) == sorted(
        [f.data for f in flits] for flits in (east, east_again))
    assert all(flits[0].vc == 3 for flits in bench.sinks[E].packets)
    assert not bench.sinks[W].packets
    assert bench.drops == 3
    assert bench.latched in {flits[0].data & (1 << ROUTE_BITS) - 1 for flits in lost}


def broken(flits, **changes):
    return [type(flit)(**{name: getattr(flit, name) for name in ("data", "vc", "head", "tail")}
                       | changes) for flit in flits]


GOOD = packet(0, [1, 2], dst_x=5, dst_y=2, spare=77)


WRONG = {
    "no head": (broken(packet(0, range(3), dst_x=5, dst_y=2), head=0), 1),
    "label past the table": (packet(0, range(3), label=8), 1),
    "label past the table, last": (packet(0, range(3), label=127), 1),
    "empty entry": (packet(0, range(3), label=3), 1),
    "no such row": (packet(0, range(8), dst_x=3, dst_y=6), 1),
    "no such column": (packet(0, range(8), dst_x=7, dst_y=2), 1),
    "corner": (packet(0, range(8), dst_x=0, dst_y=0), 1),
    "port not connected": (packet(0, range(8), dst_x=3, dst_y=1), 1),
    "too long": (packet(0, range(20), dst_x=5, dst_y=2, length=9), 1),
    "three in a row": (packet(0, [], dst_x=3, dst_y=1) * 3, 3),
    "two single stray flits": (broken(packet(0, [], dst_x=5), head=0) * 2, 2),
}


def test_malformed():
    """A wrong packet is counted and forgotten; the next one gets through."""
    bench = Bench(connected=ALL & ~(1 << N), labels={3: 0})
    for flits, _ in WRONG.values():
        bench.sources[W].send(flits)
        bench.sources[W].send(GOOD)
    bench.run()
    assert [sink.packets for sink in bench.sinks] == [
        [GOOD] * len(WRONG) if p is E else [] for p in Port]
    assert bench.drops == sum(drops for _, drops in WRONG.values())


def test_packet_ends_at_its_length():
    """Flits past a header's length are stray: dropped, and counted once."""
    bench = Bench()
    flits = packet(0, range(6), dst_x=5, dst_y=2, length=2)
    bench.sources[W].send(flits)
    bench.sources[W].send(GOOD)
    bench.run()
    assert [[f.data for f in p] for p in bench.sinks[E].packets] == [
        [f.data for f in flits[:3]], [f.data for f in GOOD]]
    assert bench.drops == 1


def test_multicast_past_an_unconnected_port():
    """The other copies are made; the packet counts as dropped."""
    bench = Bench(connected=ALL & ~(1 << N), labels={1: 1 << N | 1 << E})
    flits = packet(1, range(4), label=1)
    bench.sources[L].send(flits)
    bench.run()
    assert bench.sinks[E].packets == [flits]
    assert bench.drops == 1


def test_all_drops_are_counted():
    """Five inputs that drop in the same cycle are reported one by one."""
    bench = Bench()
    for port in Port:
        for vc in range(NOC.channels):
            bench.sources[port].send(packet(vc, [], label=100))
    bench.run()
    assert bench.drops == 10


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("noc", [NOC, NocParams(
    vcs=2, class1_vcs=0, class2_vcs=0, vc_depth=9, labels=8)])
def test_random_traffic(noc, stall):
    """Every copy arrives once, intact, in order per source, port and channel."""
    rng = random.Random(f"{noc} {stall}")
    labels = {n: rng.randrange(1, 32) for n in range(1, 8)}
    bench = Bench(noc=noc, labels=labels, idle=lambda: rng.random() < stall,
                  hold=lambda port, vc: rng.random() < stall)
    expected = {}
    for serial in range(70):
        source, vc = rng.choice(list(Port)), rng.randrange(noc.channels)
        label = rng.choice([0, 0, 0, *labels])
        x, y = rng.choice([(3, 1), (5, 1), (3, 4), (1, 1), (3, 2)])
        flits = packet(vc, [rng.getrandbits(128) for _ in range(rng.randrange(9))],
                       dst_x=x, dst_y=y, label=label, src_x=source, spare=serial,
                       ordered=1)
        bench.sources[source].send(flits)
        ports = labels[label] if label else 1 << next_port((3, 2), (x, y), MESH)
        for port in Port:
            if ports >> port & 1:
                expected.setdefault((source, port, vc), []).append(flits)
    bench.run()
    got = {}
    for port in Port:
        for flits in bench.sinks[port].packets:
            got.setdefault((header_of(flits[0])["src_x"], port, flits[0].vc), []).append(flits)
    assert got == expected
    assert bench.drops == 0
