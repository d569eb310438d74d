"""Cycles on the way of a packet: out of a core, through routers and dies' borders, into a core.

``tests/hw`` asserts them of the hardware, ``sw.perf`` and ``sw.wafer`` count with them.
"""

from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams

__all__ = ["ARRIVE_CYCLES", "CORE_LOOP_CYCLES", "COUNT_CYCLES", "CREDIT_CYCLES",
           "CREDIT_IN_CYCLES", "CREDIT_OUT_CYCLES", "GAP_CYCLES", "HOP_CYCLES", "HOST_CYCLES",
           "HOST_FIRST_CYCLES", "LEAVE_CYCLES", "LOOKUP_CYCLES", "LOOP_CYCLES", "PATIENCE_CYCLES",
           "crossing_cycles", "multicast_cycles"]

HOP_CYCLES = 2
"""Router and the register that is its output link."""
LOOP_CYCLES = 4
"""From a flit's grant to one that spends the same credit, if the next router passes it on at
once."""
CORE_LOOP_CYCLES = 6
"""The same of a flit into a core, which consumes it later than a router."""
PATIENCE_CYCLES = 2
"""For which a multicast packet that could go to some ports waits for those that lack credits: as
long as a core gives them back later than a router."""
LEAVE_CYCLES = 2
"""From the acceptance of a SEND to its first header on the link to the router."""
LOOKUP_CYCLES = 2
"""From a packet's header on the link into a core to the cycle in which its token may be picked."""
ARRIVE_CYCLES = 4
"""From a packet's last flit on the link into a core to the arrival that the controller is told."""
GAP_CYCLES = 1
"""Less of it, if the packet's flits did not follow each other: its header waits so long for its
look-up, and the flits behind it with it."""
COUNT_CYCLES = ARRIVE_CYCLES + 1
"""To the cycle in which a WAIT sees it."""
CREDIT_OUT_CYCLES = 4
"""From the act of END to its first CREDIT on the link."""
CREDIT_IN_CYCLES = 4
"""From a CREDIT on the link into a core to the cycle in which the sender's counter has it."""
CREDIT_CYCLES = CREDIT_OUT_CYCLES + CREDIT_IN_CYCLES
"""A credit's way without its links."""
HOST_CYCLES = 2
"""From a flit on the link to the host's port to the host."""
HOST_FIRST_CYCLES = 1
"""From a flit that the host offers to the link into the mesh."""


def crossing_cycles(noc: NocParams) -> int:
    """Cycles that a border between dies adds to a link: the wire, and three registers."""
    return noc.die_latency_cycles + 3


def multicast_cycles(noc: NocParams, flits: int) -> int:
    """For which the packets of a vector of so many flits occupy an input of a router on their tree.

    All copies of a packet leave together, but the next one's need credits for all of it: those of
    its last flit, from a core, if buffers do not hold both.
    """
    def cycles(length: int) -> int:
        return max(length, 2 * length - noc.vc_depth + CORE_LOOP_CYCLES - 1)

    full, rest = divmod(flits, PAYLOAD_FLITS_MAX)
    return full * cycles(PAYLOAD_FLITS_MAX + 1) + (cycles(rest + 1) if rest else 0)
