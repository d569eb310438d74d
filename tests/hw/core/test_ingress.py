import random
from collections import Counter, deque
from dataclasses import replace
from functools import cache
from operator import add

import pytest

from ouroboros.hw.core.entry_writer import entry_flits
from ouroboros.hw.core.ingress import Ingress
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Kind, Unit
from ouroboros.sw.golden.ingress import Arrived, Config, Credit, Error, IngressModel, Request, Write
from ouroboros.sw.program.packets import (
    Flit,
    Packet,
    credit_packet,
    data_packets,
    read_packet,
    reply_packet,
    write_packets,
)
from ouroboros.sw.program.packets import entry_flits as golden_entry_flits
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
ME, OTHER = (2, 1), (0, 1)
TOKEN = {"sequence": 3, "position": 70000, "stage": 2, "operand": 1}


def machine(lanes=4, outputs=16, **noc):
    return replace(TINY, cim=replace(TINY.cim, outputs=outputs),
                   core=replace(TINY.core, lanes=lanes), noc=replace(TINY.noc, **noc))


@cache
def simulated(machine):
    return PySim(Ingress(machine))


def place_of(stage, sequence, position):
    """Stands for the controller: a slot for every token but those of stage 15."""
    if stage == 15:
        return None
    return position % TINY.core.slots, (17 * sequence + position) % 4096


def run(machine, flits, *, stall=0.0, latency=(1, 1), seed=1, busy_cycles=0,
        lookups_from=0):
    """Effects of ``flits`` one by one from the block, checked against the golden model.

    No lookup is accepted before cycle ``lookups_from``.

    Returns the effects and the number of cycles from the first flit on the link to the last
    flit consumed.
    """
    rng = random.Random(seed)
    sim = simulated(machine)
    dut = sim.dut
    golden = IngressModel(machine, place_of)
    seen = []
    cycles = []
    credits = [machine.noc.vc_depth] * machine.noc.channels
    waiting, consumed, answers = deque(flits), deque(), deque()
    free_at = 0

    async def bench(ctx):
        nonlocal free_at
        was_busy, now = False, 0
        # The sender counts a credit one cycle after it was on the link.
        returned, later = [0] * machine.noc.channels, [0] * machine.noc.channels
        while len(cycles) < len(flits):
            credits[:] = map(add, credits, returned)
            returned, later = later, [0] * machine.noc.channels
            ctx.set(dut.link.valid, 0)
            if waiting and credits[waiting[0].vc] and rng.random() >= stall:
                flit = waiting.popleft()
                credits[flit.vc] -= 1
                consumed.append(flit)
                ctx.set(dut.link.valid, 1)
                ctx.set(dut.link.flit, flit._asdict())
            ctx.set(dut.lookup.ready, now >= lookups_from and rng.random() >= stall)
            ctx.set(dut.found.valid, 0)
            if answers and answers[0][0] <= now:
                place = answers.popleft()[1]
                ctx.set(dut.found.valid, 1)
                ctx.set(dut.found.p, {"ok": place is not None,
                                      "slot": (place or (0, 0))[0], "base": (place or (0, 0))[1]})
            ctx.set(dut.busy, now < free_at)

            if ctx.get(dut.lookup.valid) and ctx.get(dut.lookup.ready):
                ask = ctx.get(dut.lookup.p)
                due = max([now + rng.randint(*latency), *(when + 1 for when, _ in answers)])
                answers.append((due, place_of(ask.stage, ask.sequence, ask.position)))
            effects = outputs(ctx, dut, machine)
            if ctx.get(dut.flits):
                flit = consumed.popleft()
                assert effects == golden.take(flit, busy=was_busy), flit
                assert ctx.get(dut.link.credit) == 1 << flit.vc
                later[flit.vc] += 1
                seen.append(effects)
                cycles.append(now)
            else:
                assert not effects
                assert not ctx.get(dut.link.credit)
            was_busy = bool(ctx.get(dut.busy) or ctx.get(dut.request.valid))
            if ctx.get(dut.request.valid):
                free_at = now + 1 + busy_cycles
            await ctx.tick()
            now += 1
            assert now < 100 + 40 * len(flits), "the ingress hangs"
        assert ([sum(home) for home in zip(credits, returned, later, strict=True)]
                == [machine.noc.vc_depth] * machine.noc.channels)
        assert not answers

    sim.run(bench)
    return [effect for effects in seen for effect in effects], cycles[-1]


