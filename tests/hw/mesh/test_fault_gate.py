"""What is put into a tile is what it claims to be, and parity keeps out what it should."""

import functools
import itertools

import pytest

from ouroboros.hw.mesh.fault_gate import FaultGate
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import MESH_PORTS, Port
from ouroboros.tb.lib.pysim import PySim

NONE = {"stuck": 0, "flip": 0, "bit": 0, "once": 0}
FLIT = 0x123456789ABCDEF00FEDCBA987654321


@functools.cache
def gate(*, faults=True, parity=True):
    return PySim(FaultGate(NocParams(faults=faults, parity=parity)))


async def hurt(ctx, dut, **entry):
    ctx.set(dut.write, 1)
    ctx.set(dut.data, {**NONE, **entry})
    await ctx.tick()
    ctx.set(dut.write, 0)


def put(ctx, link, data=FLIT):
    """A flit on the sending side of a link."""
    ctx.set(link.valid, 1)
    ctx.set(link.flit, {"data": data, "vc": 1, "head": 1, "tail": 0})


def parity(data=FLIT):
    return (data.bit_count() + 2) & 1       # vc 1 and head


@pytest.mark.parametrize("hurting", [{}, {"stuck": 0b00010}, {"stuck": 0b10000},
                                     {"stuck": 0b11111}])
def test_a_stuck_port_passes_nothing_either_way(hurting):
    dut = gate().dut

    async def bench(ctx):
        await hurt(ctx, dut, **hurting)
        for port in Port:
            put(ctx, dut.outer_in[port])
            if port in MESH_PORTS:
                ctx.set(dut.outer_in[port].parity, parity())
            put(ctx, dut.inner_out[port])
            ctx.set(dut.inner_in[port].credit, 0b01)
            ctx.set(dut.outer_out[port].credit, 0b10)
        await ctx.tick()
        for port in Port:
            works = not hurting.get("stuck", 0) >> port & 1
            assert ctx.get(dut.inner_in[port].valid) == works
            assert ctx.get(dut.outer_out[port].valid) == works
            assert ctx.get(dut.outer_in[port].credit) == (0b01 if works else 0)
            assert ctx.get(dut.inner_out[port].credit) == (0b10 if works else 0)
            if works:
                assert ctx.get(dut.inner_in[port].flit.data) == FLIT
                assert ctx.get(dut.outer_out[port].flit.data) == FLIT
                assert ctx.get(dut.outer_out[port].parity) == parity()
        await hurt(ctx, dut)

    gate().run(bench)


@pytest.mark.parametrize("once, bit", [*itertools.product((0, 1), (0, 77, 127))])
def test_a_flip_inverts_one_bit_and_leaves_the_parity(once, bit):
    dut = gate().dut

    async def bench(ctx):
        await hurt(ctx, dut, flip=1 << Port.SOUTH, bit=bit, once=once)
        for n in range(3):
            for port in MESH_PORTS:
                put(ctx, dut.inner_out[port])
            await ctx.delay(1e-9)
            for port in MESH_PORTS:
                out, flips = dut.outer_out[port], port is Port.SOUTH and not (once and n)
                assert ctx.get(out.flit.data) == FLIT ^ (flips << bit)
                assert ctx.get(out.parity) == parity()
            await ctx.tick()
        await hurt(ctx, dut)

    gate().run(bench)


def test_nothing_follows_a_flit_with_wrong_parity():
    dut = gate().dut

    async def bench(ctx):
        refused = 0
        for n, good in enumerate((True, False, True, True)):
            for port in (Port.EAST, Port.WEST):
                put(ctx, dut.outer_in[port])
                right = good or port is Port.WEST
                ctx.set(dut.outer_in[port].parity, parity() ^ (not right))
            await ctx.delay(1e-9)
            refused += ctx.get(dut.refused)
            assert ctx.get(dut.inner_in[Port.WEST].valid) == 1
            assert ctx.get(dut.inner_in[Port.EAST].valid) == (n == 0)
            await ctx.tick()
        assert refused == 1

    gate().run(bench)


def test_without_parity_a_flip_gets_in():
    dut = gate(parity=False).dut

    async def bench(ctx):
        put(ctx, dut.outer_in[Port.EAST], FLIT ^ 4)
        await ctx.delay(1e-9)
        assert ctx.get(dut.inner_in[Port.EAST].valid)
        assert ctx.get(dut.inner_in[Port.EAST].flit.data) == FLIT ^ 4

    gate(parity=False).run(bench)
