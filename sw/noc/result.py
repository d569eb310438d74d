"""What a run of the traffic laboratory reports, whoever ran it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sw.noc.options import LabOptions

__all__ = ["KEYS", "Counts", "report"]

KEYS = ("k", "traffic", "num_vcs", "vc_buf_size", "packet_size", "injection_rate",
        "packet_latency", "network_latency", "hops_routers", "p50", "p95", "p99", "accepted",
        "accepted_min_node", "accepted_max_node", "injected", "saturated", "packets_measured",
        "sim_cycles", "cycles_per_s", "latency_max", "delivered", "wrong", "on")
"""Keys of a report; the first ones are columns of BookSim2's tables."""


class Counts:
    """Raw counts of a run.

    Parameters
    ----------
    latency, network_latency, hops_routers : Sequence
        Of each measured packet that has left: cycles since it was made, cycles since its head
        entered the network, routers on its way.
    accepted, injected : Sequence
        Flits of each node that left its sink, and that entered the network from its source, in
        the measured cycles.
    measured : int
        Packets made in the measured cycles; more than have left if the run was cut off.
    delivered, wrong : int
        Packets that left in the whole run, and how many of them at a wrong node, twice, not whole
        or (ordered) too early.
    cycles : int
        Length of the run.
    seconds : float
        Processor time of simulation.
    """

    def __init__(self, *, latency: Sequence[int] | npt.NDArray[Any],
                 network_latency: Sequence[int] | npt.NDArray[Any],
                 hops_routers: Sequence[int] | npt.NDArray[Any],
                 accepted: Sequence[int] | npt.NDArray[Any],
                 injected: Sequence[int] | npt.NDArray[Any],
                 measured: int, delivered: int, wrong: int, cycles: int, seconds: float):
        self.latency = np.asarray(latency, dtype=np.int64)
        self.network_latency = np.asarray(network_latency, dtype=np.int64)
        self.hops_routers = np.asarray(hops_routers, dtype=np.int64)
        self.accepted = np.asarray(accepted, dtype=np.int64)
        self.injected = np.asarray(injected, dtype=np.int64)
        self.measured = measured
        self.delivered = delivered
        self.wrong = wrong
        self.cycles = cycles
        self.seconds = seconds


def report(options: LabOptions, counts: Counts, on: str) -> dict[str, Any]:
    """Report with ``KEYS``; latencies are None where no measured packet has left.

    ``saturated`` is true when measured packets were still under way at the end of the run.
    """
    some = len(counts.latency) > 0
    window = options.measure_cycles

    def quantile(percent: float) -> float | None:
        return float(np.percentile(counts.latency, percent, method="inverted_cdf")) \
            if some else None

    def mean(values: npt.NDArray[np.int64]) -> float | None:
        return float(values.mean()) if some else None

    size = str(options.packet_min)
    if options.packet_max != options.packet_min:
        size += f"-{options.packet_max}"
    return {
        "k": options.width if options.width == options.height
        else f"{options.width}x{options.height}",
        "traffic": options.traffic, "num_vcs": options.vcs, "vc_buf_size": options.depth,
        "packet_size": size, "injection_rate": options.rate,
        "packet_latency": mean(counts.latency), "network_latency": mean(counts.network_latency),
        "hops_routers": mean(counts.hops_routers),
        "p50": quantile(50), "p95": quantile(95), "p99": quantile(99),
        "accepted": float(counts.accepted.mean()) / window,
        "accepted_min_node": float(counts.accepted.min()) / window,
        "accepted_max_node": float(counts.accepted.max()) / window,
        "injected": float(counts.injected.mean()) / window,
        "saturated": len(counts.latency) < counts.measured,
        "packets_measured": counts.measured, "sim_cycles": counts.cycles,
        "cycles_per_s": counts.cycles / counts.seconds if counts.seconds > 0 else None,
        "latency_max": int(counts.latency.max()) if some else None,
        "delivered": counts.delivered, "wrong": counts.wrong, "on": on,
    }
