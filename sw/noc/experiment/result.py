"""What a run of the traffic laboratory reports, whoever ran it."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.noc.experiment.options import LabOptions

__all__ = ["Counts", "Report", "report", "unmeasured", "unmeasured_words"]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a run came to; the first fields are columns of BookSim2's tables.

    Latencies are in cycles, and None where no measured packet has left.
    """

    k: int | str
    """Nodes per row, or width and height where they differ."""
    traffic: str
    """Pattern."""
    num_vcs: int
    """Channels of class 0."""
    vc_buf_size: int
    """Flits of a channel."""
    packet_size: str
    """Flits of a packet, or the least and the most."""
    injection_rate: float
    """Offered flits per node and cycle."""
    packet_latency: float | None
    """Mean, from made to tail out, the source's queue included."""
    network_latency: float | None
    """Mean, from head in to tail out."""
    hops_routers: float | None
    """Mean number of routers on a packet's way."""
    p50: int | None
    """Median of the packet latency; None past the end of a clipped histogram."""
    p95: int | None
    """What 95 % do not exceed, likewise."""
    p99: int | None
    """What 99 % do not exceed, likewise."""
    accepted: float
    """Flits per node and cycle that leave in the measured cycles."""
    accepted_min_node: float
    """The same of the node with the fewest."""
    accepted_max_node: float
    """The same of the node with the most."""
    injected: float
    """Flits per node and cycle that enter the network."""
    served_min_node: float | None
    """Least share of its offered flits that any node's source got into the network; None where
    measured packets were left over at the end, for then some offers may not be known."""
    saturated: bool
    """Measured packets were left over at the end."""
    packets_measured: int
    """Packets made in the measured cycles."""
    sim_cycles: int
    """Length of the run."""
    cycles_per_s: float | None
    """Cycles in a second of processor time."""
    latency_max: int | None
    """Packet latency of the slowest."""
    delivered: int
    """Packets that left in the whole run."""
    wrong: int
    """Of these, those at a wrong node, twice, not whole or (ordered) too early."""
    trace_before: int
    """Packets of the trace that are made before the measured cycles."""
    trace_after: int
    """Packets of the trace that are made after them, or never."""
    on: str
    """What ran."""
    build_s: float | None = None
    """Seconds that its build took; None where nothing is built."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {one.name: value for one in fields(self)
                if (value := getattr(self, one.name)) is not None or one.name != "build_s"}


def report(options: LabOptions, counts: Counts, on: str, build_s: float | None = None) -> Report:
    """What the counts of an experiment come to."""
    window = options.measure_cycles
    offers = counts.offered > 0
    served = counts.injected[offers] / counts.offered[offers]
    before, after = unmeasured(options)
    mesh, traffic = options.mesh, options.traffic
    size = str(traffic.packet_min)
    if traffic.packet_max != traffic.packet_min:
        size += f"-{traffic.packet_max}"
    return Report(
        k=mesh.width if mesh.width == mesh.height else f"{mesh.width}x{mesh.height}",
        traffic=traffic.pattern, num_vcs=options.noc.vcs,
        vc_buf_size=options.noc.vc_depth, packet_size=size,
        injection_rate=traffic.rate,
        packet_latency=counts.mean(counts.latency),
        network_latency=counts.mean(counts.network_latency),
        hops_routers=counts.mean(counts.hops_routers),
        p50=counts.quantile(50), p95=counts.quantile(95), p99=counts.quantile(99),
        accepted=float(counts.accepted.mean()) / window,
        accepted_min_node=float(counts.accepted.min()) / window,
        accepted_max_node=float(counts.accepted.max()) / window,
        injected=float(counts.injected.mean()) / window,
        served_min_node=float(served.min()) if len(served) and counts.finished else None,
        saturated=not counts.finished, packets_measured=counts.measured,
        sim_cycles=counts.cycles,
        cycles_per_s=counts.cycles / counts.seconds if counts.seconds > 0 else None,
        latency_max=counts.latency_max if counts.left else None,
        delivered=counts.delivered, wrong=counts.wrong, trace_before=before,
        trace_after=after, on=on, build_s=build_s)