def outputs(ctx, dut, machine):
    """Effects that the block reports in this cycle."""
    effects = []
    if ctx.get(dut.write.en):
        mask = ctx.get(dut.write.mask)
        assert mask.bit_count() == 1
        part = mask.bit_length() - 1
        bits = machine.noc.flit_bits
        effects.append(Write(ctx.get(dut.write.addr), part,
                             ctx.get(dut.write.data) >> part * bits & (1 << bits) - 1))
    if ctx.get(dut.arrived.valid):
        arrived = ctx.get(dut.arrived.p)
        effects.append(Arrived(arrived.slot, arrived.operand, arrived.flags))
    if ctx.get(dut.credit.valid):
        effects.append(Credit(ctx.get(dut.credit.p.counter)))
    if ctx.get(dut.config.valid):
        unit = ctx.get(dut.config.unit)
        bits = golden_entry_flits(machine, unit) * machine.noc.flit_bits
        effects.append(Config(unit, ctx.get(dut.config.address),
                              ctx.get(dut.config.data) & (1 << bits) - 1))
    if ctx.get(dut.request.valid):
        request = ctx.get(dut.request.p)
        effects.append(Request(request.unit, request.address, request.count,
                               request.x, request.y, request.way_x, request.way_y,
                               request.table))
    if ctx.get(dut.error):
        effects.append(Error())
    return effects


def flits_of(*packets):
    return [flit for packet in packets for flit in packet.flits()]


def mixed(packets, rng):
    """Flits of packets in their order on each channel, the channels mixed at random."""
    queues = {}
    for packet in packets:
        queues.setdefault(packet.header["vc"], deque()).extend(packet.flits())
    flits = []
    while queues:
        vc = rng.choice([*queues])
        flits.append(queues[vc].popleft())
        if not queues[vc]:
            del queues[vc]
    return flits


def random_packets(machine, rng, count):
    flit, last = (lambda: rng.getrandbits(machine.noc.flit_bits)), machine.noc.control_vc
    packets = []
    while len(packets) < count:
        kind = rng.choice([Kind.DATA] * 4 + [Kind.CREDIT, Kind.WRITE, Kind.WRITE, Kind.READ])
        if kind == Kind.DATA:
            packets += data_packets(
                [flit() for _ in range(rng.randint(1, 12))], src=OTHER, dst=ME,
                stage=rng.choice([0, 1, 2, 15]), operand=rng.randrange(4),
                sequence=rng.randrange(1 << 16), position=rng.randrange(1 << 20),
                offset=rng.randrange(1 << 10), flags=rng.randrange(16),
                vc=rng.choice([0, 0, last]))
        elif kind == Kind.CREDIT:
            packets.append(credit_packet(machine, src=OTHER, dst=ME, counter=rng.randrange(32)))
        elif kind == Kind.READ:
            packets.append(read_packet(machine, src=OTHER, dst=ME, unit=Unit.COUNTER,
                                       address=rng.randrange(1 << 24), count=rng.randrange(1, 9)))
        else:
            unit = rng.choice([Unit.PARAM, Unit.WEIGHT + 3, Unit.PROGRAM])
            bits = golden_entry_flits(machine, unit) * machine.noc.flit_bits
            packets += write_packets(machine, [rng.getrandbits(bits) for _ in
                                               range(rng.randint(1, 5))],
                                     src=OTHER, dst=ME, unit=unit,
                                     address=rng.randrange(1 << 24))
    return packets[:count]


def changed(packet, **fields):
    return Packet({**packet.header, **fields}, packet.payload)


