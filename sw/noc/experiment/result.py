"""What a run of the traffic laboratory reports, whoever ran it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.noc.experiment.options import LabOptions

__all__ = ["KEYS", "Counts", "report", "unmeasured", "unmeasured_words"]

KEYS = ("k", "traffic", "num_vcs", "vc_buf_size", "packet_size", "injection_rate",
        "packet_latency", "network_latency", "hops_routers", "p50", "p95", "p99", "accepted",
        "accepted_min_node", "accepted_max_node", "injected", "served_min_node", "saturated",
        "packets_measured", "sim_cycles", "cycles_per_s", "latency_max", "delivered", "wrong",
        "trace_before", "trace_after", "on")
"""Keys of a report; the first ones are columns of BookSim2's tables."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Raw counts of a run; measured packets are those made in the measured cycles."""

    finished: bool
    """All measured packets are known and have left; else the run was cut off."""
    measured: int
    """Measured packets."""
    left: int
    """Of these, those that have left; the next five are about them."""
    latency: int
    """Sum of cycles since they were made."""
    network_latency: int
    """Sum of cycles since their heads entered the network."""
    hops_routers: int
    """Sum of the routers on their ways."""
    latency_max: int
    """Cycles of the slowest."""
    histogram: Ints
    """How many took so many cycles."""
    clipped: bool = False
    """The last bin of the histogram has all that are slower, too."""
    offered: Ints
    """Flits of the measured packets of each node."""
    injected: Ints
    """Flits that entered the network from each node's source in the measured cycles."""
    accepted: Ints
    """Flits that left at each node's sink in the measured cycles."""
    delivered: int
    """Packets that left in the whole run."""
    wrong: int
    """Of these, those at a wrong node, twice, not whole or (ordered) too early."""
    cycles: int
    """Length of the run."""
    seconds: float
    """Processor time of simulation."""

    def mean(self, total: int) -> float | None:
        """A sum over the measured packets that have left, for one of them."""
        return total / self.left if self.left else None

    def quantile(self, percent: float) -> int | None:
        """Latency that so many of them do not exceed."""
        if not self.left:
            return None
        cycles = int(np.searchsorted(np.cumsum(self.histogram), percent / 100 * self.left))
        return None if self.clipped and cycles == len(self.histogram) - 1 else cycles


def unmeasured(options: LabOptions) -> tuple[int, int]:
    """Packets of the trace that are made before the measured cycles, and after them or never."""
    end = options.warmup_cycles + options.measure_cycles
    cycles = [packet.cycle for packet in options.trace]
    return (sum(cycle < options.warmup_cycles for cycle in cycles),
            sum(cycle >= end for cycle in cycles))


def unmeasured_words(options: LabOptions) -> str:
    """A sentence about these packets; empty if there are none."""
    before, after = unmeasured(options)
    if not before + after:
        return ""
    first, last = options.warmup_cycles, options.warmup_cycles + options.measure_cycles - 1
    packets = len(options.trace)
    return (f"{packets - before - after:,} of the trace's {packets:,} packets are made in the "
            f"measured cycles {first:,} to {last:,}; {before:,} before them, {after:,} after them: "
            f"see --warmup and --measure")


def report(options: LabOptions, counts: Counts, on: str) -> dict[str, Any]:
    """Report with ``KEYS``; latencies are None where no measured packet has left.

    ``served_min_node`` is the least share of its offered flits that any node's source got into the
    network; None if measured packets were still under way at the end (``saturated``), for then
    some offers may not be known. Percentiles past a clipped histogram are None. ``trace_before``
    and ``trace_after`` are ``unmeasured``.
    """
    window = options.measure_cycles
    offers = counts.offered > 0
    served = counts.injected[offers] / counts.offered[offers]
    before, after = unmeasured(options)
    mesh, traffic = options.mesh, options.traffic
    size = str(traffic.packet_min)
    if traffic.packet_max != traffic.packet_min:
        size += f"-{traffic.packet_max}"
    return {
        "k": mesh.width if mesh.width == mesh.height else f"{mesh.width}x{mesh.height}",
        "traffic": traffic.pattern, "num_vcs": options.noc.vcs,
        "vc_buf_size": options.noc.vc_depth, "packet_size": size,
        "injection_rate": traffic.rate,
        "packet_latency": counts.mean(counts.latency),
        "network_latency": counts.mean(counts.network_latency),
        "hops_routers": counts.mean(counts.hops_routers),
        "p50": counts.quantile(50), "p95": counts.quantile(95), "p99": counts.quantile(99),
        "accepted": float(counts.accepted.mean()) / window,
        "accepted_min_node": float(counts.accepted.min()) / window,
        "accepted_max_node": float(counts.accepted.max()) / window,
        "injected": float(counts.injected.mean()) / window,
        "served_min_node": float(served.min()) if len(served) and counts.finished else None,
        "saturated": not counts.finished, "packets_measured": counts.measured,
        "sim_cycles": counts.cycles,
        "cycles_per_s": counts.cycles / counts.seconds if counts.seconds > 0 else None,
        "latency_max": counts.latency_max if counts.left else None,
        "delivered": counts.delivered, "wrong": counts.wrong, "trace_before": before,
        "trace_after": after, "on": on,
    }
