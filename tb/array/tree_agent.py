"""Random beats through an adder tree, each compared with the golden model."""

from typing import Any

import numpy as np

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.golden.tree import tree_sum
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.lib.scoreboard import Scoreboard
from ouroboros.tb.lib.stream import StreamSink, StreamSource

__all__ = ["TreeAgent"]

EXTREMES = [-2**31, 2**31 - 1, -1, 0, 1]


class TreeAgent(Agent):
    """Both ends of an ``AdderTree``."""

    def __init__(self, dut: Dut, machine: Machine, **options: Any):
        super().__init__(dut, **options)
        self.machine, self.sums = machine, Scoreboard("sums")
        self.o = StreamSink(self, "o", self._came)
        self.i = StreamSource(self, "i")

    def send(self, leaves: np.ndarray, mask: np.ndarray, valid: int) -> list[int]:
        """Queue a beat; what must come of it."""
        bits = sum(int(bit) << leaf for leaf, bit in enumerate(mask))
        self.i.send({"leaves": leaves.tolist(), "mask": bits, "valid": valid})
        sums = tree_sum(leaves, mask).tolist()
        self.sums.expect((sums, valid))
        return sums

    def send_random(self, count: int) -> None:
        """Queue beats of every magnitude and of no, some and all macros."""
        rng = np.random.default_rng(self.rng.getrandbits(64))
        macros, lanes = self.machine.core.macros, self.machine.core.lanes
        for _ in range(count):
            leaves = rng.integers(-2**31, 2**31, (macros, lanes))
            leaves = np.where(rng.random(leaves.shape) < 0.3, rng.choice(EXTREMES, leaves.shape),
                              leaves)
            self.send(leaves, rng.random(macros) < rng.choice([0, 0.3, 0.7, 1]),
                      int(rng.integers(1 << lanes)))

    async def finish(self) -> None:
        """Wait for every beat; no more may come."""
        sent = len(self.i.queue) + len(self.i.times)
        await self.until(lambda: self.sums.checked == sent)
        await self.step(20)
        self.sums.finish()

    def _came(self, beat: Any) -> None:
        self.sums.actual(([beat.data[lane] for lane in range(self.machine.core.lanes)],
                          int(beat.valid)))
