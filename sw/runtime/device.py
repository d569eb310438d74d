"""A machine as the host sees it: loading a program, reading counters and traces."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

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
        for core in self.program.images if cores is None else cores:
            await self.read(core, Unit.COUNTER, Counter.CYCLES, 1)

    async def together(self, cores: Iterable[Position]) -> None:
        """As ``barrier``, but all are asked at once.

        Raises
        ------
        DeviceError
            If something else than their answers arrives.
        """
        machine, waiting = self.program.machine, set(cores)
        await self.link.send([
            read_packet(machine, src=machine.host, dst=core, unit=Unit.COUNTER,
                        address=Counter.CYCLES, way=self.program.way_there(core),
                        back=self.program.way_back(core)) for core in sorted(waiting)])
        while waiting:
            header = (await self.link.recv()).header
            core = header["src_x"], header["src_y"]
            if header["kind"] != Kind.REPLY or core not in waiting:
                raise DeviceError(f"expected replies of cores {sorted(waiting)}, "
                                  f"not {dict(header)}")
            waiting.remove(core)

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
        machine = self.program.machine
        values = []
        for first in range(address, address + count, READ_CHUNK):
            number = min(READ_CHUNK, address + count - first)
            await self.link.send([read_packet(machine, src=machine.host, dst=core, unit=unit,
                                              address=first, count=number,
                                              way=self.program.way_there(core),
                                              back=self.program.way_back(core))])
            for n in range(number):
                packet = await self.link.recv()
                header = packet.header
                if (header["kind"] != Kind.REPLY
                        or (header["src_x"], header["src_y"]) != core
                        or (header["unit"], header["address"]) != (unit, first + n)):
                    raise DeviceError(f"core {core}: expected a reply for {unit.name} entry "
                                      f"{first + n}, not {dict(header)}")
                values.append(packet.payload[0])
        return values

    async def counters(self, core: Position) -> CoreCounters:
        """Event counters of a core."""
        stages = self.program.machine.core.stages
        values = await self.read(core, Unit.COUNTER, 0, counter_count(stages))
        return CoreCounters(
            events={counter.name.lower(): values[counter] for counter in Counter
                    if counter is not Counter.STAGE0},
            stages=[{state: values[stage_counter(n, state)] for state in STAGE_STATES}
                    for n in range(stages)])

    async def flit_hops(self) -> int:
        """Data flits that the routers of all cores in reach have sent through their mesh ports.

        Not control flits: the readout itself consists of them.
        """
        hops = 0
        for core in self.cores:
            hops += sum(await self.read(core, Unit.COUNTER, Counter.FLIT_HOPS_DATA, 1))
        return hops

    async def errors(self) -> int:
        """Packets that all cores in reach and their routers have refused or dropped."""
        errors = 0
        for core in self.cores:
            errors += sum(await self.read(core, Unit.COUNTER, Counter.ERRORS, 1))
        return errors

    async def trace(self, core: Position) -> list[TraceEntry]:
        """Trace of a core, oldest first: the last ``trace_words`` tokens that ended."""
        depth = self.program.machine.core.trace_words
        [total] = await self.read(core, Unit.TRACE, depth, 1)
        kept = min(total, depth)
        values = await self.read(core, Unit.TRACE, 0, kept) if kept else []
        if total > depth:
            oldest = total % depth
            values = values[oldest:] + values[:oldest]
        return [TraceEntry(**{name: value for name, value in TRACE_ENTRY.unpack(word).items()
                              if name != "spare"}) for word in values]
