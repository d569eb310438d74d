"""The traffic laboratory: experiments of ``sw.noc.experiment`` on the RTL of the routers."""

import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment import result
from ouroboros.sw.noc.experiment.groups import group_of, groups_of
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.experiment.traffic import destination_table, seed_state, threshold
from ouroboros.tb.flow.build import Build, build
from ouroboros.tb.flow.build import run as run_bench
from ouroboros.tb.noc.lab.job import Job, Outcome
from ouroboros.tb.noc.lab.mixed import route_entry
from ouroboros.tb.noc.lab.node import (
    EVERY_NODE,
    NODES_MAX,
    TRACE_ENTRY,
    TRACE_PACKETS_MAX,
    UNIFORM,
    Count,
    Setting,
    Table,
)
from ouroboros.tb.noc.lab.top import build_lab

__all__ = ["FOREVER", "build_of", "icarus", "job_of", "perform", "report", "run",
           "settings_of", "trace_writes", "verilator"]

FOREVER = (1 << 32) - 1
"""A cycle that does not come."""


def build_of(noc: NocParams, mesh: MeshParams, sim: str = "verilator", *,
             long_runs: bool = False) -> Build:
    """The laboratory, compiled; ``long_runs`` as in ``build``.

    Raises
    ------
    NocError
        If its nodes cannot be numbered.
    """
    if mesh.cores > NODES_MAX:
        raise NocError(f"width x height must be at most {NODES_MAX} on RTL, not {mesh.cores}")
    return build("lab", build_lab(noc, mesh), sim=sim, shared=["router", "lab_node"],
                 long_runs=long_runs)


def settings_of(options: LabOptions) -> list[tuple[int, int, int, int]]:
    """Writes that make sources produce the packets of ``sw.noc.experiment.traffic``."""
    writes: list[tuple[int, int, int, int]] = []

    def write(node: int, setting: Setting, value: int) -> None:
        writes.append((node, Table.SETTINGS, setting, value))

    end = options.warmup_cycles + options.measure_cycles
    traffic, nodes = options.traffic, options.mesh.cores
    lengths = traffic.packet_max - traffic.packet_min + 1
    write(EVERY_NODE, Setting.SIZE, nodes << 8 | options.mesh.width)
    write(EVERY_NODE, Setting.PACKET, threshold(traffic.rate / traffic.packet_flits))
    write(EVERY_NODE, Setting.LENGTH, lengths << 4 | traffic.packet_min - 1)
    write(EVERY_NODE, Setting.STALL, threshold(options.stall))
    write(EVERY_NODE, Setting.WINDOW_START, options.warmup_cycles)
    write(EVERY_NODE, Setting.WINDOW_END, end)
    write(EVERY_NODE, Setting.STOP, FOREVER)
    write(EVERY_NODE, Setting.ORDERED, 16 if traffic.ordered else 0)
    for node, fixed in enumerate(destination_table(options)):
        write(node, Setting.SOURCE_STATE, seed_state(options.seed, node))
        write(node, Setting.SINK_STATE, seed_state(options.seed, node, sink=True))
        write(node, Setting.DESTINATION, UNIFORM if fixed < 0 else fixed)
    everything = route_entry((1 << options.noc.vcs) - 1)
    writes += [(EVERY_NODE, Table.ROUTES, node, everything) for node in range(nodes)]
    if traffic.pattern == "trace":
        write(EVERY_NODE, Setting.PACKET, 0)
        write(EVERY_NODE, Setting.STOP, 0)
        writes += trace_writes(options)
    return writes


