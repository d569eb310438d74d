"""Agents notice what they are there for; ``Fickle`` is a stream that can break its promises."""

from functools import cache, partial

import pytest
from amaranth import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.tb.lib.agent import Agent
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.lib.stream import StreamSink, StreamSource


class Fickle(wiring.Component):
    """A register for one item; ``drops`` offers it for a cycle only, ``changes`` another one."""

    def __init__(self):
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8)),
                          "drops": In(1), "changes": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.o.ready | self.drops):
            m.d.sync += self.o.valid.eq(0)
        m.d.sync += self.o.payload.eq(Mux(self.changes, self.o.payload + 1, self.o.payload))
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(self.i.payload)]
        return m


@cache
def simulated():
    return PySim(Fickle())


def run(stall, cycles=500, **faults):
    async def story(dut):
        for name in faults:
            dut.set(name, 1)
        agent, came = Agent(dut, stall=stall), []
        StreamSink(agent, "o", came.append)
        source = StreamSource(agent, "i")
        for item in range(30):
            source.send(item)
        await agent.until(lambda: len(came) == 30, cycles)
        assert came == list(range(30))

    simulated().tell(story)


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_a_stream_that_keeps_its_promises(stall):
    run(stall)


@pytest.mark.parametrize("fault", ["drops", "changes"])
def test_one_that_does_not_is_seen_when_it_is_stalled(fault):
    run(0.0, **{fault: True})
    with pytest.raises(AssertionError, match=r"^o must offer \d+ until it is taken, not "):
        run(0.5, **{fault: True})


def test_what_never_comes_is_a_hang():
    with pytest.raises(AssertionError, match="hangs"):
        run(1.0)


def reached(agent, cycle):
    return agent.cycle >= cycle


def test_processes_go_on_side_by_side():
    seen = []

    async def story(dut):
        agent = Agent(dut)

        def process(name, cycles):
            for until in cycles:
                yield partial(reached, agent, until)
                seen.append((agent.cycle, name))

        await agent.together(process("a", [3, 5]), process("b", [4]))

    simulated().tell(story)
    assert seen == [(3, "a"), (4, "b"), (5, "a")]
