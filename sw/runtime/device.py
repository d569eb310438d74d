"""A machine as the host sees it: loading a program, reading counters and traces."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import NamedTuple

from ouroboros.hw.params.counters import STAGE_STATES, Counter, counter_count, stage_counter
from ouroboros.hw.params.packet import TRACE_ENTRY, Kind, Unit
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.program.packets import Packet, read_packet, write_packets
from ouroboros.sw.program.program import Program, Write
from ouroboros.sw.runtime.link import Link

__all__ = ["CoreCounters", "Device", "DeviceError", "TraceEntry"]

READ_CHUNK = 64
"""Entries asked for by one READ."""


class DeviceError(OuroborosError):
    """The machine answered something that the host did not expect."""


class Span(NamedTuple):
    """Entries of a unit that lie one behind the other, ``READ_CHUNK`` at most."""

    core: Position
    unit: Unit
    address: int
    """Of the first."""
    entries: int


@dataclass(frozen=True, slots=True)
class CoreCounters:
    """Event counters of one core."""

    events: dict[str, int]
    """By name of ``hw.params.counters.Counter``."""
    stages: list[dict[str, int]]
    """Cycles by state, for each stage number."""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One token in one stage."""

    stage: int
    """Stage number in the core."""
    sequence: int
    """Sequence id."""
    position: int
    """Position of the token."""
    flags: int
    """Flags at the end."""
    start: int
    """Cycle in which its operands were complete."""
    end: int
    """Cycle of its END."""


