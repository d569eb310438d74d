import random
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.core.buffer import READERS, WRITERS, Buffer
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")


def machine(lanes, flit_bits=128):
    return replace(TINY, cim=replace(TINY.cim, outputs=64),
                   core=replace(TINY.core, lanes=lanes, buffer_words=32),
                   noc=replace(TINY.noc, flit_bits=flit_bits))


@cache
def simulated(machine):
    return PySim(Buffer(machine))


@pytest.mark.parametrize("sized", [machine(4), machine(16), machine(16, 256), machine(32, 512)],
                         ids=["1 part", "4 parts", "2 wide parts", "2 wider parts"])
def test_random_accesses(sized):
    """All ports at once, addresses past the end included; a write is seen in the next cycle."""
    rng = random.Random(sized.core.lanes)
    parts, flit_bits = sized.flits_per_word, sized.noc.flit_bits
    words = [0] * sized.core.buffer_words
    sim = simulated(sized)
    dut = sim.dut

    async def bench(ctx):
        expected = dict.fromkeys(READERS)
        for _ in range(150):
            for name in READERS:
                port = getattr(dut, name)
                if expected[name] is not None:
                    assert ctx.get(port.data) == expected[name], name
                address = rng.randrange(64)
                enable = rng.random() < 0.7
                ctx.set(port.en, enable)
                ctx.set(port.addr, address)
                if enable:
                    expected[name] = words[address % 32]    # before this cycle's writes
            taken = set()
            for name in WRITERS:
                port = getattr(dut, name)
                address, mask = rng.randrange(64), rng.getrandbits(parts)
                value = rng.getrandbits(parts * flit_bits)
                enable = rng.random() < 0.6 and address % 32 not in taken
                ctx.set(port.en, enable)
                ctx.set(port.addr, address)
                ctx.set(port.mask, mask)
                ctx.set(port.data, value)
                if enable:
                    taken.add(address % 32)
                    select = sum((1 << flit_bits) - 1 << n * flit_bits
                                 for n in range(parts) if mask >> n & 1)
                    words[address % 32] = words[address % 32] & ~select | value & select
            await ctx.tick()

    sim.run(bench)


def test_both_writers_share_a_word():
    sized = machine(16)
    sim = simulated(sized)
    dut = sim.dut

    async def bench(ctx):
        for name, mask, value in (("ingress", 0b0011, 0x1), ("sfu", 0b1100, 0x2)):
            port = getattr(dut, name)
            ctx.set(port.en, 1)
            ctx.set(port.addr, 7)
            ctx.set(port.mask, mask)
            ctx.set(port.data, sum(value << 128 * n for n in range(4)))
        await ctx.tick()
        ctx.set(dut.ingress.en, 0)
        ctx.set(dut.sfu.en, 0)
        ctx.set(dut.send.en, 1)
        ctx.set(dut.send.addr, 7)
        await ctx.tick()
        assert ctx.get(dut.send.data) == 1 | 1 << 128 | 2 << 256 | 2 << 384

    sim.run(bench)
