"""Long random use of a KV manager, checked by a ledger."""

import random
from collections import deque
from typing import Any

from ouroboros.hw.kv.layout import KvOp
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.tb.kv.ledger import Answer, Command, Layout, Ledger
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.lib.stream import StreamSink, StreamSource

__all__ = ["KvOperations"]

AHEAD = 3
"""Commands that wait at the port."""
REFUSED = 0.01
"""Part of the commands that no table can hold."""
EVICTED = 0.03
"""Part of them that free a sequence."""


class KvOperations(Agent):
    """Sequences grow, are read, and are evicted, until blocks run out and after.

    Parameters
    ----------
    machine : Machine
        Sizes.
    """

    def __init__(self, dut: Dut, machine: Machine, *, stall: float, rng: random.Random):
        super().__init__(dut, stall=stall, rng=rng)
        self.machine = machine
        self.ledger = Ledger(machine, self._layout())
        self._open: deque[Command] = deque()
        self._lengths: dict[tuple[int, int], int] = {}
        self._left = 0
        self.ends.append(self)
        self.rsp = StreamSink(self, "rsp", self._came)
        self.cmd = StreamSource(self, "cmd", taken=self._taken)

    def _layout(self) -> Layout:
        """Macros at random; few enough that K, V or pages run out first, now and then."""
        rng, cim, core = self.rng, self.machine.cim, self.machine.core
        macros = rng.sample(range(core.macros), rng.randrange(2, core.macros + 1))
        cut = rng.randrange(1, len(macros))
        return Layout(
            k_macros=sum(1 << m for m in macros[:cut]), v_macros=sum(1 << m for m in macros[cut:]),
            k_blocks=max(rng.randrange(1, cim.groups + 1) for _ in range(2)),
            v_slots=rng.randrange(1, cim.outputs // core.lanes + 1),
            heads=rng.randrange(1, self.machine.kv.heads + 1))

    async def run(self, operations: int) -> None:
        """New settings, then so many operations; all of what is allocated is freed at the end."""
        layout, kv = self._layout(), self.machine.kv
        self.ledger.layout = layout
        fields = {field.name: getattr(layout, field.name, 0) for field in KV_CONFIG.fields}
        fields["v_stays"] = self.rng.randrange(2)
        await self.write(Unit.KV, 0, KV_CONFIG.pack(fields))
        self._lengths.clear()
        self._left = operations
        await self.until(lambda: not self._left and not self.cmd.queue and not self._open,
                         cycles=100 * operations + 1000)
        assert self.dut.get("used") == self.ledger.used
        for sequence in range(kv.sequences):
            self.cmd.send(_payload(Command(KvOp.FREE, sequence)))
        await self.until(lambda: not self.cmd.queue and not self._open)
        assert self.dut.get("used") == self.ledger.used == 0

    def drive(self) -> None:
        """Keeps commands waiting."""
        while self._left and len(self.cmd.queue) < AHEAD:
            self._left -= 1
            self.cmd.send(_payload(self._choose()))

    def look(self) -> None:
        """Nothing of its own."""

    def _choose(self) -> Command:
        rng, kv, tokens = self.rng, self.machine.kv, self.machine.block_tokens
        kind = rng.random()
        if kind < REFUSED:
            return Command(rng.choice(list(KvOp)), rng.choice((0, kv.sequences)),
                           rng.choice((0, kv.heads)), rng.choice((0, kv.blocks)))
        sequence, head = rng.randrange(kv.sequences), rng.randrange(self.ledger.layout.heads)
        if kind < REFUSED + EVICTED:
            for other in range(kv.heads):
                self._lengths.pop((sequence, other), None)
            return Command(KvOp.FREE, sequence)
        length = self._lengths.get((sequence, head), 0)
        if kind < 0.4:
            return Command(KvOp.LOOKUP, sequence, head, rng.randrange(length // tokens + 2))
        if kind < 0.45:     # anywhere
            return Command(KvOp.APPEND, sequence, head, rng.randrange(kv.blocks),
                           rng.randrange(tokens))
        # The next token, or some tokens on; if it finds no room, it is not tried again.
        position = length + rng.choice((0, 0, 0, rng.randrange(tokens)))
        self._lengths[sequence, head] = (position + 1) % (kv.blocks * tokens)
        return Command(KvOp.APPEND, sequence, head, position // tokens % kv.blocks,
                       position % tokens)

    def _taken(self, payload: Any) -> None:
        self._open.append(Command(KvOp(payload["op"]), *(payload[name] for name in (
            "sequence", "head", "block", "token"))))

    def _came(self, reply: Any) -> None:
        assert self._open, "a reply must answer a command"
        k, v = reply.k, reply.v
        self.ledger.check(self._open.popleft(), Answer(
            bool(reply.ok), bool(reply.full), (k.macro, k.block), (v.macro, v.block, v.slot),
            reply.valid))


def _payload(command: Command) -> dict[str, int]:
    return {"op": command.op, "sequence": command.sequence, "head": command.head,
            "block": command.block, "token": command.token}
