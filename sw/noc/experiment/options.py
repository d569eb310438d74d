"""One experiment of the traffic laboratory: what the RTL and the cycle model both run."""

from dataclasses import dataclass, field, replace
from typing import Any

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from ouroboros.sw.lib.options import make, option
from ouroboros.sw.noc.errors import NocError

__all__ = ["CYCLES_MAX", "MESH", "NOC", "PATTERNS", "LabOptions", "TracePacket", "Traffic",
           "experiment"]

PATTERNS = ("uniform", "transpose", "bitcomp", "neighbor", "hotspot", "trace")
FLITS_MAX = PAYLOAD_FLITS_MAX + 1
"""Flits of the longest packet, header included."""
NOC = NocParams(flit_bits=256, vcs=2, vc_depth=4, multicast_flits=4, labels=128)
"""Routers of an experiment unless others are given."""
MESH = MeshParams(width=8, height=8, die_width=8, die_height=8)
"""Its mesh."""
CYCLES_MAX = 10**9
"""Cycles before, in and after the measured ones, and of a trace: 32 bits hold a whole run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TracePacket:
    """One packet of a trace; a node makes at most one packet per cycle."""

    cycle: int
    """When it is made; the first cycle is 0."""
    source: int
    """Node id."""
    destination: int = -1
    """Node id; -1 where there are targets."""
    flits: int
    """Flits, header included; 1 to 9, or what a buffer holds where there are targets."""
    way: int = -1
    """Node id of a waypoint, from which on the packet is of class 1; -1 for none."""
    targets: tuple[int, ...] = ()
    """Node ids, each once, of the destinations of a multicast packet; empty for unicast."""
    line: int = field(default=0, compare=False)
    """Of the file it was read from, for messages; 0 if there is none."""

    @property
    def copies(self) -> int:
        """How often it leaves the network."""
        return len(self.targets) or 1

    def named(self, number: int) -> str:
        """The packet in words, ``number`` being its place in the trace."""
        return f"packet {number} of the trace" + (f" (line {self.line})" if self.line else "")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise NocError(f"{name} must be {low} to {high}, not {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """Packets that the nodes make.

    Raises
    ------
    NocError
        If a value is out of the range stated beside it.
    """

    pattern: str = option("uniform", choices=lambda: PATTERNS)
    """One of ``PATTERNS``; transpose needs a square mesh."""
    packet_min: int = 4
    """Flits of the shortest packet, header included; 1 to 9."""
    packet_max: int = 4
    """Flits of the longest; lengths are uniform between the two."""
    rate: float = 0.2
    """Offered flits per node and cycle; 0 to the mean packet length."""
    ordered: bool = False
    """Every packet keeps a fixed virtual channel, that of its flow (``traffic.flow_vc``)."""
    hotspot: int = -1
    """Destination of ``hotspot``; -1: the node at ((width - 1) // 2, (height - 1) // 2)."""
    trace: tuple[TracePacket, ...] = field(default=(), repr=False)
    """Packets of ``trace``, by cycle."""

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise NocError(f"traffic must be one of {', '.join(PATTERNS)}, not {self.pattern!r}")
        _between("packet_min", self.packet_min, 1, FLITS_MAX)
        _between("packet_max", self.packet_max, self.packet_min, FLITS_MAX)
        _between("rate", self.rate, 0, self.packet_flits)

    @property
    def packet_flits(self) -> float:
        """Mean length of a packet."""
        return (self.packet_min + self.packet_max) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class LabOptions:
    """Routers, their mesh, its traffic and how long to look at it.

    A node has the id x + width * y, x and y from 0. Latency is from the cycle in which a packet is
    made to the cycle in which its tail leaves at the sink; it includes the unbounded queue of the
    source. Packets made in the ``measure_cycles`` after ``warmup_cycles`` are measured, and the run
    goes on, under load, until all of them have left, at most ``drain_cycles`` longer. ``accepted``
    counts the flits that leave in the measured cycles.

    Raises
    ------
    NocError
        If a value is out of the range stated beside it, or the parts do not fit each other.
    """

    noc: NocParams = NOC
    """The routers; ``flit_bits`` has no effect on cycles."""
    mesh: MeshParams = MESH
    """Where they are; the host's port is not in it."""
    traffic: Traffic = Traffic()
    """Packets."""
    seed: int = 1
    """Of the traffic and the stalls; 0 to 2**32 - 1."""
    stall: float = 0.0
    """Probability that a sink takes nothing in a cycle; 0 to 0.95."""
    warmup_cycles: int = 1000
    """Cycles before those that count."""
    measure_cycles: int = 4000
    """Cycles that count; at least 1."""
    drain_cycles: int = 20000
    """Longest wait for measured packets; 0 ends the run with the measured cycles."""

    def __post_init__(self) -> None:
        _between("seed", self.seed, 0, 2**32 - 1)
        _between("warmup_cycles", self.warmup_cycles, 0, CYCLES_MAX - 1)
        _between("measure_cycles", self.measure_cycles, 1,
                 CYCLES_MAX - self.warmup_cycles)
        _between("drain_cycles", self.drain_cycles, 0, CYCLES_MAX)
        _between("stall", self.stall, 0, 0.95)
        _between("hotspot", self.traffic.hotspot, -1, self.mesh.cores - 1)
        if self.traffic.pattern == "transpose" and self.mesh.width != self.mesh.height:
            raise NocError(f"transpose must have a square mesh, "
                           f"not {self.mesh.width} x {self.mesh.height}")
        if self.traffic.pattern == "trace":
            self._check_trace()

    @property
    def hotspot_node(self) -> int:
        """Destination of ``hotspot``."""
        if self.traffic.hotspot >= 0:
            return self.traffic.hotspot
        return (self.mesh.width - 1) // 2 + self.mesh.width * ((self.mesh.height - 1) // 2)

    @property
    def trace(self) -> tuple[TracePacket, ...]:
        """Packets of a trace; none where the traffic is drawn."""
        return self.traffic.trace if self.traffic.pattern == "trace" else ()

    def offering(self, rate: float) -> "LabOptions":
        """The same at another rate."""
        return replace(self, traffic=replace(self.traffic, rate=rate))

    def _check_trace(self) -> None:
        if not self.traffic.trace:
            raise NocError("trace must have at least one packet, not none")
        before = TracePacket(cycle=-1, source=0, destination=0, flits=1)
        made: set[int] = set()
        ways: dict[tuple[int, int], int] = {}
        for n, packet in enumerate(self.traffic.trace):
            if packet.cycle < before.cycle:
                raise NocError(f"{packet.named(n)} must not be made before packet {n - 1} "
                               f"(cycle {before.cycle}), not at {packet.cycle}")
            if packet.cycle > before.cycle:
                made = set()
            self._check_packet(n, packet)
            if packet.source in made:
                line = f"; the second is in line {packet.line}" if packet.line else ""
                raise NocError(f"node {packet.source} must make one packet in cycle "
                               f"{packet.cycle} of the trace, not two{line}")
            made.add(packet.source)
            if self.traffic.ordered and not packet.targets:
                way = ways.setdefault((packet.source, packet.destination), packet.way)
                if way != packet.way:
                    raise NocError(f"way of {packet.named(n)} must be {way} as before, for "
                                   f"an ordered flow has one way, not {packet.way}")
            before = packet

    def _check_packet(self, n: int, packet: TracePacket) -> None:
        def refuse(what: str, rule: str, value: object) -> None:
            raise NocError(f"{what} of {packet.named(n)} must be {rule}, not {value!r}")

        if packet.targets and packet.destination != -1:
            refuse("destination", "-1 beside targets", packet.destination)
        nodes = [("source", packet.source)]
        nodes += [("targets", node) for node in packet.targets] or [
            ("destination", packet.destination)]
        for what, node in nodes:
            if not 0 <= node < self.mesh.cores:
                refuse(what, f"0 to {self.mesh.cores - 1}", node)
        longest = self.noc.multicast_flits if packet.targets else FLITS_MAX
        if not 1 <= packet.flits <= longest:
            reason = f", as a multicast packet lies in a buffer of {self.noc.vc_depth} flits whole"
            refuse("flits", f"1 to {longest}{reason if packet.targets else ''}", packet.flits)
        if len(set(packet.targets)) < len(packet.targets):
            refuse("targets", "nodes, each once", packet.targets)
        if not -1 <= packet.way < self.mesh.cores:
            refuse("way", f"-1 (none) to {self.mesh.cores - 1}", packet.way)
        if packet.way >= 0 and packet.targets:
            refuse("way", "-1 (none) beside targets", packet.way)
        if packet.way >= 0 and not self.noc.class1_vcs:
            refuse("way", "-1 (none) where class1_vcs is 0", packet.way)


def experiment(*, width: int = 8, height: int = 8, die_width: int = 0, die_height: int = 0,
               **others: Any) -> LabOptions:
    """An experiment from the names of the fields of its parts.

    A multicast packet may be as long as a buffer.

    Parameters
    ----------
    width, height : int
        Nodes per row, and rows.
    die_width, die_height : int
        Those of a die; 0: no die border crosses x, or y.
    others
        Fields of ``NocParams``, ``Traffic`` and ``LabOptions``.

    Raises
    ------
    OuroborosError
        If a value is refused.
    """
    depth = others.get("vc_depth", NOC.vc_depth)
    return make(LabOptions, others | {
        "multicast_flits": min(FLITS_MAX, depth), "width": width, "height": height,
        "die_width": die_width or width, "die_height": die_height or height})
