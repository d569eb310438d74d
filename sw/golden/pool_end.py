"""The end of a pool's link: what it does with packets is what a core of its KV group would do."""

import random
from collections.abc import Callable, Sequence

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Kind
from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.params.position import Position
from ouroboros.sw.golden.array import CoreError
from ouroboros.sw.golden.core import GoldenCore
from ouroboros.sw.golden.pool import PoolArray, Rank
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import PoolStage

__all__ = ["PoolEnd", "pool_ends"]


class PoolEnd:
    """All stages of the pool at one edge port.

    Each has slots, buffer and tables as a core's, and runs the program of a core that is a member
    of the same KV group; APPEND, SCORE and CONTEXT are the rank's (``sw.golden.pool``). So it sends
    the packets that such a core would send.

    Parameters
    ----------
    machine : Machine
        Sizes of the stages.
    place : Position
        The edge port.
    rank : PimParams
        Of the pool.
    send : callable
        Takes every packet that it sends.
    """

    def __init__(self, machine: Machine, place: Position, rank: PimParams,
                 send: Callable[[Packet], None]):
        self.machine, self.place, self.send = machine, place, send
        self.rank = Rank(rank)
        self.stages: dict[int, GoldenCore] = {}
        self.lost = False
        """It takes nothing any more, and has nothing."""

    def add(self, stage: PoolStage) -> None:
        """Tell it of a stage."""
        index = stage.info.index
        core = GoldenCore(self.machine, self.place, self.send)
        core.array = PoolArray(self.machine, self.rank, index, buffer=core.buffer,
                               name=f"pool {self.place}, stage {stage.info.name}")
        for write in stage.image.writes:
            for address, value in enumerate(write.values, write.address):
                core.write(write.unit, address, value)
        self.stages[index] = core

    def connect(self, send: Callable[[Packet], None]) -> None:
        """Whoever takes its packets from now on."""
        self.send = send
        for core in self.stages.values():
            core.inject = send

    def receive(self, packet: Packet) -> None:
        """Take one packet; programs run in ``run``.

        Raises
        ------
        CoreError
            If it is none for a stage of the pool.
        """
        header = packet.header
        stage = self.stages.get(header["stage"]) if header["kind"] == Kind.DATA else None
        if stage is None:
            raise CoreError(f"packet to the pool at {self.place} must be data for one of its "
                            f"stages {sorted(self.stages)}, not {dict(header)}")
        stage.receive(packet)

    def run(self) -> bool:
        """Go on with every token that can; true if anything was done."""
        moved = False
        for core in self.stages.values():
            moved |= core.run()
        return moved

    def advance(self, rng: random.Random) -> bool:
        """Go on with one token of one stage; false if none can."""
        stages = [*self.stages.values()]
        rng.shuffle(stages)
        return any(core.advance(rng) for core in stages)

    def tokens(self, sequence: int) -> int:
        """Tokens of a sequence of which K and V are here, of the group that has most."""
        if self.lost:
            return 0
        return max((self.rank.tokens(stage, sequence) for stage in self.stages), default=0)


def pool_ends(machine: Machine, pools: Sequence[PoolStage],
              send: Callable[[Packet], None]) -> dict[Position, PoolEnd]:
    """The ends of all pools of a program, by their ports."""
    ends: dict[Position, PoolEnd] = {}
    for stage in pools:
        place = stage.info.core
        if place not in ends:
            ends[place] = PoolEnd(machine, place, stage.rank, send)
        ends[place].add(stage)
    return ends
