import random
from collections import deque
from dataclasses import replace
from functools import cache

import pytest
from amaranth import EnableInserter

from ouroboros.hw.core.egress import Egress
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Kind, Unit
from ouroboros.sw.program.packets import Flit, credit_packet, data_packets, packets_of, reply_packet
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
ME = (3, 2)
NO_WAY = {"way_x": 0, "way_y": 0, "table": 0}
TOKEN = {"sequence": 3, "position": 70000, "stage": 2, "operand": 1}


def machine(**noc):
    return replace(TINY, core=replace(TINY.core, lanes=8), noc=replace(TINY.noc, **noc))


class StoppingEgress(Egress):
    """Its clock stops while it says that nothing is to be sent, and nothing comes to it."""

    def elaborate(self, platform):
        return EnableInserter(self.active | self.request.valid | self.link.credit.any())(
            super().elaborate(platform))


@cache
def simulated(machine):
    return PySim(StoppingEgress(machine))


def value_of(unit, address):
    """Stands for the events: a 128-bit value for every address."""
    return random.Random(unit << 24 | address).getrandbits(128)


def run(machine, *, data=(), credits=(), requests=(), stall=0.0, returns=1.0, seed=1,
        mute=(), mute_at=0,
        cycles=None):
    """Sends everything and checks packets and credits.

    ``stall``: chance that a source pauses; ``returns``: chance that the router returns a waiting
    credit; ``mute``: channels whose credits return no more from cycle ``mute_at`` on, so that
    exactly ``vc_depth`` flits stay out. With ``cycles`` the run has that length, otherwise it ends
    when all flits have come.

    Returns the flits, with the cycle in which each was on the link.
    """
    rng = random.Random(seed)
    noc = machine.noc
    sim = simulated(machine)
    dut = sim.dut
    log = []
    # Credits at the sender and in the router; a link register lies in between.
    held = [0] * noc.channels
    wanted = (sum(len(p.flits()) for p in data) + len(credits)
              + 2 * sum(request["count"] for request in requests))
    sources = {"packet": deque(flit._asdict() for p in data for flit in p.flits()),
               "credit": deque(credits)}
    asked = deque(requests)

    async def bench(ctx):
        ctx.set(dut.x, ME[0])
        ctx.set(dut.y, ME[1])
        now, value = 0, 0
        while len(log) < wanted if cycles is None else now < cycles:
            back = 0
            for vc in range(noc.channels):
                if held[vc] and (vc not in mute or now < mute_at) and rng.random() < returns:
                    held[vc] -= 1
                    back |= 1 << vc
            ctx.set(dut.link.credit, back)
            if ctx.get(dut.link.valid):
                flit = ctx.get(dut.link.flit)
                log.append((now, Flit(flit.data, flit.vc, bool(flit.head), bool(flit.tail))))
                held[flit.vc] += 1
                assert held[flit.vc] <= noc.vc_depth, "credits overrun"
            assert ctx.get(dut.flits) == ctx.get(dut.link.valid)
            for name, queue in sources.items():
                port = getattr(dut, name)
                if queue and not ctx.get(port.valid) and rng.random() >= stall:
                    ctx.set(port.valid, 1)
                    ctx.set(port.p, queue[0])
            ctx.set(dut.request.valid, 0)
            if asked and not ctx.get(dut.busy) and rng.random() >= stall:
                ctx.set(dut.request.valid, 1)
                ctx.set(dut.request.p, asked.popleft())
            accepted = [name for name in sources
                        if ctx.get(getattr(dut, name).valid) and ctx.get(getattr(dut, name).ready)]
            fetch = (ctx.get(dut.events.unit), ctx.get(dut.events.address)) if (
                ctx.get(dut.events.en)) else None
            await ctx.tick()
            now += 1
            for name in accepted:
                sources[name].popleft()
                ctx.set(getattr(dut, name).valid, 0)
            if fetch:
                value = value_of(*fetch)
            ctx.set(dut.events.data, value)
            assert now < 200 + 40 * wanted, "the egress hangs"
        if cycles is not None:
            assert [held[vc] for vc in mute] == [noc.vc_depth] * len(mute)

    sim.run(bench)
    return log


def check(machine, log, *, data=(), credits=(), requests=()):
    """Every packet came, unharmed, in the order of its source."""
    packets = [*packets_of(flit for _, flit in log)]
    for vc in range(machine.noc.channels):
        assert ([p for p in packets if p.header["kind"] == Kind.DATA and p.header["vc"] == vc]
                == [p for p in data if p.header["vc"] == vc])
    assert [p for p in packets if p.header["kind"] == Kind.CREDIT] == [
        credit_packet(machine, src=ME, dst=(c["x"], c["y"]), counter=c["counter"], **way_of(c))
        for c in credits]
    assert [p for p in packets if p.header["kind"] == Kind.REPLY] == [
        reply_packet(machine, value_of(r["unit"], r["address"] + n), src=ME,
                     dst=(r["x"], r["y"]), unit=r["unit"], address=r["address"] + n, **way_of(r))
        for r in requests for n in range(r["count"])]


