"""The only door between host software and a machine: golden, simulated or real."""

from typing import Protocol

from ouroboros.sw.program.packets import Packet

__all__ = ["Link"]


class Link(Protocol):
    """Transport of packets to and from the host's edge port.

    Host code awaits nothing but these methods, so that it runs unchanged under asyncio, under
    cocotb and on the golden model.
    """

    async def send(self, packets: list[Packet]) -> None:
        """Hand packets over in order; returns once they are accepted for transport."""

    async def recv(self) -> Packet:
        """Wait for the next packet to the host."""

    @property
    def cycles(self) -> int | None:
        """Clock cycles so far, or None where there is no clock."""
