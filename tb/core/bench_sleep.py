"""Credits that come back to a core whose clock has stopped, at every phase of its falling asleep.

Reads MACHINE and PHASES from the environment.
"""

import os

import cocotb

from ouroboros.hw.core.core import Core
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.counters import Counter
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Unit
from ouroboros.sw.program.packets import read_packet
from ouroboros.tb.lib.agent import Agent
from ouroboros.tb.lib.cosim import CocotbDut
from ouroboros.tb.noc.links import LinkSink, LinkSource

HOST, ME = (0, 1), (2, 1)
REPLY_FLITS = 2
SLEEPS_CYCLES = 24
"""More than a core stays awake after its last activity."""


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def late_credits(dut):
    """A core fills its neighbour's buffer, falls asleep, and wakes for each credit that comes."""
    machine = load_machine(os.environ["MACHINE"])
    agent = Agent(await CocotbDut.started(dut, Core(machine, Library())))
    holding = False
    source = LinkSource(agent, "link_in", machine.noc)
    sink = LinkSink(agent, "link_out", machine.noc, hold=lambda vc: holding)
    for name, value in zip("xy", ME, strict=True):
        agent.dut.set(name, value)

    async def read(entries, credits):
        """READs of counters; as many flits come out as there are credits."""
        wanted = len(sink.flits) + credits
        source.send(read_packet(machine, src=HOST, dst=ME, unit=Unit.COUNTER,
                                address=Counter.FLITS_OUT, count=entries).flits())
        await agent.until(lambda: len(sink.flits) == wanted, cycles=2000)

    depth = machine.noc.vc_depth
    for phase in range(int(os.environ["PHASES"])):
        for gap in (0, 1, SLEEPS_CYCLES):
            holding = True
            await read(depth // REPLY_FLITS, depth - depth % REPLY_FLITS)
            await agent.step(phase)
            for _ in range(depth):
                holding = False
                await agent.step()
                holding = gap > 0
                await agent.step(gap)
            holding = False
            await agent.step(SLEEPS_CYCLES)
    # Had one been lost, these would never all come; had one been seen twice, too many would.
    holding = True
    await read(depth, depth)
    await agent.step(SLEEPS_CYCLES)
    assert sink.seen[-1] < agent.cycle - SLEEPS_CYCLES + 1, "a flit without a credit"
    holding = False
    await agent.until(lambda: len(sink.packets) * REPLY_FLITS == len(sink.flits)
                      and source.empty and source.whole, cycles=2000)
