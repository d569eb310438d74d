import random

import pytest
from amaranth.sim import Simulator

from ouroboros.hw.noc.route import Route
from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import TABLE_ADDRESS, Port, Turn
from ouroboros.sw.noc.routes.xy import is_core, is_edge, next_port

NOC = NocParams(labels=8)   # channels 0: class 0, 1: class 1, 4: control
N, E, S, W, L = Port

CASES = [
    # at, destination, ports of a 5 x 4 mesh
    ((3, 2), (5, 2), E), ((3, 2), (1, 2), W), ((3, 2), (3, 1), N), ((3, 2), (3, 4), S),
    ((3, 2), (3, 2), L), ((3, 2), (5, 4), E), ((3, 2), (1, 1), W),
    # west and east edges: along x to the outermost column, then y, then out
    ((3, 2), (0, 2), W), ((1, 2), (0, 4), S), ((1, 4), (0, 4), W), ((1, 2), (0, 1), N),
    ((3, 2), (6, 1), E), ((5, 2), (6, 1), N), ((5, 1), (6, 1), E),
    # north and south edges
    ((3, 2), (3, 0), N), ((3, 4), (3, 5), S), ((2, 1), (3, 0), E), ((3, 1), (3, 0), N),
]


def run(cases, mesh, *, connected=31, noc=NOC, allowed=False):
    """(ports, good) for each (at, header), and with ``allowed`` the channels too."""
    dut = Route(noc)
    results = []

    async def process(ctx):
        ctx.set(dut.valid, 1)
        ctx.set(dut.place.mesh_width, mesh.width)
        ctx.set(dut.place.mesh_height, mesh.height)
        ctx.set(dut.place.connected, connected)
        for (x, y), header in cases:
            ctx.set(dut.place.x, x)
            ctx.set(dut.place.y, y)
            for name in ("dst_x", "dst_y", "way_x", "way_y", "length", "label", "ordered"):
                ctx.set(dut.header[name], header.get(name, 0))
            ctx.set(dut.vc, header.get("vc", 0))
            ctx.set(dut.table.ports, header.get("entry", 0))
            ctx.set(dut.table.die_turn, header.get("die_turn", 0))
            ctx.set(dut.table.core_turn, header.get("core_turn", 0))
            await ctx.delay(1e-9)
            results.append(tuple(ctx.get(value) for value in (
                dut.ports, dut.good, *((dut.allowed,) if allowed else ()))))

    sim = Simulator(dut)
    sim.add_testbench(process)
    sim.run()
    return results


def mesh_of(width, height):
    return MeshParams(width=width, height=height, die_width=width, die_height=height)


def test_table():
    cases = [(at, {"dst_x": x, "dst_y": y}) for at, (x, y), _ in CASES]
    assert run(cases, mesh_of(5, 4)) == [(1 << port, 1) for _, _, port in CASES]


@pytest.mark.parametrize("width, height", [(1, 1), (3, 2), (117, 119), (126, 126)])
def test_golden(width, height):
    rng = random.Random(width)
    mesh = mesh_of(width, height)
    near = [0, 1, 2, width - 1, width, width + 1, height, height + 1, 127]
    cases = [((rng.randint(1, width), rng.randint(1, height)),
              {"dst_x": rng.choice([*near, rng.randrange(128)]),
               "dst_y": rng.choice([*near, rng.randrange(128)])}) for _ in range(400)]
    for (at, header), result in zip(cases, run(cases, mesh), strict=True):
        destination = header["dst_x"], header["dst_y"]
        if is_core(destination, mesh) or is_edge(destination, mesh):
            assert result == (1 << next_port(at, destination, mesh), 1), (at, destination)
        else:
            assert result == (0, 0), (at, destination)


@pytest.mark.parametrize("header, connected, result", [
    ({"label": 7, "entry": 21}, 31, (21, 1)),
    ({"label": 7, "entry": 21}, 30, (20, 0)),
    ({"label": 7, "entry": 1}, 30, (0, 0)),
    ({"label": 7, "entry": 0}, 31, (0, 0)),
    ({"label": 8, "entry": 21}, 31, (0, 0)),
    ({"dst_x": 3, "dst_y": 2, "length": 8}, 31, (16, 1)),
    ({"dst_x": 3, "dst_y": 2, "length": 9}, 31, (0, 0)),
    ({"dst_x": 3, "dst_y": 1}, 30, (0, 0)),
    ({"label": 7, "entry": 21, "length": 8}, 31, (21, 1)),
    ({"label": 7, "entry": 21, "length": 9}, 31, (0, 0)),
    ({"label": 7, "entry": 21, "way_x": 1, "way_y": 1}, 31, (0, 0)),
    ({"label": 7, "entry": 21, "vc": 1}, 31, (0, 0)),
    ({"label": 7, "entry": 21, "vc": 4}, 31, (21, 1)),
])
def test_labels_and_limits(header, connected, result):
    assert run([((3, 2), header)], mesh_of(5, 4), connected=connected) == [result]


