from functools import cache

import pytest

from ouroboros.hw.noc.channel import Channel
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.timing.network import PATIENCE_CYCLES
from ouroboros.tb.lib.pysim import PySim

NOC = NocParams(flit_bits=128, vcs=1, class1_vcs=1, class2_vcs=0, vc_depth=5, multicast_flits=4)
CLASSES = [0, 1]
"""Channels of class 0 and class 1; the latter knows no multicast."""
DEPTH, ALL = NOC.vc_depth, (1 << NOC.channels) - 1
ALL_PORTS = (1 << len(Port)) - 1
N, E, S = 1 << Port.NORTH, 1 << Port.EAST, 1 << Port.SOUTH


@cache
def simulated(number=0):
    return PySim(Channel(NOC, number))


async def put(ctx, dut, ports, *, payload=0, multicast=0):
    """Put a packet of ``payload + 1`` flits."""
    for n in range(payload + 1):
        ctx.set(dut.put.valid, 1)
        ctx.set(dut.put.entry, {
            "tail": n == payload, "ports": ports if n == 0 else 0, "allowed": 1 << dut.number,
            "multicast": multicast, "need": payload})
        await ctx.tick()
    ctx.set(dut.put.valid, 0)


def outputs(ctx, dut, *, free=ALL, credits=DEPTH, only=tuple(Port)):
    """What the outputs ``only`` show of the channel's own number; the others are as they were."""
    for port in only:
        state = dut.states[port]
        credited = 1 << dut.number if credits else 0
        ctx.set(state.free, free)
        ctx.set(state.credited, credited)
        ctx.set(state.available, free & credited)
        ctx.set(state.credits[dut.number], credits)


async def step(ctx, dut, *, take=True, only=ALL_PORTS):
    """What is asked for, as (ports, head, tail, claim), and whether room became free.

    With ``take`` those of the ports that are in ``only`` answer.
    """
    request = ctx.get(dut.request.p)
    got = request.ports & only if take else 0
    ctx.set(dut.got, got)
    ctx.set(dut.request.taken, request.allowed if got else 0)
    freed = ctx.get(dut.freed)
    await ctx.tick()
    ctx.set(dut.got, 0)
    ctx.set(dut.request.taken, 0)
    return (request.ports, request.head, request.tail, request.claim), freed


@pytest.mark.parametrize("number", CLASSES)
def test_a_unicast_packet_goes_flit_by_flit_as_credits_come(number):
    async def bench(ctx):
        dut = simulated(number).dut
        outputs(ctx, dut)
        for _ in range(3):      # the pointers wrap
            await put(ctx, dut, E, payload=2)
            front = ctx.get(dut.front)
            assert await step(ctx, dut, take=False) == ((E, 1, 0, 0), 0)    # not yet its turn
            assert await step(ctx, dut) == ((E, 1, 0, 0), 1)
            assert ctx.get(dut.front) == (front + 1) % DEPTH
            outputs(ctx, dut, free=0, credits=0)
            assert await step(ctx, dut) == ((0, 0, 0, 0), 0)
            outputs(ctx, dut, free=0)       # its own: need not be free for what follows the head
            assert await step(ctx, dut) == ((E, 0, 0, 0), 1)
            assert ctx.get(dut.some)
            assert await step(ctx, dut) == ((E, 0, 1, 0), 1)
            assert not ctx.get(dut.some) and ctx.get(dut.front) == ctx.get(dut.rear)
            outputs(ctx, dut)

    simulated(number).run(bench)


