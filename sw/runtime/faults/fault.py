"""Faults that a machine suffers while it runs: how they are named, drawn, and put into tiles."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import FAULT_ADDRESS, FAULT_ENTRY, MESH_PORTS, Port, Unit
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.program.packets import Packet, write_packets
from ouroboros.sw.program.program import NO_WAY, Program

__all__ = ["CORE", "FLIP", "LINK", "ROUTER", "UPSET", "Fault", "FaultError", "Hurts", "every_fault",
           "hurtable", "parse_fault", "random_faults"]

CORE, ROUTER, LINK, FLIP, UPSET = "core", "router", "link", "flip", "upset"
KINDS = (CORE, ROUTER, LINK, FLIP, UPSET)
FORM = ("core:X,Y@CYCLE, router:X,Y@CYCLE, link:X,Y:PORT@CYCLE, or flip or "
        "upset:X,Y:PORT[:BIT]@CYCLE")
PORTS = {port.name.lower(): port for port in MESH_PORTS}


class FaultError(OuroborosError):
    """A fault that a machine cannot have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; ``str`` gives the text that ``parse_fault`` takes."""

    kind: str
    """``core`` stops answering, ``router`` and its core too, ``link`` passes nothing either way,
    ``flip`` inverts a bit of every flit that leaves by a port, ``upset`` of one."""
    core: Position
    """Where."""
    port: Port | None = None
    """Which link, seen from there."""
    bit: int = 0
    """Data bit that is inverted."""
    cycle: int = 0
    """When the host says so, from the first token on; tiles know some cycles later."""

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port.name.lower()}"
        bit = f":{self.bit}" if self.kind in (FLIP, UPSET) else ""
        return f"{self.kind}:{self.core[0]},{self.core[1]}{port}{bit}@{self.cycle}"

    def check(self, machine: Machine) -> None:
        """Refuse what is not there, or is the host's.

        Raises
        ------
        FaultError
            Names the fault and what it may be.
        """
        mesh = machine.mesh
        size = f"the {mesh.width} x {mesh.height} mesh of machine {machine.name!r}"
        if not mesh.holds(self.core):
            raise FaultError(f"fault {self}: must be of a core of {size}, not of {self.core}")
        if self.kind == ROUTER and self.core in _landings(machine):
            raise FaultError(f"fault {self}: must leave the host its port, and this is the router "
                             f"beside it")
        if self.port is not None:
            there = self.port.beyond(self.core)
            if there in mesh.hosts:
                raise FaultError(f"fault {self}: must leave the host its own port")
            if not mesh.holds(there):
                raise FaultError(f"fault {self}: must be of a link inside {size}, and nothing lies "
                                 f"beyond that port")
        if self.kind in (FLIP, UPSET) and not 0 <= self.bit < machine.noc.flit_bits:
            raise FaultError(f"fault {self}: bit must be 0 to {machine.noc.flit_bits - 1}, "
                             f"not {self.bit}")
        if self.cycle < 0:
            raise FaultError(f"fault {self}: cycle must be at least 0, not {self.cycle}")


def hurtable(machine: Machine) -> Machine:
    """The same machine as it is built for faults that come while it runs.

    Tiles can be hurt, flits have parity, KV tables outlive a reset, and packets can go by a
    waypoint; all else is as it was.
    """
    noc, kv = machine.noc, machine.kv
    return replace(machine, noc=replace(noc, faults=True, parity=True,
                                        class1_vcs=max(noc.class1_vcs, 1)),
                   kv=replace(kv, keeps=True))


def parse_fault(text: str) -> Fault:
    """A fault as a user writes it.

    Raises
    ------
    FaultError
        If the text does not have the form.
    """
    try:
        what, cycle = text.split("@")
        kind, core, *rest = what.split(":")
        x, y = map(int, core.split(","))
        fault = Fault(kind=kind, core=(x, y), cycle=int(cycle))
        if kind not in KINDS:
            raise ValueError(kind)
        if kind in (LINK, FLIP, UPSET):
            fault = replace(fault, port=PORTS[rest.pop(0)])
        if kind in (FLIP, UPSET) and rest:
            fault = replace(fault, bit=int(rest.pop(0)))
        if rest:
            raise ValueError(rest)
    except (IndexError, KeyError, ValueError):
        raise FaultError(f"fault must be {FORM}, with port one of {', '.join(PORTS)}, "
                         f"not {text!r}") from None
    return fault


def every_fault(machine: Machine, kind: str, cycle: int) -> list[Fault]:
    """Every ``core``, ``router`` or ``link`` of a machine in turn, but for the host's own."""
    faults = [Fault(kind=kind, core=core, port=port, cycle=cycle)
              for core in machine.mesh.coordinates
              for port in ((None,) if kind in (CORE, ROUTER) else (Port.EAST, Port.SOUTH))]
    return [fault for fault in faults if _there(fault, machine)]


