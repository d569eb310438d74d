from functools import cache

import pytest

from ouroboros.hw.noc.channel import Channel
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.tb.lib.pysim import PySim

NOC = NocParams(flit_bits=128, vcs=1, class1_vcs=0, class2_vcs=0, vc_depth=5, multicast_flits=4)
DEPTH, ALL = NOC.vc_depth, (1 << NOC.channels) - 1
N, E, S = 1 << Port.NORTH, 1 << Port.EAST, 1 << Port.SOUTH


@cache
def simulated():
    return PySim(Channel(NOC, 0))


async def put(ctx, dut, ports, *, payload=0, multicast=0):
    """Put a packet of ``payload + 1`` flits."""
    for n in range(payload + 1):
        ctx.set(dut.put.valid, 1)
        ctx.set(dut.put.entry, {"tail": n == payload, "ports": ports if n == 0 else 0,
                                "allowed": 1, "multicast": multicast, "need": payload})
        await ctx.tick()
    ctx.set(dut.put.valid, 0)


def outputs(ctx, dut, *, free=ALL, credits=DEPTH, only=tuple(Port)):
    """What the outputs ``only`` show of channel 0; the others are as they were."""
    for port in only:
        state = dut.states[port]
        credited = 1 if credits else 0
        ctx.set(state.free, free)
        ctx.set(state.credited, credited)
        ctx.set(state.available, free & credited)
        ctx.set(state.credits[0], credits)


async def step(ctx, dut, *, take=True):
    """What is asked for, as (ports, head, tail, claim), and whether room became free."""
    request = ctx.get(dut.request.p)
    ctx.set(dut.request.taken, request.allowed & 1 if take and request.ports else 0)
    freed = ctx.get(dut.freed)
    await ctx.tick()
    ctx.set(dut.request.taken, 0)
    return (request.ports, request.head, request.tail, request.claim), freed


def test_a_unicast_packet_goes_flit_by_flit_as_credits_come():
    async def bench(ctx):
        dut = simulated().dut
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

    simulated().run(bench)


def test_a_head_needs_a_free_channel_and_claims_it_before_credits_come():
    async def bench(ctx):
        dut = simulated().dut
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

    simulated().run(bench)


def test_multicast_copies_go_one_after_the_other_and_the_last_frees():
    async def bench(ctx):
        dut = simulated().dut
        outputs(ctx, dut)
        outputs(ctx, dut, credits=1, only=[Port.NORTH])     # not enough for a whole packet
        await put(ctx, dut, N | E | S, payload=1, multicast=1)
        for port in (E, S):
            front = ctx.get(dut.front)
            assert await step(ctx, dut) == ((port, 1, 0, 0), 0)
            assert await step(ctx, dut) == ((port, 0, 1, 0), 0)
            assert ctx.get(dut.front) == front      # from its head again
        assert await step(ctx, dut) == ((N, 1, 0, 1), 0)
        assert await step(ctx, dut, take=False) == ((N, 1, 0, 1), 0)
        outputs(ctx, dut, free=0)
        assert await step(ctx, dut) == ((N, 1, 0, 0), 1)
        assert await step(ctx, dut) == ((N, 0, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated().run(bench)


@pytest.mark.parametrize("multicast", [0, 1])
def test_nothing_is_left_of_one_packet_for_the_next(multicast):
    """Neither copies that are made nor channels that were claimed."""
    async def bench(ctx):
        dut = simulated().dut
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

    simulated().run(bench)


def test_two_multicast_packets_have_all_their_copies():
    async def bench(ctx):
        dut = simulated().dut
        outputs(ctx, dut)
        for _ in range(2):
            await put(ctx, dut, N | E, multicast=1)
            assert await step(ctx, dut) == ((N, 1, 1, 0), 0)
            assert await step(ctx, dut) == ((E, 1, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated().run(bench)


def test_a_packet_without_ports_is_discarded():
    async def bench(ctx):
        dut = simulated().dut
        outputs(ctx, dut)
        await put(ctx, dut, 0)
        assert await step(ctx, dut) == ((0, 1, 1, 0), 1)
        assert not ctx.get(dut.some)

    simulated().run(bench)
