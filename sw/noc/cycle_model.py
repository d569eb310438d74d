"""Model (a): every flit, buffer, credit and arbiter of the mesh, cycle by cycle."""

import time
from typing import Any

from sw.noc.cycle_loop import run as run_loop
from sw.noc.cycle_state import (
    ACCEPTED,
    CYCLE,
    DELIVERED,
    INJECTED,
    LATENCY,
    LEFT,
    MEASURED,
    NETWORK_LATENCY,
    ROUTERS,
    WRONG,
    new_state,
    with_packets,
)
from sw.noc.options import LabOptions
from sw.noc.result import Counts, report

__all__ = ["run", "simulate"]

PACKETS_MIN = 4096


def simulate(options: LabOptions) -> Counts:
    """Raw counts of one experiment."""
    state = new_state(options)
    seconds = 0.0
    while True:
        state = with_packets(state, max(PACKETS_MIN, 2 * options.nodes, len(state.packet)))
        start = time.process_time()
        finished = run_loop(state)
        seconds += time.process_time() - start
        if finished:
            break
    done = state.done[:int(state.scalars[LEFT])]
    return Counts(
        latency=done[:, LATENCY], network_latency=done[:, NETWORK_LATENCY],
        hops_routers=done[:, ROUTERS], accepted=state.node[:, ACCEPTED],
        injected=state.node[:, INJECTED], measured=int(state.scalars[MEASURED]),
        delivered=int(state.scalars[DELIVERED]), wrong=int(state.scalars[WRONG]),
        cycles=int(state.scalars[CYCLE]), seconds=seconds)


def run(options: LabOptions) -> dict[str, Any]:
    """Report of one experiment (``sw.noc.result``)."""
    return report(options, simulate(options), "model")
