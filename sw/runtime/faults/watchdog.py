"""A link that notices when a machine has stopped, and that faults come through."""

from collections.abc import Callable
from typing import Protocol

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.runtime.faults.fault import Hurts

__all__ = ["ClockedLink", "RecoveryError", "Silence", "Watched"]


class Silence(OuroborosError):
    """Nothing has passed the host's port for longer than a sound machine would take."""


class RecoveryError(OuroborosError):
    """A machine that cannot be brought back; what was generated before is not touched."""


class ClockedLink(Protocol):
    """A ``Link`` to a machine with a clock and a reset."""

    async def send(self, packets: list[Packet]) -> None:
        """See ``Link``."""

    async def recv(self) -> Packet:
        """See ``Link``."""

    async def wait(self, cycles: int) -> None:
        """See ``Link``."""

    async def recv_until(self, cycle: int) -> Packet | None:
        """The next packet, or None if there was none by that cycle."""

    async def reset(self) -> None:
        """Reset the machine; packets on their way, in both directions, are gone."""

    @property
    def cycles(self) -> int:
        """Clock cycles so far."""

    @property
    def moved(self) -> int:
        """Cycle in which the last flit passed the host's port, in or out."""


class Watched:
    """See ``sw.runtime.link.Link``; waiting ends in ``Silence`` if nothing moves.

    Parameters
    ----------
    link : ClockedLink
        What does the work.
    hurts : Hurts
        Faults, in cycles from ``begin`` on; none come before.
    limit : int
        Cycles without a flit at the host's port that a sound machine never takes.
    part : (int, callable), optional
        A cycle, and what gives the faults from then on; called once.
    """

    def __init__(self, link: ClockedLink, hurts: Hurts, limit: int,
                 part: tuple[int, Callable[[], Hurts]] | None = None):
        self.link, self.hurts, self.limit = link, hurts, limit
        self._part = part
        self._zero: int | None = None

    def begin(self) -> None:
        """The first token goes in."""
        self._zero = self.link.cycles

    @property
    def run_cycles(self) -> int:
        """Cycles since ``begin``, or 0 before."""
        return 0 if self._zero is None else self.link.cycles - self._zero

    @property
    def cycles(self) -> int | None:
        """See ``Link``."""
        return self.link.cycles

    async def send(self, packets: list[Packet]) -> None:
        """See ``Link``."""
        await self._hurt()
        await self.link.send(packets)

    async def recv(self) -> Packet:
        """See ``Link``.

        Raises
        ------
        Silence
            If nothing has come, and nothing could be sent, for ``limit`` cycles.
        """
        began = self.link.cycles
        while True:
            await self._hurt()
            end = max(self.link.moved, began) + self.limit
            until = end
            if self._zero is not None and (cycle := self._next_cycle) is not None:
                until = min(end, self._zero + cycle)
            packet = await self.link.recv_until(until)
            if packet is not None:
                return packet
            if self.link.cycles >= max(self.link.moved, began) + self.limit:
                raise Silence(f"nothing has passed the host's port for {self.limit} cycles")

    async def wait(self, cycles: int) -> None:
        """See ``Link``."""
        await self.link.wait(cycles)

    async def reset(self) -> None:
        """See ``ClockedLink``; what is hurt stays hurt."""
        await self.link.reset()
        # Routers know of nothing dead now.
        self.hurts.program = None
        await self._hurt()
        await self.link.send(self.hurts.again())

    @property
    def _next_cycle(self) -> int | None:
        return self.hurts.next_cycle if self._part is None else self._part[0]

    async def _hurt(self) -> None:
        if (self._part is not None and self._zero is not None
                and self.run_cycles >= self._part[0]):
            (_, part), self._part = self._part, None
            self.hurts = part()
        if self._zero is not None and (packets := self.hurts.due(self.run_cycles)):
            await self.link.send(packets)
