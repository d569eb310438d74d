"""Parameters of the mesh network."""

from dataclasses import dataclass

from ouroboros.hw.params.check import at_least, between
from ouroboros.hw.params.widths import DIE_BITS, DIE_CORE_BITS

PAYLOAD_FLITS_MAX = 8
"""Payload flits of the longest packet; one header flit comes before them."""
CHANNELS_MAX = 8
"""Virtual channels of a link that the header's 3-bit field can name."""
DIES_MAX, DIE_CORES_MAX = 1 << DIE_BITS, 1 << DIE_CORE_BITS
"""Entries of a router's two tables for class 2, as far as the header's 14 bits reach."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NocParams:
    """Parameters of ``hw.noc.router.Router``; paper scale is 256-bit flits.

    The virtual channels of a link are numbered by route class: ``vcs`` of class 0 (the first, or
    only, XY leg), ``class1_vcs`` of class 1 (the XY leg after a waypoint), ``class2_vcs`` of class
    2 (routed by tables: transit, then arrival), and last the control channel, which belongs to
    class 0 but is never shared with data.

    Raises
    ------
    ValueError
        If any value is out of the range stated beside it.
    """

    flit_bits: int = 128
    """Payload width of a flit in bits; a multiple of 128, so that a header is one flit."""
    vcs: int = 1
    """Data channels of class 0; 1 to 7."""
    class1_vcs: int = 1
    """Channels of class 1; 0 to 4, 0 where no packet has a waypoint."""
    class2_vcs: int = 2
    """Channels of class 2: 2, or 0 where no packet is routed by tables."""
    vc_depth: int = 10
    """Flits of a virtual-channel buffer; at least 4 (full link rate) and ``multicast_flits``."""
    multicast_flits: int = 9
    """Flits of the longest multicast packet with its header: it fits a buffer whole; 1 to 9."""
    labels: int = 32
    """Entries of a router's multicast label table; label 0 means unicast; 2 to 128."""
    die_latency_cycles: int = 20
    """Cycles of a flit on the wire between two dies (20: BusyBarn, published model); 1 to 64."""
    die_cycles_per_flit: int = 1
    """Cycles for which a flit occupies that wire: flit width over the wire's; 1 to 16."""
    parity: bool = False
    """Links between tiles have a parity bit for each flit; a tile takes nothing more from a port on
    which a flit came with the wrong one."""
    faults: bool = False
    """The host can hurt cores and links, to try what becomes of it (``FAULT_ENTRY``)."""

    def __post_init__(self) -> None:
        at_least("flit_bits", self.flit_bits, 128)
        if self.flit_bits % 128:
            raise ValueError(f"flit_bits must be a multiple of 128, not {self.flit_bits!r}")
        between("vcs", self.vcs, 1, CHANNELS_MAX - 1)
        between("class1_vcs", self.class1_vcs, 0, 4)
        if self.class2_vcs not in (0, 2):
            raise ValueError(f"class2_vcs must be 0 or 2, not {self.class2_vcs!r}")
        if self.channels > CHANNELS_MAX:
            raise ValueError(f"vcs + class1_vcs + class2_vcs must be at most {CHANNELS_MAX - 1}, "
                             f"not {self.channels - 1}")
        between("multicast_flits", self.multicast_flits, 1, PAYLOAD_FLITS_MAX + 1)
        at_least("vc_depth", self.vc_depth, max(4, self.multicast_flits))
        between("labels", self.labels, 2, 128)
        between("die_latency_cycles", self.die_latency_cycles, 1, 64)
        between("die_cycles_per_flit", self.die_cycles_per_flit, 1, 16)

    @property
    def channels(self) -> int:
        """Virtual channels of a link, all classes and control."""
        return self.vcs + self.class1_vcs + self.class2_vcs + 1

    @property
    def control_vc(self) -> int:
        """Channel of credits, configuration and replies."""
        return self.channels - 1

    @property
    def transit_vc(self) -> int:
        """First channel of class 2, on the way to the destination's die; arrival is the next."""
        return self.vcs + self.class1_vcs

    def class_channels(self, route_class: int) -> range:
        """Data channels of a route class (0, 1 or 2)."""
        first = (0, self.vcs, self.transit_vc, self.control_vc)
        return range(first[route_class], first[route_class + 1])

    @property
    def die_depth(self) -> int:
        """Flits per channel of a die link's receive buffer: what a credit's round trip needs.

        ceil((2 x latency + 4) x width ratio); 4 cycles go to the registers at both ends.
        """
        return -(-(2 * self.die_latency_cycles + 4) // self.die_cycles_per_flit)