def trace_writes(options: LabOptions) -> list[tuple[int, int, int, int]]:
    """Writes of a trace: its packets, the routers' labels, who is in whose multicast groups.

    Raises
    ------
    NocError
        If a node has too many packets, or a router too few labels.
    """
    writes: list[tuple[int, int, int, int]] = []
    groups, width = groups_of(options), options.mesh.width
    made: dict[int, int] = {}
    for number, packet in enumerate(options.trace):
        at = made.get(packet.source, 0)
        if at == TRACE_PACKETS_MAX:
            raise NocError(f"node {packet.source} must have at most {TRACE_PACKETS_MAX} packets "
                           f"of the trace on RTL, so not {packet.named(number)}")
        way = 0
        if packet.way >= 0:
            way = packet.way // width + 1 << 7 | packet.way % width + 1
        entry = TRACE_ENTRY.pack({
            "trace_cycle": packet.cycle, "trace_length": packet.flits - 1,
            "trace_destination": packet.copies - 1 if packet.targets else packet.destination,
            "trace_way": groups.labels[group_of(packet)] if packet.targets else way,
            "trace_multicast": bool(packet.targets)})
        writes.append((packet.source, Table.TRACES, at, entry))
        made[packet.source] = at + 1
    writes += [(node, Table.SETTINGS, Setting.TRACE_END, count) for node, count in made.items()]
    writes += [(node, Table.LABELS, label, mask)
               for node, table in groups.entries.items() for label, mask in table.items()]
    for source in {source for source, _ in groups.labels}:
        own = [targets for other, targets in groups.labels if other == source]
        everyone, common = frozenset[int]().union(*own), own[0].intersection(*own)
        writes += [(node, Table.GROUP, source, 1 | (node not in common) << 1)
                   for node in everyone]
    return writes


def job_of(options: LabOptions) -> Job:
    """The job of an experiment."""
    return Job(writes=settings_of(options),
               run_cycles=options.warmup_cycles + options.measure_cycles,
               drain_cycles=options.drain_cycles, histogram=True)


def perform(built: Build, jobs: Sequence[Job], nodes: int) -> list[Outcome]:
    """Run jobs, one after the other, in one simulation."""
    text = json.dumps([job.to_dict() for job in jobs])
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    with tempfile.TemporaryDirectory(dir=built.directory) as folder:
        todo, done = Path(folder, f"{name}-jobs.json"), Path(folder, f"{name}-outcomes.json")
        todo.write_text(text)
        run_bench(built, test_module="ouroboros.tb.noc.lab.bench", seed=1,
                  env={"NODES": str(nodes), "JOBS": str(todo), "OUTCOMES": str(done)})
        return [Outcome(**outcome) for outcome in json.loads(done.read_text())]


def verilator(options: LabOptions) -> result.Report:
    """Report of one experiment under Verilator."""
    return run(options, "verilator")


def icarus(options: LabOptions) -> result.Report:
    """Report of one experiment under Icarus Verilog."""
    return run(options, "icarus")


def run(options: LabOptions, sim: str = "verilator") -> result.Report:
    """Report of one experiment."""
    job = job_of(options)       # refuses before anything is built
    started = time.perf_counter()
    built = build_of(options.noc, options.mesh, sim, long_runs=True)
    build_s = time.perf_counter() - started
    outcome, = perform(built, [job], options.mesh.cores)
    return report(options, outcome, sim, build_s)


def report(options: LabOptions, outcome: Outcome, sim: str = "verilator",
           build_s: float | None = None) -> result.Report:
    """What an outcome comes to; percentiles from ``BINS`` up are None."""
    def each(count: Count) -> npt.NDArray[np.int64]:
        return np.array([node[count] for node in outcome.nodes], np.int64)

    return result.report(options, result.Counts(
        finished=outcome.finished, measured=outcome.total(Count.MEASURED),
        left=outcome.total(Count.DONE),
        latency=outcome.total(Count.LATENCY), network_latency=outcome.total(Count.NETWORK),
        hops_routers=outcome.total(Count.ROUTERS), latency_max=int(each(Count.LATENCY_MAX).max()),
        histogram=np.array(outcome.histogram, np.int64), clipped=True,
        offered=each(Count.OFFERED), injected=each(Count.INJECTED),
        accepted=each(Count.ACCEPTED), delivered=outcome.total(Count.RECEIVED),
        wrong=outcome.total(Count.ERRORS), cycles=outcome.cycles, seconds=outcome.seconds),
        sim, build_s)