DATA = data_packets([11, 12, 13], src=OTHER, dst=ME, offset=5, flags=9, **TOKEN)[0]
CREDIT = credit_packet(TINY, src=OTHER, dst=ME, counter=21)
READ = read_packet(TINY, src=OTHER, dst=ME, unit=Unit.TRACE, address=7, count=3, back=(3, 5),
                   back_table=True)
WRITE = write_packets(TINY, [5, 6], src=OTHER, dst=ME, unit=Unit.STEP, address=30)[0]
SLOT, BASE = place_of(2, 3, 70000)
STORED = [Write(BASE + 5, 0, 11), Write(BASE + 6, 0, 12), Write(BASE + 7, 0, 13),
          Arrived(SLOT, 1, 9)]

CASES = {
    "data": ([DATA], STORED),
    "credit": ([CREDIT], [Credit(21)]),
    "read": ([READ], [Request(Unit.TRACE, 7, 3, 0, 1, 3, 5, 1)]),
    "write": ([WRITE], [Config(Unit.STEP, 30, 5), Config(Unit.STEP, 31, 6)]),
    "row": (write_packets(TINY, [1 << 127], src=OTHER, dst=ME, unit=Unit.WEIGHT + 2),
            [Config(Unit.WEIGHT + 2, 0, 1 << 127)]),
    "no slot": ([changed(DATA, stage=15), DATA], [Error(), *STORED]),
    "reply": ([reply_packet(TINY, 3, src=OTHER, dst=ME, unit=11, address=0), DATA],
              [Error(), *STORED]),
    "unknown kind": ([changed(DATA, kind=7), DATA], [Error(), *STORED]),
    "data too long": ([Packet({**DATA.header, "length": 9}, (1,) * 9), DATA], [Error(), *STORED]),
    "data empty": ([Packet({**DATA.header, "length": 0}), DATA], [Error(), *STORED]),
    "write empty": ([Packet({**WRITE.header, "length": 0}), DATA], [Error(), *STORED]),
    "read nothing": ([changed(READ, count=0), CREDIT], [Error(), Credit(21)]),
    "credit with payload": ([Packet({**CREDIT.header, "length": 1}, (3,)), CREDIT],
                            [Error(), Credit(21)]),
    "payload unannounced": ([Packet(CREDIT.header, (3, 4)), CREDIT], [Error(), Credit(21)]),
    "tail late": ([changed(DATA, length=2)], [*STORED[:2], Error()]),
    "tail early": ([changed(DATA, length=4), DATA], [*STORED[:3], Error(), *STORED]),
    "write early tail": ([changed(WRITE, length=3)],
                         [Config(Unit.STEP, 30, 5), Config(Unit.STEP, 31, 6), Error()]),
}


@pytest.mark.parametrize("name", CASES)
def test_directed(name):
    packets, effects = CASES[name]
    assert run(TINY, flits_of(*packets))[0] == effects


@pytest.mark.parametrize("flits, effects", [
    (DATA.flits()[1:] + DATA.flits(), [Error(), *STORED]),
    (DATA.flits()[:2] + DATA.flits(), [STORED[0], Error(), *STORED]),
    ([Flit(DATA.flits()[0].data, 0, True, True), *DATA.flits()], [Error(), *STORED]),
], ids=["no header", "no tail", "header only"])
def test_torn_packet(flits, effects):
    assert run(TINY, flits)[0] == effects


def test_entry_of_several_flits():
    wide = machine(outputs=64)
    row = random.Random(1).getrandbits(512)
    packet, = write_packets(wide, [row, 3], src=OTHER, dst=ME, unit=Unit.WEIGHT, address=9)
    assert len(packet.payload) == 8
    assert run(wide, packet.flits())[0] == [Config(Unit.WEIGHT, 9, row), Config(Unit.WEIGHT, 10, 3)]
    short = Packet({**packet.header, "length": 6}, packet.payload[:6])
    assert run(wide, flits_of(short, packet))[0] == [
        Config(Unit.WEIGHT, 9, row), Error(), Config(Unit.WEIGHT, 9, row),
        Config(Unit.WEIGHT, 10, 3)]


