import random
from collections import deque
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.core.send import SendUnit
from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import DEST_ENTRY, Kind, Unit
from ouroboros.hw.params.timing.control import send_cycles
from ouroboros.sw.program.packets import Flit, packets_of, send_packets
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
ME = (3, 2)


def machine(lanes=4, flit_bits=128):
    return replace(TINY, cim=replace(TINY.cim, outputs=64), core=replace(TINY.core, lanes=lanes),
                   noc=replace(TINY.noc, flit_bits=flit_bits))


@cache
def simulated(machine):
    return PySim(SendUnit(machine))


def random_entry(rng, vcs=2):
    return {f.name: rng.randrange(vcs) if f.name == "vc" else rng.getrandbits(f.bits)
            for f in DEST_ENTRY.fields}


def random_issue(rng, machine, flits):
    return {"dest": rng.randrange(machine.core.dests), "src": rng.randrange(64), "flits": flits,
            "dst": rng.randrange(4096), "slot": rng.randrange(machine.core.slots),
            "base": rng.randrange(128), "sequence": rng.randrange(1 << 16),
            "position": rng.randrange(1 << 20), "flags": rng.randrange(16)}


def run(machine, table, issues, *, stall=0.0, seed=1):
    """Executes SENDs; flits and completions are checked, the cycles of each one returned."""
    rng = random.Random(seed)
    words = [rng.getrandbits(machine.core.word_bits) for _ in range(machine.core.buffer_words)]
    parts, flit_bits = machine.flits_per_word, machine.noc.flit_bits
    sim = simulated(machine)
    dut = sim.dut
    flits, cycles = [], []
    expected = []
    for issue in issues:
        start = (issue["base"] + issue["src"]) * parts
        payload = [words[n // parts] >> n % parts * flit_bits & (1 << flit_bits) - 1
                   for n in range(start, start + issue["flits"])]
        expected += send_packets(table[issue["dest"]], payload, src=ME, dst=issue["dst"],
                                 sequence=issue["sequence"], position=issue["position"],
                                 flags=issue["flags"])
    ahead, running = deque(issues), deque()

    async def bench(ctx):
        ctx.set(dut.x, ME[0])
        ctx.set(dut.y, ME[1])
        ctx.set(dut.config.valid, 1)
        for unit in (Unit.DEST, Unit.STEP):     # only the first is for this block
            for address, entry in enumerate(table):
                ctx.set(dut.config.unit, unit)
                ctx.set(dut.config.address, address)
                ctx.set(dut.config.data, DEST_ENTRY.pack(entry) if unit == Unit.DEST else 0)
                await ctx.tick()
        ctx.set(dut.config.unit, Unit.DEST)
        ctx.set(dut.config.address, len(table))     # past the end
        await ctx.tick()
        ctx.set(dut.config.valid, 0)
        now, held = 0, None
        while len(cycles) < len(issues):
            if ahead and not ctx.get(dut.issue.valid) and rng.random() >= stall:
                issue = dict(ahead[0])
                sizes = {name: issue.pop(name) for name in ("dest", "src", "flits", "dst")}
                ctx.set(dut.issue.valid, 1)
                ctx.set(dut.issue.p, {**issue, "tokens": 0, "instruction":
                                      assemble(Op.SEND, acquire=1, **sizes)})
            ctx.set(dut.packet.ready, rng.random() >= stall)
            if ctx.get(dut.done.valid):
                slot, began = running.popleft()
                assert ctx.get(dut.done.p) == {"slot": slot, "poison": 0}
                cycles.append(now - began)
            if ctx.get(dut.packet.valid):
                flit = ctx.get(dut.packet.p)
                flit = Flit(flit.data, flit.vc, bool(flit.head), bool(flit.tail))
                assert held in (None, flit), "payload changed while it waited"
                held = flit
                if ctx.get(dut.packet.ready):
                    flits.append(flit)
                    held = None
            else:
                assert held is None
            address = ctx.get(dut.read.addr) if ctx.get(dut.read.en) else None
            accepted = ctx.get(dut.issue.valid) and ctx.get(dut.issue.ready)
            if accepted:
                running.append((ahead.popleft()["slot"], now))
            await ctx.tick()
            now += 1
            if accepted:
                ctx.set(dut.issue.valid, 0)
            if address is not None:
                ctx.set(dut.read.data, words[address % len(words)])
            assert now < 100 + 60 * len(issues) + 8 * sum(i["flits"] for i in issues)

    sim.run(bench)
    assert [*packets_of(flits)] == expected
    return cycles


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("sized", [machine(), machine(8), machine(16), machine(16, 256),
                                   machine(64)], ids=["1", "2", "4", "2 wide", "16"])
def test_random_sends(sized, stall):
    rng = random.Random(sized.flits_per_word)
    table = [random_entry(rng) for _ in range(sized.core.dests)]
    issues = [random_issue(rng, sized, rng.choice([0, 1, 3, 7, 8, 9, 16, 17, 25]))
              for _ in range(12)]
    run(sized, table, issues, stall=stall)


@pytest.mark.parametrize("flits", [0, 1, 2, 8, 9, 16, 40])
@pytest.mark.parametrize("lanes", [4, 16])
def test_cycles(lanes, flits):
    rng = random.Random(flits)
    sized = machine(lanes)
    table = [random_entry(rng) for _ in range(sized.core.dests)]
    cycles = run(sized, table, [random_issue(rng, sized, flits) for _ in range(3)])
    assert cycles == [send_cycles(flits)] * 3


def test_longest():
    rng = random.Random(1)
    table = [random_entry(rng) for _ in range(TINY.core.dests)]
    issue = {**random_issue(rng, TINY, 200), "base": 0, "src": 10, "dst": (1 << 14) - 200}
    assert run(TINY, table, [issue]) == [send_cycles(200)]


def test_send_cycles():
    assert [send_cycles(n) for n in (0, 1, 8, 9, 1023)] == [1, 3, 10, 12, 1 + 1023 + 128]


def test_header():
    """One case by hand, so that golden model and hardware cannot be wrong together."""
    entry = dict.fromkeys((f.name for f in DEST_ENTRY.fields), 0)
    entry |= {"x": 4, "y": 1, "label": 6, "stage": 3, "operand": 2, "vc": 0, "credits": 5}
    packet, second = send_packets(entry, [*range(10)], src=ME, dst=20, sequence=7, position=8,
                                  flags=4)
    assert packet.header == {
        "dst_x": 4, "dst_y": 1, "way_x": 0, "way_y": 0, "src_x": 3, "src_y": 2,
        "kind": Kind.DATA, "vc": 0, "length": 8, "label": 6, "ordered": 1, "route_spare": 0,
        "sequence": 7, "position": 8, "stage": 3, "operand": 2, "offset": 20, "flags": 4,
        "spare": 0}
    assert packet.payload == tuple(range(8))
    assert second.header == {**packet.header, "length": 2, "offset": 28}
