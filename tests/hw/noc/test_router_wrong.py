import pytest

from ouroboros.hw.noc.router import RouterTable
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import ROUTE_BITS, TABLE_ADDRESS, Port, Turn
from ouroboros.tb.noc.packets import packet
from ouroboros.tb.noc.router_agent import EVERY_PORT, RouterBench

NOC = NocParams(class1_vcs=0, class2_vcs=0, labels=8)
N, E, S, W, L = Port


def broken(flits, **changes):
    return [flit._replace(**changes) for flit in flits]


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
    bench = RouterBench(NOC, connected=EVERY_PORT & ~(1 << N), labels={3: 0})
    for flits, _ in WRONG.values():
        bench.sources[W].send(flits)
        bench.sources[W].send(GOOD)
    bench.run()
    assert [sink.packets for sink in bench.sinks] == [
        [GOOD] * len(WRONG) if p is E else [] for p in Port]
    assert bench.drops == sum(drops for _, drops in WRONG.values())


def test_packet_ends_at_its_length():
    """Flits past a header's length are stray: dropped, and counted once."""
    bench = RouterBench(NOC)
    flits = packet(0, range(6), dst_x=5, dst_y=2, length=2)
    bench.sources[W].send(flits)
    bench.sources[W].send(GOOD)
    bench.run()
    assert [[f.data for f in p] for p in bench.sinks[E].packets] == [
        [f.data for f in flits[:3]], [f.data for f in GOOD]]
    assert bench.drops == 1


@pytest.mark.parametrize("payload", [0, 1, 3])
def test_packet_ends_at_an_early_tail(payload):
    """Whatever its header's length says: the packet behind it is not taken for its payload."""
    bench = RouterBench(NOC)
    flits = packet(0, range(payload), dst_x=5, dst_y=2, length=payload + 2)
    bench.sources[W].send(flits)
    bench.sources[W].send(GOOD)
    bench.run()
    assert [[f.data for f in p] for p in bench.sinks[E].packets] == [
        [f.data for f in flits], [f.data for f in GOOD]]
    assert bench.drops == 0


def test_all_drops_are_counted():
    """Five inputs that drop in the same cycle are reported one by one."""
    bench = RouterBench(NOC)
    for port in Port:
        for vc in range(NOC.channels):
            bench.sources[port].send(packet(vc, [], label=100))
    bench.run()
    assert bench.drops == 10


def test_tables_and_dead_ports():
    """Class 2 follows the tables; what meets a dead port is drained, counted and latched."""
    noc = NocParams(labels=8)    # 2: transit, 3: arrival
    turns = {(RouterTable.DIES, 5): Turn.NORTH, (RouterTable.DIES, 6): Turn.ARRIVED,
             (RouterTable.CORES, 200): Turn.EAST, (RouterTable.CORES, 201): Turn.WEST,
             (RouterTable.DEAD, 0): 1 << W}
    bench = RouterBench(noc, tables=turns)

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