def test_write_while_another_is_open():
    first, second = WRITE.flits(), changed(WRITE, vc=0).flits()
    assert run(TINY, [first[0], *second, *first[1:], *second])[0] == [
        Error(), *CASES["write"][1], *CASES["write"][1]]


def test_read_while_one_is_pending():
    assert run(TINY, flits_of(READ, READ), busy_cycles=20)[0] == [CASES["read"][1][0], Error()]
    assert run(TINY, flits_of(READ, *[CREDIT] * 20, READ), busy_cycles=10)[0] == [
        *CASES["read"][1], *[Credit(21)] * 20, *CASES["read"][1]]


def test_no_channel_waits_for_a_packet_that_never_ends():
    open_packet = DATA.flits()[:2]
    assert run(TINY, [*open_packet, *flits_of(CREDIT, WRITE, *[CREDIT] * 20)])[0] == [
        STORED[0], Credit(21), *CASES["write"][1], *[Credit(21)] * 20]


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("sizes", [
    {}, {"lanes": 16, "outputs": 32}, {"lanes": 8, "vcs": 2, "vc_depth": 9},
    {"lanes": 16, "outputs": 64, "flit_bits": 256}])
def test_random_packets(sizes, stall):
    rng = random.Random(repr(sizes))
    sized = machine(**sizes)
    packets = random_packets(sized, rng, 60)
    effects, _ = run(sized, mixed(packets, rng), stall=stall, latency=(1, 3), busy_cycles=9)
    count = Counter(map(type, effects))
    assert count[Arrived] == sum(p.header["kind"] == Kind.DATA and p.header["stage"] != 15
                                 for p in packets)
    assert count[Credit] == sum(p.header["kind"] == Kind.CREDIT for p in packets)
    assert min(count[kind] for kind in (Write, Arrived, Credit, Config, Request)) > 0


def test_random_flits():
    """Whatever comes, it is drained, and what can be used is used."""
    rng = random.Random(5)
    packets = random_packets(TINY, rng, 40)
    flits = [flit._replace(head=flit.head ^ (rng.random() < 0.05),
                           tail=flit.tail ^ (rng.random() < 0.05),
                           data=flit.data ^ (rng.random() < 0.1) << 45)
             for flit in mixed(packets, rng)]
    effects, _ = run(TINY, flits, stall=0.2, latency=(1, 3))
    assert Counter(map(type, effects))[Error] > 10


@pytest.mark.parametrize("latency", [1, 3])
def test_full_of_lookups(latency):
    """Every buffer of every channel is full of one-flit packets before the first is looked up."""
    packets = [data_packets([n], src=OTHER, dst=ME, vc=n % 2, **{**TOKEN, "position": n})[0]
               for n in range(2 * TINY.noc.vc_depth)]
    flits = [flit for pair in zip(packets[::2], packets[1::2], strict=True)
             for both in zip(*(packet.flits() for packet in pair), strict=True) for flit in both]
    effects, last = run(TINY, flits, latency=(latency, latency), lookups_from=40)
    assert last == 40 + latency + 1 + len(flits)
    assert Counter(map(type, effects))[Arrived] == len(packets)


@pytest.mark.parametrize("payload", [1, 2, 8])
@pytest.mark.parametrize("latency", [1, 3])
def test_full_rate(payload, latency):
    """One flit per cycle, whatever the length of packets and (up to 3) of the lookup."""
    packets = [data_packets([n] * payload, src=OTHER, dst=ME, **TOKEN)[0] for n in range(12)]
    flits = flits_of(*packets)
    _, last = run(TINY, flits, latency=(latency, latency))
    assert last - (len(flits) - 1) == 3 + latency


def test_latency():
    """Effects come 3 cycles after the flit was on the link; behind a DATA header 3 + lookup."""
    assert run(TINY, CREDIT.flits())[1] == 3
    assert run(TINY, data_packets([1], src=OTHER, dst=ME, **TOKEN)[0].flits())[1] == 5


@pytest.mark.parametrize("sizes, message", [
    ({"outputs": 256}, "entry of WEIGHT must be at most 8 flits, not 16"),
])
def test_refused(sizes, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        entry_flits(machine(**sizes))
