import random

import pytest
from amaranth.sim import Simulator

from hw.noc.route import Route
from hw.params.machine import MeshParams
from hw.params.noc import NocParams
from hw.params.packet import Port
from sw.golden.noc.route import is_core, is_edge, next_port

NOC = NocParams(labels=8)
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


def run(cases, mesh, *, connected=31):
    """(ports, good) for each (at, header)."""
    dut = Route(NOC)
    results = []

    async def process(ctx):
        ctx.set(dut.valid, 1)
        ctx.set(dut.place.mesh_width, mesh.width)
        ctx.set(dut.place.mesh_height, mesh.height)
        ctx.set(dut.place.connected, connected)
        for (x, y), header in cases:
            ctx.set(dut.place.x, x)
            ctx.set(dut.place.y, y)
            for name in ("dst_x", "dst_y", "length", "label"):
                ctx.set(dut.header[name], header.get(name, 0))
            ctx.set(dut.entry, header.get("entry", 0))
            await ctx.delay(1e-9)
            results.append((ctx.get(dut.ports), ctx.get(dut.good)))

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
])
def test_labels_and_limits(header, connected, result):
    assert run([((3, 2), header)], mesh_of(5, 4), connected=connected) == [result]
