"""One experiment of the traffic laboratory: what the RTL and the cycle model both run."""

from dataclasses import dataclass, field

from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.sw.noc.errors import NocError

__all__ = ["CYCLES_MAX", "DIE_BUFFER_CYCLES", "PATTERNS", "LabOptions", "TracePacket"]

PATTERNS = ("uniform", "transpose", "bitcomp", "neighbor", "hotspot", "trace")
DIE_BUFFER_CYCLES = 3
"""What the buffers at both ends of a wire between dies take, besides the wire."""
FLITS_MAX = PAYLOAD_FLITS_MAX + 1
"""Flits of the longest packet, header included."""
CYCLES_MAX = 10**9
"""Cycles before, in and after the measured ones, and of a trace: 32 bits hold a whole run."""
XY_CHANNELS_MAX = 8
"""Channels of classes 0 and 1 together where a packet uses both."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class LabOptions:
    """A mesh, its traffic and how long to look at it.

    A node has the id x + width * y, x and y from 0. Latency is from the cycle in which a packet is
    made to the cycle in which its tail leaves at the sink; it includes the unbounded queue of the
    source. Packets made in the ``measure_cycles`` after ``warmup_cycles`` are measured, and the run
    goes on, under load, until all of them have left, at most ``drain_cycles`` longer. ``accepted``
    counts the flits that leave in the measured cycles.

    Raises
    ------
    NocError
        If a value is out of the range stated beside it.
    """

    width: int = 8
    """Nodes per row; 1 to 126."""
    height: int = 8
    """Rows; 1 to 126."""
    traffic: str = "uniform"
    """One of ``PATTERNS``; transpose needs width = height."""
    vcs: int = 2
    """Virtual channels of route class 0; 1 to 8."""
    class1_vcs: int = 1
    """Those of class 1; 0 to 4, not 0 where a packet of the trace has a waypoint."""
    class2_vcs: int = 2
    """Those of class 2, transit and arrival: 2, or 0 where no packet is routed by tables."""
    depth: int = 4
    """Flits of a virtual channel's buffer; at least 1."""
    labels: int = 128
    """Entries of a router's table of multicast labels, one of them never used; 2 to 128."""
    packet_min: int = 4
    """Flits of the shortest packet, header included; 1 to 9."""
    packet_max: int = 4
    """Flits of the longest; lengths are uniform between the two."""
    rate: float = 0.2
    """Offered flits per node and cycle; 0 to the mean packet length."""
    ordered: bool = False
    """Every packet keeps a fixed virtual channel, that of its flow (``traffic.flow_vc``)."""
    seed: int = 1
    """Of the traffic and the stalls; 0 to 2**32 - 1."""
    warmup_cycles: int = 1000
    """Cycles before those that count."""
    measure_cycles: int = 4000
    """Cycles that count; at least 1."""
    drain_cycles: int = 20000
    """Longest wait for measured packets; 0 ends the run with the measured cycles."""
    die_width: int = 0
    """Nodes per row of a die; divides ``width``; 0: no die border crosses x."""
    die_height: int = 0
    """Rows of a die; divides ``height``; 0: no die border crosses y."""
    die_latency_cycles: int = 20
    """Cycles of a flit on the wire between two dies; 1 to 64; a crossing adds ``DIE_BUFFER_CYCLES``
    more to a link."""
    die_cycles_per_flit: int = 1
    """Cycles for which a flit occupies that wire: 4 where it is a quarter as wide as a flit."""
    stall: float = 0.0
    """Probability that a sink takes nothing in a cycle; 0 to 0.95."""
    hotspot: int = -1
    """Destination of ``hotspot``; -1: the node at ((width - 1) // 2, (height - 1) // 2)."""
    flit_bits: int = 256
    """Width of a flit; no effect on cycles."""
    trace: tuple[TracePacket, ...] = field(default=(), repr=False)
    """Packets of ``trace``, by cycle."""

    def __post_init__(self) -> None:
        self._between("width", 1, 126)
        self._between("height", 1, 126)
        self._between("vcs", 1, 8)
        self._between("class1_vcs", 0, 4)
        if self.class2_vcs not in (0, 2):
            raise NocError(f"class2_vcs must be 0 or 2, not {self.class2_vcs!r}")
        self._between("depth", 1, 1024)
        self._between("labels", 2, 128)
        self._between("packet_min", 1, FLITS_MAX)
        self._between("packet_max", self.packet_min, FLITS_MAX)
        self._between("rate", 0, (self.packet_min + self.packet_max) / 2)
        self._between("seed", 0, 2**32 - 1)
        self._between("warmup_cycles", 0, CYCLES_MAX - 1)
        self._between("measure_cycles", 1, CYCLES_MAX - self.warmup_cycles)
        self._between("drain_cycles", 0, CYCLES_MAX)
        self._between("die_latency_cycles", 1, 64)
        self._between("die_cycles_per_flit", 1, 16)
        self._between("stall", 0, 0.95)
        self._between("hotspot", -1, self.nodes - 1)
        if self.traffic not in PATTERNS:
            raise NocError(f"traffic must be one of {', '.join(PATTERNS)}, not {self.traffic!r}")
        if self.traffic == "transpose" and self.width != self.height:
            raise NocError(f"transpose must have a square mesh, not {self.width} x {self.height}")
        for axis in ("width", "height"):
            die = getattr(self, f"die_{axis}")
            if die < 0 or (die and getattr(self, axis) % die):
                raise NocError(f"die_{axis} must divide {axis} ({getattr(self, axis)}) or be 0, "
                               f"not {die!r}")
        if self.traffic == "trace":
            self._check_trace()

    @property
    def nodes(self) -> int:
        """Routers, and so sources and sinks."""
        return self.width * self.height

    @property
    def packet_flits(self) -> float:
        """Mean length of a packet."""
        return (self.packet_min + self.packet_max) / 2

    @property
    def die_depth(self) -> int:
        """Flits of the buffer at the far end of the wire, per virtual channel, as in NocParams."""
        return -(-(2 * self.die_latency_cycles + 4) // self.die_cycles_per_flit)

    @property
    def hotspot_node(self) -> int:
        """Destination of ``hotspot``."""
        if self.hotspot >= 0:
            return self.hotspot
        return (self.width - 1) // 2 + self.width * ((self.height - 1) // 2)

    def _between(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise NocError(f"{name} must be {low} to {high}, not {value!r}")

    @property
    def multicast_flits(self) -> int:
        """Flits of the longest multicast packet: it lies in a buffer whole."""
        return min(FLITS_MAX, self.depth)

    def _check_trace(self) -> None:
        if not self.trace:
            raise NocError("trace must have at least one packet, not none")
        before = TracePacket(cycle=-1, source=0, destination=0, flits=1)
        made: set[int] = set()
        ways: dict[tuple[int, int], int] = {}
        for n, packet in enumerate(self.trace):
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
            if self.ordered and not packet.targets:
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
            if not 0 <= node < self.nodes:
                refuse(what, f"0 to {self.nodes - 1}", node)
        longest = self.multicast_flits if packet.targets else FLITS_MAX
        if not 1 <= packet.flits <= longest:
            reason = f", as a multicast packet lies in a buffer of {self.depth} flits whole"
            refuse("flits", f"1 to {longest}{reason if packet.targets else ''}", packet.flits)
        if len(set(packet.targets)) < len(packet.targets):
            refuse("targets", "nodes, each once", packet.targets)
        if not -1 <= packet.way < self.nodes:
            refuse("way", f"-1 (none) to {self.nodes - 1}", packet.way)
        if packet.way >= 0 and packet.targets:
            refuse("way", "-1 (none) beside targets", packet.way)
        if packet.way >= 0 and not self.class1_vcs:
            refuse("way", "-1 (none) where class1_vcs is 0", packet.way)
        if packet.way >= 0 and self.vcs + self.class1_vcs > XY_CHANNELS_MAX:
            refuse("way", f"-1 (none) where vcs + class1_vcs is over {XY_CHANNELS_MAX}",
                   packet.way)