@pytest.mark.parametrize("number", CLASSES)
def test_a_head_needs_a_free_channel_and_claims_it_before_credits_come(number):
    async def bench(ctx):
        dut = simulated(number).dut
        outputs(ctx, dut, free=0)
        await put(ctx, dut, S)
        assert await step(ctx, dut) == ((0, 1, 1, 0), 0)
        outputs(ctx, dut, credits=0)
        assert await step(ctx, dut) == ((S, 1, 1, 1), 0)
        outputs(ctx, dut, free=0, credits=0)        # it is this packet's now
        assert (await step(ctx, dut))[0][0] == 0
        outputs(ctx, dut, free=0, credits=1)
        assert await step(ctx, dut) == ((S, 1, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated(number).run(bench)


def test_multicast_copies_leave_together_and_the_last_free():
    async def bench(ctx):
        dut = simulated().dut
        outputs(ctx, dut)
        outputs(ctx, dut, free=0, only=[Port.NORTH])        # another packet's: nothing to wait for
        await put(ctx, dut, N | E | S, payload=1, multicast=1)
        front = ctx.get(dut.front)
        assert await step(ctx, dut) == ((E | S, 1, 0, 0), 0)
        assert await step(ctx, dut) == ((E | S, 0, 1, 0), 0)
        assert ctx.get(dut.front) == front      # from its head again
        outputs(ctx, dut, credits=1, only=[Port.NORTH])     # not enough for a whole packet
        assert await step(ctx, dut) == ((N, 1, 0, 1), 0)
        assert await step(ctx, dut, take=False) == ((N, 1, 0, 1), 0)
        outputs(ctx, dut, free=0)
        assert await step(ctx, dut) == ((N, 1, 0, 0), 1)
        assert await step(ctx, dut) == ((N, 0, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated().run(bench)


@pytest.mark.parametrize("back", range(PATIENCE_CYCLES + 2))
def test_a_copy_waits_for_credits_of_others_for_so_long(back):
    """Ports whose credits are back within ``PATIENCE_CYCLES`` are served with the rest."""
    async def bench(ctx):
        dut = simulated().dut
        for _ in range(2):      # patience is anew with each packet
            outputs(ctx, dut, free=0)
            await put(ctx, dut, N | E, payload=1, multicast=1)
            outputs(ctx, dut)
            outputs(ctx, dut, credits=1, only=[Port.NORTH])
            for n in range(min(back, PATIENCE_CYCLES)):
                assert await step(ctx, dut) == ((0 if n else N, 1, 0, 1), 0)
                outputs(ctx, dut, free=0, credits=1, only=[Port.NORTH])
            together = back <= PATIENCE_CYCLES
            if together:
                outputs(ctx, dut, only=[Port.NORTH], free=0 if back else ALL)
            for ports in [N | E] if together else [E, N]:
                assert (await step(ctx, dut))[0] == (ports, 1, 0, 0)
                assert (await step(ctx, dut))[0] == (ports, 0, 1, 0)
                outputs(ctx, dut, free=0 if back else ALL, only=[Port.NORTH])
            assert not ctx.get(dut.some)

    simulated().run(bench)


def test_a_flit_waits_for_all_ports_of_its_copy():
    """Those that did not grant the head are not among them."""
    async def bench(ctx):
        dut = simulated().dut
        outputs(ctx, dut)
        await put(ctx, dut, N | E | S, payload=2, multicast=1)
        assert await step(ctx, dut, only=E | S) == ((N | E | S, 1, 0, 0), 0)
        outputs(ctx, dut, credits=0, only=[Port.NORTH])
        front = ctx.get(dut.front)
        assert await step(ctx, dut, only=S) == ((E | S, 0, 0, 0), 0)
        assert await step(ctx, dut, only=S) == ((E, 0, 0, 0), 0)
        assert ctx.get(dut.front) == front
        assert await step(ctx, dut) == ((E, 0, 0, 0), 0)
        assert ctx.get(dut.front) == (front + 1) % DEPTH
        assert await step(ctx, dut, only=E) == ((E | S, 0, 1, 0), 0)
        assert await step(ctx, dut) == ((S, 0, 1, 0), 0)
        outputs(ctx, dut)
        for n in range(2):
            assert await step(ctx, dut) == ((N, n == 0, 0, 0), 1)
        assert await step(ctx, dut) == ((N, 0, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated().run(bench)


def test_claims_are_made_together_and_bind_to_no_order():
    async def bench(ctx):
        dut = simulated().dut
        outputs(ctx, dut, credits=1)
        outputs(ctx, dut, free=0, only=[Port.SOUTH])        # another packet's
        await put(ctx, dut, N | E | S, payload=1, multicast=1)
        assert await step(ctx, dut, only=E) == ((N | E, 1, 0, 1), 0)
        outputs(ctx, dut, free=0, credits=1, only=[Port.EAST])
        assert await step(ctx, dut) == ((N, 1, 0, 1), 0)
        outputs(ctx, dut, free=0, credits=1, only=[Port.NORTH])
        assert (await step(ctx, dut))[0][0] == 0
        outputs(ctx, dut, free=0, credits=2, only=[Port.NORTH])
        for _ in range(PATIENCE_CYCLES):        # for E, which is claimed
            assert (await step(ctx, dut))[0][0] == 0
        assert await step(ctx, dut) == ((N, 1, 0, 0), 0)
        assert await step(ctx, dut) == ((N, 0, 1, 0), 0)
        outputs(ctx, dut, credits=2, only=[Port.SOUTH])
        outputs(ctx, dut, free=0, credits=2, only=[Port.EAST])
        assert await step(ctx, dut) == ((E | S, 1, 0, 0), 1)
        assert await step(ctx, dut) == ((E | S, 0, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated().run(bench)


@pytest.mark.parametrize("number, multicast", [(0, 0), (0, 1), (1, 0)])
def test_nothing_is_left_of_one_packet_for_the_next(number, multicast):
    """Neither copies that are made nor channels that were claimed."""
    async def bench(ctx):
        dut = simulated(number).dut
        for _ in range(2):
            outputs(ctx, dut, credits=0)
            await put(ctx, dut, E, multicast=multicast)
            assert await step(ctx, dut) == ((E, 1, 1, 1), 0)
            outputs(ctx, dut, free=0)
            assert await step(ctx, dut) == ((E, 1, 1, 0), 1)
            await put(ctx, dut, E, multicast=multicast)
            assert (await step(ctx, dut))[0][0] == 0
            outputs(ctx, dut)
            assert await step(ctx, dut) == ((E, 1, 1, 0), 1)

    simulated(number).run(bench)


def test_two_multicast_packets_have_all_their_copies():
    async def bench(ctx):
        dut = simulated().dut
        outputs(ctx, dut)
        for _ in range(2):
            await put(ctx, dut, N | E, multicast=1)
            assert await step(ctx, dut, only=E) == ((N | E, 1, 1, 0), 0)
            assert await step(ctx, dut) == ((N, 1, 1, 0), 1)
            await put(ctx, dut, N | E, multicast=1)
            assert await step(ctx, dut) == ((N | E, 1, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated().run(bench)


@pytest.mark.parametrize("number", CLASSES)
def test_a_packet_without_ports_is_discarded(number):
    async def bench(ctx):
        dut = simulated(number).dut
        outputs(ctx, dut)
        await put(ctx, dut, 0)
        assert await step(ctx, dut) == ((0, 1, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated(number).run(bench)