def way_of(item):
    return {"way": (item["way_x"], item["way_y"]), "table": bool(item["table"])}


def random_way(rng):
    return {"way_x": rng.randrange(128), "way_y": rng.randrange(128), "table": rng.randrange(2)}


def random_data(machine, rng, count, vcs=(0,)):
    packets = []
    for _ in range(count):
        packets += data_packets([rng.getrandbits(machine.noc.flit_bits)
                                 for _ in range(rng.randint(1, 12))],
                                src=ME, dst=(4, 1), vc=rng.choice(vcs), **TOKEN)
    return packets


def random_credits(rng, count):
    return [{"x": rng.randrange(128), "y": rng.randrange(128), "counter": rng.randrange(32),
             **random_way(rng)}
            for _ in range(count)]


def random_requests(rng, count):
    return [{"unit": rng.choice([Unit.COUNTER, Unit.TRACE]), "address": rng.randrange(100),
             "count": rng.randint(1, 5), "x": rng.randrange(128), "y": rng.randrange(128),
             **random_way(rng)}
            for _ in range(count)]


@pytest.mark.parametrize("returns", [1.0, 0.2])
@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("noc", [{}, {"vcs": 2, "vc_depth": 9}, {"flit_bits": 256},
                                 {"class1_vcs": 1, "class2_vcs": 2}],
                         ids=["2 channels", "3 channels", "wide", "classes"])
def test_random_traffic(noc, stall, returns):
    """Data goes on any channel, the last one included, where it must not mix with the rest."""
    rng = random.Random(repr(noc))
    sized = machine(**noc)
    traffic = {"data": random_data(sized, rng, 14, range(sized.noc.channels)),
               "credits": random_credits(rng, 30), "requests": random_requests(rng, 6)}
    check(sized, run(sized, **traffic, stall=stall, returns=returns), **traffic)


def test_full_rate():
    """Data alone: one flit per cycle, the first on the link one cycle after it was offered."""
    data = random_data(TINY, random.Random(1), 12)
    log = run(TINY, data=data)
    assert [now for now, _ in log] == [*range(1, 1 + len(log))]
    check(TINY, log, data=data)


def test_rates_of_control():
    credits = random_credits(random.Random(1), 20)
    assert [now for now, _ in run(TINY, credits=credits)] == [*range(2, 22)]
    request = {"unit": Unit.COUNTER, "address": 0, "count": 10, "x": 0, "y": 1, **NO_WAY}
    assert [now for now, _ in run(TINY, requests=[request])] == [
        4 + 3 * n + flit for n in range(10) for flit in range(2)]


def test_sides_take_turns():
    """Neither side waits longer than for one flit of the other."""
    rng = random.Random(1)
    data, credits = random_data(TINY, rng, 8), random_credits(rng, 30)
    log = run(TINY, data=data, credits=credits)
    classes = [flit.vc for _, flit in log]
    assert [now for now, _ in log] == [*range(1, 1 + len(log))]
    assert classes[1:61] == [1, 0] * 30
    check(TINY, log, data=data, credits=credits)


def test_data_without_credits_blocks_nothing():
    rng = random.Random(1)
    data, credits = random_data(TINY, rng, 5), random_credits(rng, 20)
    requests = random_requests(rng, 3)
    log = run(TINY, data=data, credits=credits, requests=requests, mute=(0,), cycles=200)
    check(TINY, [item for item in log if item[1].vc == 1], credits=credits, requests=requests)


def test_control_without_credits_blocks_no_data():
    rng = random.Random(1)
    data, credits = random_data(TINY, rng, 10), random_credits(rng, 20)
    log = run(TINY, data=data, credits=credits, mute=(1,), cycles=200)
    check(TINY, [item for item in log if item[1].vc == 0], data=data)


def test_longest_request():
    request = {"unit": Unit.TRACE, "address": 40, "count": 255, "x": 0, "y": 1, **NO_WAY}
    check(TINY, run(TINY, requests=[request]), requests=[request])


def test_credits_are_counted_exactly():
    """After much traffic and random returns the egress has exactly ``vc_depth`` of each channel."""
    rng = random.Random(2)
    data, credits = random_data(TINY, rng, 40), random_credits(rng, 150)
    run(TINY, data=data, credits=credits, returns=0.4, stall=0.2, mute=(0, 1), mute_at=150,
        cycles=260)