def test_multicast_length():
    """A multicast packet must fit the buffers; unicast need not."""
    noc = NocParams(vc_depth=4, multicast_flits=4, labels=8)
    cases = [((3, 2), {"label": 7, "entry": 2, "length": length}) for length in (3, 4)]
    cases.append(((3, 2), {"dst_x": 3, "dst_y": 2, "length": 8}))
    assert run(cases, mesh_of(5, 4), noc=noc) == [(2, 1), (0, 0), (16, 1)]


CLASSES = NocParams(vcs=2)   # channels 0, 1: class 0; 2: class 1; 3, 4: class 2; 5: control
THERE = {"dst_x": 5, "dst_y": 2}


@pytest.mark.parametrize("header, ports, allowed", [
    # class 0 and control
    ({"vc": 0}, 1 << E, 0b000011), ({"vc": 1}, 1 << E, 0b000011),
    ({"vc": 1, "ordered": 1}, 1 << E, 0b000010), ({"vc": 5}, 1 << E, 0b100000),
    # on the way to a waypoint; the class changes there and nowhere else
    ({"vc": 0, "way_x": 3, "way_y": 4}, 1 << S, 0b000011),
    ({"vc": 5, "way_x": 3, "way_y": 4}, 1 << S, 0b100000),
    ({"vc": 0, "way_x": 3, "way_y": 2}, 1 << E, 0b000100),
    ({"vc": 1, "ordered": 1, "way_x": 3, "way_y": 2}, 1 << E, 0b000100),
    ({"vc": 5, "way_x": 3, "way_y": 2}, 1 << E, 0b000100),
    # a waypoint is a core
    ({"vc": 0, "way_x": 0, "way_y": 2}, 0, None), ({"vc": 0, "way_x": 3, "way_y": 5}, 0, None),
    # class 1 has passed it
    ({"vc": 2, "way_x": 3, "way_y": 4}, 1 << E, 0b000100),
    ({"vc": 2, "ordered": 1}, 1 << E, 0b000100),
    # class 2
    ({"vc": 3, "way_x": 3, "way_y": 2, "die_turn": Turn.NORTH}, 1 << N, 0b001000),
    ({"vc": 3, "die_turn": Turn.ARRIVED, "core_turn": Turn.LOCAL}, 1 << L, 0b010000),
    ({"vc": 4, "die_turn": Turn.NORTH, "core_turn": Turn.WEST}, 1 << W, 0b010000),
    ({"vc": 3, "die_turn": Turn.NONE}, 0, None), ({"vc": 4, "core_turn": Turn.NONE}, 0, None),
    ({"vc": 4, "core_turn": Turn.ARRIVED}, 0, None), ({"vc": 4, "core_turn": 7}, 0, None),
])
def test_classes(header, ports, allowed):
    result, = run([((3, 2), THERE | header)], mesh_of(5, 4), noc=CLASSES, allowed=True)
    assert result[:2] == (ports, int(ports != 0))
    assert not ports or result[2] == allowed


def test_no_class_no_route():
    """A machine without class 1 drops packets at their waypoint."""
    noc = NocParams(class1_vcs=0, class2_vcs=0)
    assert run([((3, 2), THERE | {"way_x": 3, "way_y": 2})], mesh_of(5, 4), noc=noc) == [(0, 0)]


def test_table_address():
    """``way`` of a class 2 packet is the address in both tables."""
    dut = Route(CLASSES)

    async def process(ctx):
        ctx.set(dut.header.way_x, 0x55)
        ctx.set(dut.header.way_y, 0x35)
        await ctx.delay(1e-9)
        word = TABLE_ADDRESS.unpack(0x55 | 0x35 << 7)
        assert (ctx.get(dut.table.core), ctx.get(dut.table.die)) == (word["core"], word["die"])

    sim = Simulator(dut)
    sim.add_testbench(process)
    sim.run()