class Device:
    """Loads programs and reads counters; packets of the run go through ``sw.runtime.engine``.

    Parameters
    ----------
    link : Link
        Transport.
    program : Program
        What to run.
    built : Set[Position], optional
        The cores that there are; by default all.
    """

    def __init__(self, link: Link, program: Program, built: Set[Position] | None = None):
        self.link, self.program = link, program
        self.cores = [core for core in program.reachable if built is None or core in built]
        """Those that the host can write to and read from, idle ones included."""

    def load_packets(self) -> list[Packet]:
        """Every configuration packet of the program, those of the network first."""
        return [*self.network_packets(), *(
            packet for core, image in self.program.images.items()
            for write in image.writes for packet in self.write(core, write))]

    def network_packets(self) -> list[Packet]:
        """What tells the routers about dead ports, and how to get around them."""
        detours = self.program.detours
        return [] if detours is None else [
            packet for core, write in detours.writes for packet in self.write(core, write)]

    def write(self, core: Position, write: Write) -> list[Packet]:
        machine = self.program.machine
        return write_packets(machine, write.values, src=machine.host, dst=core, unit=write.unit,
                             address=write.address, way=self.program.way_there(core))

    async def load(self) -> int:
        """Write the program into the machine; returns the packets sent.

        Configuration travels in order on one virtual channel from one port, so that whatever is
        sent to a core afterwards finds it configured; tokens use another channel: ``barrier``.
        Routers know what is dead before anything is sent that is not for them.
        """
        packets, network = self.load_packets(), self.network_packets()
        if self.program.detours is not None:
            await self.link.send(network)
            await self.barrier(dict.fromkeys(core for core, _ in self.program.detours.writes))
        await self.link.send(packets[len(network):])
        await self.barrier()
        return len(packets)

    async def barrier(self, cores: Iterable[Position] | None = None) -> None:
        """Wait until every configured core (or ``cores``) has taken all its configuration."""
        await self._spans(Span(core, Unit.COUNTER, Counter.CYCLES, 1)
                          for core in (self.program.images if cores is None else cores))

    async def together(self, cores: Iterable[Position]) -> None:
        """As ``barrier``, but all are asked at once, even around dead parts.

        Raises
        ------
        DeviceError
            If something else than their answers arrives.
        """
        await self._at_once([Span(core, Unit.COUNTER, Counter.CYCLES, 1)
                             for core in sorted(set(cores))])

    async def clear(self) -> None:
        """Clear counters and traces of all cores: idle ones pass other cores' packets on."""
        cores = self.cores
        await self.link.send([packet for core in cores
                              for packet in self.write(core, Write(Unit.CONTROL, 0, (0,)))])
        await self.barrier(cores)

    async def read(self, core: Position, unit: Unit, address: int, count: int) -> list[int]:
        """Entries of a unit; only while no token is under way.

        Raises
        ------
        DeviceError
            If something else than the answer arrives.
        """
        values = []
        for first in range(address, address + count, READ_CHUNK):
            number = min(READ_CHUNK, address + count - first)
            values += (await self._at_once([Span(core, unit, first, number)]))[core]
        return values

    async def _spans(self, spans: Iterable[Span]) -> dict[Position, list[int]]:
        """Entries by core, of each of which one span is asked for.

        On the way to the host no reply passes a link that a READ takes on its way from it, so none
        waits for a core that is busy with another: all are asked at once. Around dead parts this
        is not so, and they are asked one after the other.
        """
        if self.program.detours is None:
            return await self._at_once([*spans])
        return {span.core: (await self._at_once([span]))[span.core] for span in spans}

    async def _at_once(self, spans: list[Span]) -> dict[Position, list[int]]:
        machine, waiting = self.program.machine, {span.core: span for span in spans}
        await self.link.send([
            read_packet(machine, src=machine.host, dst=span.core, unit=span.unit,
                        address=span.address, count=span.entries,
                        way=self.program.way_there(span.core),
                        back=self.program.way_back(span.core)) for span in spans])
        values: dict[Position, list[int]] = {span.core: [] for span in spans}
        while waiting:
            packet = await self.link.recv()
            header = packet.header
            core = header["src_x"], header["src_y"]
            span = waiting.get(core) or next(iter(waiting.values()))
            entry = span.address + len(values[span.core])
            if (header["kind"] != Kind.REPLY or core != span.core
                    or (header["unit"], header["address"]) != (span.unit, entry)):
                raise DeviceError(f"core {span.core}: expected a reply for {span.unit.name} entry "
                                  f"{entry}, not {dict(header)}")
            values[core].append(packet.payload[0])
            if len(values[core]) == span.entries:
                del waiting[core]
        return values

    async def counters(self, cores: Iterable[Position]) -> dict[Position, CoreCounters]:
        """Event counters of cores."""
        stages = self.program.machine.core.stages
        found = await self._spans(Span(core, Unit.COUNTER, 0, counter_count(stages))
                                  for core in cores)
        return {core: CoreCounters(
            events={counter.name.lower(): values[counter] for counter in Counter
                    if counter is not Counter.STAGE0},
            stages=[{state: values[stage_counter(n, state)] for state in STAGE_STATES}
                    for n in range(stages)]) for core, values in found.items()}

    async def flit_hops(self) -> int:
        """Data flits that the routers of all cores in reach have sent through their mesh ports.

        Not control flits: the readout itself consists of them.
        """
        return await self._sum(Counter.FLIT_HOPS_DATA)

    async def errors(self) -> int:
        """Packets that all cores in reach and their routers have refused or dropped."""
        return await self._sum(Counter.ERRORS)

    async def _sum(self, counter: Counter) -> int:
        found = await self._spans(Span(core, Unit.COUNTER, counter, 1) for core in self.cores)
        return sum(value for [value] in found.values())

    async def traces(self, cores: Iterable[Position]) -> dict[Position, list[TraceEntry]]:
        """Traces of cores, oldest first: the last ``trace_words`` tokens that ended in each."""
        depth = self.program.machine.core.trace_words
        totals = {core: total for core, [total] in (await self._spans(
            Span(core, Unit.TRACE, depth, 1) for core in cores)).items()}
        found: dict[Position, list[int]] = {core: [] for core in totals}
        for first in range(0, depth, READ_CHUNK):
            for core, values in (await self._spans(
                    Span(core, Unit.TRACE, first, min(total, depth, first + READ_CHUNK) - first)
                    for core, total in totals.items() if total > first)).items():
                found[core] += values
        return {core: _oldest_first(values, totals[core]) for core, values in found.items()}


def _oldest_first(ring: list[int], total: int) -> list[TraceEntry]:
    """Entries of a ring that ``total`` were written to."""
    oldest = total % len(ring) if ring else 0
    return [TraceEntry(**{name: value for name, value in TRACE_ENTRY.unpack(word).items()
                          if name != "spare"}) for word in ring[oldest:] + ring[:oldest]]
