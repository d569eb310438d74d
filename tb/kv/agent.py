"""Stand-in for the array unit at a KV manager; every reply is compared with the golden model's."""

import random
from collections import deque
from typing import Any

from ouroboros.hw.kv.layout import BLOCK_BITS, KvOp
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.hw.params.widths import HEAD_BITS, SEQUENCE_BITS
from ouroboros.sw.golden.kv import KvGolden, KvReply, KvSettings, Place
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.lib.met import met
from ouroboros.tb.lib.scoreboard import Scoreboard
from ouroboros.tb.lib.stream import StreamSink, StreamSource

__all__ = ["KvAgent", "spread_settings"]

NAMED_BITS = SEQUENCE_BITS, HEAD_BITS, BLOCK_BITS
AGAIN = 0.4
"""Part of the commands that are of the same block as the one before."""
ILLEGAL = 0.2
"""Part of the commands that have a bit of their sequence, head or block changed."""
SETTLES_CYCLES = 6
"""After its last reply a manager finishes what it has begun, and is not active then."""


def spread_settings(machine: Machine, rng: random.Random) -> KvSettings:
    """Any macros for K, any others for V, up to all heads and blocks; only what a manager reads."""
    cim, macros = machine.cim, list(range(machine.core.macros))
    rng.shuffle(macros)
    k = rng.randrange(1, len(macros))
    v = rng.randrange(1, len(macros) - k + 1)
    return KvSettings(
        k_macros=sum(1 << n for n in macros[:k]), v_macros=sum(1 << n for n in macros[k:k + v]),
        k_groups=1, k_blocks=rng.choice((1, 2, 3, cim.groups // 2, cim.groups)),
        v_slots=rng.randrange(1, cim.outputs // machine.core.lanes + 1),
        head_dim=machine.core.lanes, heads=rng.randrange(1, machine.kv.heads + 1),
        v_stays=rng.randrange(2))


class KvAgent(Agent):
    """Sends commands and takes replies, with stalls on both sides.

    Parameters
    ----------
    machine : Machine
        Sizes.
    settings : KvSettings
        How blocks lie.
    """

    def __init__(self, dut: Dut, machine: Machine, settings: KvSettings, *, stall: float = 0.0,
                 rng: random.Random | None = None):
        super().__init__(dut, stall=stall, rng=rng)
        self.machine, self.settings = machine, settings
        self.golden = KvGolden(machine, settings)
        self.replies = Scoreboard("rsp")
        self._open: deque[KvOp] = deque()
        self._used = 0
        self._written: int | None = None
        """Settings as they were written last."""
        self.ends.append(self)
        # Before commands: a reply may not come in the cycle in which its command is taken.
        self.rsp = StreamSink(self, "rsp", self._came)
        self.cmd = StreamSource(self, "cmd", taken=lambda cmd: self._open.append(cmd["op"]))

    def drive(self) -> None:
        """Nothing of its own."""

    def look(self) -> None:
        """Whoever owes a reply is active; the settings are what was written last."""
        if self._written is not None:
            got = KV_CONFIG.pack({field.name: self.dut.get("settings")[field.name]
                                  for field in KV_CONFIG.fields})
            assert got == self._written, f"settings: got {got:#x}, expected {self._written:#x}"
        assert self.dut.get("active") or not self._open, "active must be set until the last reply"

    async def configure(self) -> None:
        """Write the settings, which forgets every block."""
        self.golden = KvGolden(self.machine, self.settings)
        await self.write(Unit.KV, 0, KV_CONFIG.pack(self.settings.fields()))

    async def write(self, unit: int, address: int, value: int) -> None:
        """Write a configuration entry by port ``config``."""
        await super().write(unit, address, value)
        self._written = value

    def send(self, op: KvOp, sequence: int, head: int = 0, block: int = 0,
             token: int = 0, source: int = 0) -> KvReply:
        """Queue a command; its reply."""
        self.cmd.send({"op": op, "sequence": sequence, "head": head, "block": block,
                       "token": token, **({"source": source} if self.machine.kv.shares else {})})
        if op == KvOp.FREE:
            reply = self.golden.free(sequence)
        elif op == KvOp.APPEND:
            reply = self.golden.append(sequence, head, block, token)
        elif op == KvOp.SHARE:
            reply = self.golden.share(sequence, head, block, source)
        else:
            reply = self.golden.lookup(sequence, head, block)
        self.golden.check()
        self.replies.expect(KvReply(reply.ok, reply.full, reply.k, reply.v,
                                    0 if op == KvOp.APPEND else reply.valid))
        return reply

    async def settled(self) -> None:
        """Wait for all replies; as many blocks are used as the golden model says."""
        await self.until(lambda: not self.cmd.queue and not self._open)
        for _ in range(2 * self.machine.kv.shares):     # until a FREE is counted
            await self.dut.tick()
        assert self.dut.get("used") == self.golden.used

    async def run(self, op: KvOp, *what: int) -> tuple[KvReply, int]:
        """One command by itself; its reply and how many cycles it took."""
        reply = self.send(op, *what)
        await self.settled()
        return reply, self.rsp.times[-1] - self.cmd.times[-1]

    async def append(self, sequence: int, head: int, block: int,
                     token: int) -> tuple[KvReply, int]:
        """APPEND by itself."""
        return await self.run(KvOp.APPEND, sequence, head, block, token)

    async def share(self, sequence: int, head: int, block: int,
                    source: int) -> tuple[KvReply, int]:
        """SHARE by itself."""
        return await self.run(KvOp.SHARE, sequence, head, block, 0, source)

    async def lookup(self, sequence: int, head: int, block: int) -> tuple[KvReply, int]:
        """LOOKUP by itself."""
        return await self.run(KvOp.LOOKUP, sequence, head, block)

    async def free(self, sequence: int) -> tuple[KvReply, int]:
        """FREE by itself."""
        return await self.run(KvOp.FREE, sequence)

    async def random_commands(self, count: int) -> None:
        """Commands back to back until blocks run out and after.

        Then nothing has leaked: everything that is freed can be allocated again, to the last block.
        """
        kv, rng = self.machine.kv, self.rng
        # Bits that no field of these sizes has are kept, too.
        await self.write(Unit.KV, 0, rng.getrandbits(KV_CONFIG.bits))
        await self.configure()
        last = [0, 0, 0]
        for _ in range(count):
            op = rng.choices([KvOp.LOOKUP, KvOp.APPEND, KvOp.FREE], [5, 5, 0.3])[0]
            what = [*last] if rng.random() < AGAIN else [
                rng.randrange(min(4, kv.sequences)), rng.randrange(kv.heads),
                rng.randrange(kv.blocks)]
            last = [*what]
            if rng.random() < ILLEGAL:
                part = rng.randrange(len(what))
                what[part] ^= 1 << rng.randrange(NAMED_BITS[part])
            self.send(op, *what, rng.randrange(self.machine.block_tokens))
        await self.settled()
        await self.until(lambda: not self.dut.get("active"), SETTLES_CYCLES)
        self._free_all()
        for index in range(kv.sequences * kv.heads * kv.blocks):
            self.send(KvOp.APPEND, index // kv.blocks // kv.heads, index // kv.blocks % kv.heads,
                      index % kv.blocks)
        await self.settled()
        # To the last page, which only a full table has.
        self._free_all()
        await self.settled()
        self.replies.finish()

    def _free_all(self) -> None:
        for sequence in range(self.machine.kv.sequences):
            self.send(KvOp.FREE, sequence)
        assert not self.golden.used

    def _outcome(self, op: KvOp, reply: Any) -> str:
        """A word for what came of a command; a block is new if more are in use than before."""
        used, self._used = self._used, self.dut.get("used")
        if op == KvOp.APPEND and reply.ok:
            return "new" if self._used > used else "there"
        if op == KvOp.APPEND:
            return "full" if reply.full else "refused"
        if op == KvOp.LOOKUP:
            return "found" if reply.ok else "absent"
        return "done" if reply.ok else "refused"

    def _came(self, reply: Any) -> None:
        assert self._open, "a reply must answer a command"
        op = self._open.popleft()
        met("kv", KvOp(op), self._outcome(KvOp(op), reply))
        if not reply.ok or op in (KvOp.FREE, KvOp.SHARE):
            self.replies.actual(KvReply(bool(reply.ok), bool(reply.full)))
            return
        k, v = reply.k, reply.v
        self.replies.actual(KvReply(
            True, bool(reply.full), Place(k.macro, k.block), Place(v.macro, v.block, v.slot),
            reply.valid if op == KvOp.LOOKUP else 0))