def random_faults(machine: Machine, count: int, *, seed: int, first: int, last: int) -> list[Fault]:
    """Cores and links, all equally likely, at cycles from ``first`` to ``last``.

    Raises
    ------
    FaultError
        If there are not so many.
    """
    rng = random.Random(seed)
    places = every_fault(machine, CORE, 0) + every_fault(machine, LINK, 0)
    if not 0 <= count <= len(places):
        raise FaultError(f"random faults must be 0 to {len(places)}, the cores and links of "
                         f"machine {machine.name!r}, not {count}")
    return [replace(place, cycle=rng.randint(first, last)) for place in rng.sample(places, count)]


class Hurts:
    """Faults of one run, as packets that put them into tiles.

    A tile has one register for all that is wrong with it, so what comes later includes what was.

    Parameters
    ----------
    machine : Machine
        Which; must have ``noc.faults``.
    faults : iterable of Fault
        What is to come.

    Raises
    ------
    FaultError
        If the machine cannot be hurt, or not like this.
    """

    def __init__(self, machine: Machine, faults: Iterable[Fault]):
        self.machine = machine
        self._coming = sorted(faults, key=lambda fault: fault.cycle)
        self._entries: dict[Position, dict[str, int]] = {}
        self.program: Program | None = None
        """By whose ways the host reaches tiles now; None: XY."""
        self.come: list[Fault] = []
        """Those that have come, in their order."""
        if self._coming and not machine.noc.faults:
            raise FaultError(f"machine {machine.name!r} must have noc.faults = true to be hurt")
        for fault in self._coming:
            fault.check(machine)

    @property
    def next_cycle(self) -> int | None:
        """When the next fault comes; None: there is none."""
        return self._coming[0].cycle if self._coming else None

    def due(self, now: int) -> list[Packet]:
        """Packets of the faults that come now."""
        cores = []
        while self._coming and self._coming[0].cycle <= now:
            fault = self._coming.pop(0)
            cores.append(self._note(fault))
            self.come.append(fault)
        packets = self._packets(dict.fromkeys(cores))
        for entry in self._entries.values():
            if entry["once"]:
                # It is over; the host does not do it again.
                entry.update(flip=0, once=0)
        return packets

    def again(self) -> list[Packet]:
        """Packets of all faults that have come: a machine that was stuck may not have got them."""
        return self._packets(self._entries)

    def _note(self, fault: Fault) -> Position:
        core, port = fault.core, fault.port
        if fault.kind == LINK and port is not None and self._deaf(core):
            core, port = port.beyond(core), port.opposite
        entry = self._entries.setdefault(core, dict.fromkeys(
            (field.name for field in FAULT_ENTRY.fields), 0))
        if fault.kind == CORE:
            entry["stuck"] |= 1 << Port.LOCAL
        elif fault.kind == ROUTER:
            entry["stuck"] |= (1 << len(Port)) - 1
        elif fault.kind == LINK and port is not None:
            entry["stuck"] |= 1 << port
        elif port is not None:
            entry.update(flip=1 << port, bit=fault.bit, once=int(fault.kind == UPSET))
        return core

    def _deaf(self, core: Position) -> bool:
        entry = self._entries.get(core)
        return entry is not None and bool(entry["stuck"] >> Port.LOCAL & 1)

    def _packets(self, cores: Iterable[Position]) -> list[Packet]:
        program = self.program
        # What the program has gone around already is out of reach, and out of use.
        return [packet for core in cores if program is None or core in program.reachable
                for packet in write_packets(
                    self.machine, (FAULT_ENTRY.pack(self._entries[core]),), src=self.machine.host,
                    dst=core, unit=Unit.CONTROL, address=FAULT_ADDRESS,
                    way=NO_WAY if program is None else program.way_there(core))]


def _landings(machine: Machine) -> set[Position]:
    """Cores beside a host's port."""
    return {port.beyond(host) for host in machine.mesh.hosts for port in MESH_PORTS
            if machine.mesh.holds(port.beyond(host))}


def _there(fault: Fault, machine: Machine) -> bool:
    try:
        fault.check(machine)
    except FaultError:
        return False
    return True
