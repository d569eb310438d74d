"""The only door between host software and a machine: golden, simulated or real."""

from typing import Protocol

from ouroboros.sw.program.packets import Packet

__all__ = ["Link", "Noting"]


class Link(Protocol):
    """Transport of packets to and from the host's edge port.

    Host code awaits nothing but these methods, so that it runs unchanged under asyncio, under
    cocotb and on the golden model.
    """

    async def send(self, packets: list[Packet]) -> None:
        """Hand packets over in order; returns once they are accepted for transport."""

    async def recv(self) -> Packet:
        """Wait for the next packet to the host."""

    async def wait(self, cycles: int) -> None:
        """Let clock cycles pass while the machine has nothing to do; 0 where there is no clock."""

    @property
    def cycles(self) -> int | None:
        """Clock cycles so far, or None where there is no clock."""


class Noting:
    """A link that notes what is sent over it.

    Parameters
    ----------
    link : Link
        What does the work.
    notes : list
        Gets every packet.
    """

    def __init__(self, link: Link, notes: list[Packet]):
        self.link, self.notes = link, notes

    async def send(self, packets: list[Packet]) -> None:
        """See ``Link``."""
        self.notes += packets
        await self.link.send(packets)

    async def recv(self) -> Packet:
        """See ``Link``."""
        return await self.link.recv()

    async def wait(self, cycles: int) -> None:
        """See ``Link``."""
        await self.link.wait(cycles)

    @property
    def cycles(self) -> int | None:
        """See ``Link``."""
        return self.link.cycles
