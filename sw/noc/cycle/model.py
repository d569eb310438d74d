"""Model (a): every flit, buffer, credit and arbiter of the mesh, cycle by cycle."""

import time
from dataclasses import dataclass

import numpy as np

from ouroboros.sw.noc.cycle.loop import run as run_loop
from ouroboros.sw.noc.cycle.state import (
    ACCEPTED,
    CYCLE,
    DELIVERED,
    I32,
    INJECTED,
    LATENCY,
    LEFT,
    MEASURED,
    NETWORK_LATENCY,
    OFFERED,
    ROUTERS,
    WRONG,
    new_state,
    with_packets,
)
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.experiment.result import Counts, Report, report

__all__ = ["Simulated", "run", "simulate"]

PACKETS_MIN = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """Outcome of one experiment, packet by packet."""

    latency: I32
    """Cycles since it was made, of each measured packet that has left, in the order of leaving."""
    network_latency: I32
    """Cycles since its head entered the network."""
    hops_routers: I32
    """Routers on its way."""
    counts: Counts
    """The same in sums."""


def simulate(options: LabOptions) -> Simulated:
    """Run one experiment."""
    state = new_state(options)
    seconds = 0.0
    while True:
        state = with_packets(state, max(PACKETS_MIN, 2 * options.mesh.cores, len(state.packet)))
        start = time.process_time()
        finished = run_loop(state)
        seconds += time.process_time() - start
        if finished:
            break
    left = int(state.scalars[LEFT])
    latency, network, routers = (
        state.done[:left, column] for column in (LATENCY, NETWORK_LATENCY, ROUTERS))
    measured = int(state.scalars[MEASURED])
    counts = Counts(
        finished=left == measured, measured=measured, left=left, latency=int(latency.sum()),
        network_latency=int(network.sum()), hops_routers=int(routers.sum()),
        latency_max=int(latency.max(initial=0)), histogram=np.bincount(latency),
        offered=state.node[:, OFFERED].astype(np.int64),
        injected=state.node[:, INJECTED].astype(np.int64),
        accepted=state.node[:, ACCEPTED].astype(np.int64),
        delivered=int(state.scalars[DELIVERED]), wrong=int(state.scalars[WRONG]),
        cycles=int(state.scalars[CYCLE]), seconds=seconds)
    return Simulated(latency=latency, network_latency=network, hops_routers=routers,
                     counts=counts)


def run(options: LabOptions) -> Report:
    """One experiment."""
    return report(options, simulate(options).counts, "model")
