"""A core under load: tokens in its slots, and what they share."""

from collections import defaultdict
from dataclasses import dataclass, field

from ouroboros.hw.params.isa import Op
from ouroboros.sw.perf.array_queue import ArrayQueue
from ouroboros.sw.program.image import Instruction, Stage, Token

__all__ = ["Core", "Work"]


@dataclass(slots=True, eq=False)
class Work:
    """A token in a slot; cycles are absolute."""

    stage: Stage
    """Whose program it runs."""
    token: Token
    """The token."""
    number: int
    """Of the token."""
    seen: list[list[int]] = field(default_factory=lambda: [[], [], [], []])
    """By operand: when a WAIT sees each packet."""
    at: int = 0
    """Index of the next instruction."""
    ready: int | None = 0
    """When the dispatcher may pick it; None: not before something happens."""
    start: int | None = None
    """When its first WAIT was met."""
    parked: bool = False
    """It waits for a unit or credits, and goes on once they are there."""

    def wait(self, wait: Instruction, now: int) -> None:
        """Say when a WAIT is met, if that is known."""
        seen, packets = self.seen[wait.fields["operand"]], wait.fields["packets"]
        if len(seen) >= packets:
            self.ready = max(now, max(seen[:packets], default=0))


@dataclass(slots=True)
class Core:
    """What the slots of a core share; cycles are absolute."""

    array: ArrayQueue[Work]
    """The array unit."""
    slots: list[Work] = field(default_factory=list)
    """Oldest first."""
    free: int = 0
    """When the dispatcher can pick again."""
    sfu: int = 0
    """When the SFU accepts its next instruction."""
    sfu_held: int = 0
    """When its register is free, in which an instruction waits."""
    send: int = 0
    """As ``sfu``, of the send unit."""
    send_held: int | None = 0
    """As ``sfu_held``; None: not known yet."""
    credits: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By counter."""
    looks: set[int] = field(default_factory=set)
    """Cycles to come in which the dispatcher looks at its slots."""
    returning: int = 0
    """When the credits of the last END are out."""

    def can(self, work: Work, now: int) -> bool:
        """Whether a slot's unit has room for its instruction, and its credits are there."""
        instruction = work.stage.code[work.at]
        if instruction.op is Op.SEND:
            return (self.send_held is not None and self.send_held <= now
                    and self._credited(work, instruction))
        if instruction.op is Op.SFU:
            return self.sfu_held <= now
        return self.array.takes(work, now)

    def _credited(self, work: Work, send: Instruction) -> bool:
        mask = work.stage.dests[send.fields["dest"]].counters if send.fields["acquire"] else 0
        return all(count > 0 for counter, count in self.credits.items() if mask >> counter & 1)

    def wakes(self, now: int) -> int | None:
        """When the next slot is ready, or a unit may be; None: not by itself."""
        soon = [work.ready for work in self.slots if work.ready is not None and work.ready > now]
        if any(work.parked for work in self.slots):
            soon += [cycle for cycle in (self.sfu_held, self.send_held, self.array.held)
                     if cycle is not None and cycle > now]
        return min(soon, default=None)
