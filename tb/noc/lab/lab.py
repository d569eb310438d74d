"""The traffic laboratory: experiments of ``sw.noc.experiment`` on the RTL of the routers."""

import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.noc import CHANNELS_MAX, NocParams
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

__all__ = ["FOREVER", "build_of", "icarus", "job_of", "noc_of", "perform", "report", "run",
           "settings_of", "trace_writes", "verilator"]

FOREVER = (1 << 32) - 1
"""A cycle that does not come."""
DEPTH_MIN = 4
"""Buffers of the RTL are at least this deep: less could not fill a link (``NocParams``)."""


def noc_of(options: LabOptions) -> NocParams:
    """Network of an experiment: its classes, and control.

    Raises
    ------
    NocError
        If the RTL cannot have such a mesh.
    """
    if options.nodes > NODES_MAX:
        raise NocError(f"width x height must be at most {NODES_MAX} on RTL, not {options.nodes}")
    if options.depth < DEPTH_MIN:
        raise NocError(f"depth must be at least {DEPTH_MIN} on RTL, not {options.depth}")
    channels = options.vcs + options.class1_vcs + options.class2_vcs
    if channels > CHANNELS_MAX - 1:
        raise NocError(f"vcs + class1_vcs + class2_vcs must be at most {CHANNELS_MAX - 1} on RTL, "
                       f"not {channels}")
    if options.flit_bits < 128 or options.flit_bits % 128:
        raise NocError(f"flit_bits must be a multiple of 128 on RTL, not {options.flit_bits}")
    crossings = {}
    if options.die_width or options.die_height:
        if options.die_latency_cycles < 1:
            raise NocError("die_latency_cycles must be at least 1 on RTL, not "
                           f"{options.die_latency_cycles}")
        crossings = {"die_latency_cycles": options.die_latency_cycles,
                     "die_cycles_per_flit": options.die_cycles_per_flit}
    return NocParams(flit_bits=options.flit_bits, vcs=options.vcs,
                     class1_vcs=options.class1_vcs, class2_vcs=options.class2_vcs,
                     vc_depth=options.depth, multicast_flits=options.multicast_flits,
                     labels=options.labels,
                     **crossings)


def build_of(noc: NocParams, width: int, height: int, sim: str = "verilator", *,
             die_width: int = 0, die_height: int = 0, long_runs: bool = False) -> Build:
    """The laboratory, compiled; dies as in ``LabOptions``, ``long_runs`` as in ``build``."""
    sources = build_lab(noc, width, height, die_width=die_width, die_height=die_height)
    return build("lab", sources, sim=sim, shared=["router", "lab_node"],
                 long_runs=long_runs)


def settings_of(options: LabOptions) -> list[tuple[int, int, int, int]]:
    """Writes that make sources produce the packets of ``sw.noc.experiment.traffic``."""
    writes: list[tuple[int, int, int, int]] = []

    def write(node: int, setting: Setting, value: int) -> None:
        writes.append((node, Table.SETTINGS, setting, value))

    end = options.warmup_cycles + options.measure_cycles
    lengths = options.packet_max - options.packet_min + 1
    write(EVERY_NODE, Setting.SIZE, options.nodes << 8 | options.width)
    write(EVERY_NODE, Setting.PACKET, threshold(options.rate / options.packet_flits))
    write(EVERY_NODE, Setting.LENGTH, lengths << 4 | options.packet_min - 1)
    write(EVERY_NODE, Setting.STALL, threshold(options.stall))
    write(EVERY_NODE, Setting.WINDOW_START, options.warmup_cycles)
    write(EVERY_NODE, Setting.WINDOW_END, end)
    write(EVERY_NODE, Setting.STOP, FOREVER)
    write(EVERY_NODE, Setting.ORDERED, 16 if options.ordered else 0)
    for node, fixed in enumerate(destination_table(options)):
        write(node, Setting.SOURCE_STATE, seed_state(options.seed, node))
        write(node, Setting.SINK_STATE, seed_state(options.seed, node, sink=True))
        write(node, Setting.DESTINATION, UNIFORM if fixed < 0 else fixed)
    everything = route_entry((1 << options.vcs) - 1)
    writes += [(EVERY_NODE, Table.ROUTES, node, everything) for node in range(options.nodes)]
    if options.traffic == "trace":
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
    groups = groups_of(options)
    made: dict[int, int] = {}
    for number, packet in enumerate(options.trace):
        at = made.get(packet.source, 0)
        if at == TRACE_PACKETS_MAX:
            raise NocError(f"node {packet.source} must have at most {TRACE_PACKETS_MAX} packets "
                           f"of the trace on RTL, so not {packet.named(number)}")
        way = 0
        if packet.way >= 0:
            way = packet.way // options.width + 1 << 7 | packet.way % options.width + 1
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


def verilator(options: LabOptions) -> dict[str, Any]:
    """Report of one experiment under Verilator."""
    return run(options, "verilator")


def icarus(options: LabOptions) -> dict[str, Any]:
    """Report of one experiment under Icarus Verilog."""
    return run(options, "icarus")


def run(options: LabOptions, sim: str = "verilator") -> dict[str, Any]:
    """Report of one experiment: the keys of ``sw.noc.experiment.result``, and ``build_s``."""
    job = job_of(options)       # refuses before anything is built
    started = time.perf_counter()
    built = build_of(noc_of(options), options.width, options.height, sim,
                     die_width=options.die_width, die_height=options.die_height, long_runs=True)
    build_s = time.perf_counter() - started
    outcome, = perform(built, [job], options.nodes)
    return report(options, outcome, sim) | {"build_s": build_s}


def report(options: LabOptions, outcome: Outcome, sim: str = "verilator") -> dict[str, Any]:
    """An outcome with the keys of ``result``; percentiles from ``BINS`` up are None."""
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
        wrong=outcome.total(Count.ERRORS), cycles=outcome.cycles, seconds=outcome.seconds), sim)
