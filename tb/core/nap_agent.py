"""Host and router around a core that falls asleep: what comes to it at every phase of that."""

from ouroboros.hw.core.core import NAP_CYCLES
from ouroboros.hw.params import counters
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Unit
from ouroboros.sw.program.packets import read_packet
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.noc.links import LinkSink, LinkSource

__all__ = ["NapAgent"]

HOST, ME = (0, 1), (2, 1)
REPLY_FLITS = 2
PHASES = NAP_CYCLES + 12
"""Cycles after a reply's last flit at which credits come: while all is at work, and long asleep."""
ANSWER_CYCLES = 400
"""By then what is asked of a core that has nothing else to do is there."""


class NapAgent(Agent):
    """READs of a core that is otherwise without work; link credits come back when it sleeps.

    Parameters
    ----------
    machine : Machine
        Sizes.
    """

    def __init__(self, dut: Dut, machine: Machine):
        super().__init__(dut)
        self.machine = machine
        self._give = 0
        self.ends.append(self)
        self.source = LinkSource(self, "link_in", machine.noc)
        self.sink = LinkSink(self, "link_out", machine.noc, hold=lambda vc: not self._gives())
        for name, value in zip("xy", ME, strict=True):
            dut.set(name, value)

    async def credits_at_every_phase(self) -> None:
        """No link credit is lost, whenever it comes: afterwards the core can send its whole depth.

        Each of two credits comes alone, so that the second finds the core asleep again.
        """
        await self.step(2 * PHASES)
        for phase in range(PHASES):
            await self._ask(1, f"before credits at phase {phase}")
            for _ in range(REPLY_FLITS):
                await self.step(phase)
                self._give = 1
                await self.step(PHASES)
            depth = self.machine.noc.vc_depth
            await self._ask(depth // REPLY_FLITS, f"after credits at phase {phase}")
            # All at once, to a core at work: what is looked at is above.
            self._give = depth
            await self.step(depth + PHASES)
            assert self.source.whole, f"the core owes its neighbour credits at phase {phase}"

    async def requests_at_every_phase(self) -> None:
        """A packet is answered, whenever it comes."""
        await self.step(2 * PHASES)     # the core's reset is a cycle late
        for phase in range(PHASES):
            await self._ask(1, f"phase {phase}")
            self._give = REPLY_FLITS
            await self.step(phase)

    async def _ask(self, entries: int, when: str) -> None:
        wanted = len(self.sink.flits) + REPLY_FLITS * entries
        self.source.send(read_packet(self.machine, src=HOST, dst=ME, unit=Unit.COUNTER,
                                     address=counters.Counter.FLITS_OUT, count=entries).flits())
        last = self.cycle + ANSWER_CYCLES
        while len(self.sink.flits) < wanted:
            assert self.cycle < last, (f"{wanted - len(self.sink.flits)} of "
                                       f"{REPLY_FLITS * entries} flits never came, {when}")
            await self.step()

    def _gives(self) -> bool:
        give, self._give = self._give > 0, max(self._give - 1, 0)
        return give

    def drive(self) -> None:
        """Nothing of its own."""

    def look(self) -> None:
        """Nothing of its own."""
