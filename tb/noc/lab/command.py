"""``ouroboros noc pairs``, ``mixed`` and ``around``: routers in RTL, judged by hardware."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ouroboros.sw.api.network import FLAGS, MeshOptions, span
from ouroboros.sw.api.shared import OnSimulator
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.progress import progress_bar
from ouroboros.sw.cli.tables import table
from ouroboros.sw.lib.options import option, part_of
from ouroboros.sw.lib.text import Console
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.routes.faults import random_faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.tb.flow.build import Build
from ouroboros.tb.noc.lab.job import Outcome
from ouroboros.tb.noc.lab.judge import wrong_around, wrong_at_zero_load, wrong_delivery
from ouroboros.tb.noc.lab.lab import build_of, job_of, perform
from ouroboros.tb.noc.lab.mixed import Mix, fault_job, mixed_job
from ouroboros.tb.noc.lab.node import Count
from ouroboros.tb.noc.lab.pairs import all_pairs

__all__ = ["around", "mixed", "pairs"]

TRIES = 100
"""Random sets of faults tried for each that leaves the mesh in one piece."""


@dataclass(frozen=True, kw_only=True)
class RtlOptions(OnSimulator, MeshOptions):
    """Routers in RTL and their mesh."""

    noc: Mapping[str, Any] = part_of(
        LabOptions, under=("noc",), skip=("multicast_flits", "parity", "faults"), flags=FLAGS,
        vc_depth=9, flit_bits=128)


@dataclass(frozen=True, kw_only=True)
class MixedOptions(RtlOptions):
    """Random packets."""

    packets: int = option(100_000, metavar="N", least=1)
    """About so many."""
    rate: float = option(0.25, metavar="F")
    """Offered flits per node and cycle."""
    packet: str = option("1-9", metavar="N[-M]")
    """Flits of a packet, header included."""
    stall: float = option(0.1, metavar="P")
    """Probability that a sink gives no credits in a cycle."""
    seed: int = option(1, metavar="N")
    """Of all randomness."""


@dataclass(frozen=True, kw_only=True)
class AroundOptions(RtlOptions):
    """Random sets of dead routers and links."""

    sets: int = option(1, metavar="N", least=1)
    """Random sets of each kind."""
    fault_counts: str = option("0:1,0:4,0:8,0:16,1:0,3:0", metavar="R:L,..")
    """Kinds of sets: how many routers and links are dead."""
    seed: int = option(100, metavar="N")
    """Of the first set."""


@command(RtlOptions)
def pairs(options: RtlOptions, output: Output) -> dict[str, Any]:
    """Zero-load latency of every pair: T0 = 3 + 2 H + (L - 1) for H links and L flits."""
    if options.die is not None:
        raise NocError("--die must not be given: a crossing adds to T0, which the scoreboards do "
                       "not know")
    lab = all_pairs(options.experiment())
    built, build_s = compiled(lab, options.on)
    outcome, = perform(built, [job_of(lab)], lab.mesh.cores)
    wrong = wrong_at_zero_load(outcome, lab.mesh.cores ** 2)
    return show([row("all pairs", outcome, wrong)], options.on, build_s, output)


@command(MixedOptions)
def mixed(options: MixedOptions, output: Output) -> dict[str, Any]:
    """Random packets: every channel, waypoints, tables, multicast, ordered or not, stalled sinks.

    Hardware scoreboards check that each comes exactly once, at its destination, whole, and in order
    if it is ordered.
    """
    shortest, longest = span("--packet", options.packet, "-", "N or N-M")
    mix = Mix(packets=options.packets, rate=options.rate, flits_min=shortest, flits_max=longest,
              stall=options.stall, seed=options.seed)
    # An experiment knows the limits.
    lab = options.experiment(packet_min=shortest, packet_max=longest, rate=mix.rate,
                             stall=mix.stall, seed=mix.seed)
    built, build_s = compiled(lab, options.on)
    outcome, = perform(built, [mixed_job(lab.noc, lab.mesh, mix)], lab.mesh.cores)
    return show([row("mixed", outcome, wrong_delivery(outcome))], options.on, build_s, output)


@command(AroundOptions)
def around(options: AroundOptions, output: Output) -> dict[str, Any]:
    """Random sets of dead routers and links: every live pair is served, by XY where that is alive.

    Sets that cut the mesh in two are passed over.
    """
    kinds = [kind_of(part) for part in options.fault_counts.split(",")]
    lab = options.experiment()
    if not lab.noc.class1_vcs or not lab.noc.class2_vcs:
        raise NocError("--class1-vcs and --class2-vcs must not be 0, or there is no way around")
    nodes = lab.mesh.cores
    found = [(kind, fault_sets(lab, *kind, options.sets, options.seed)) for kind in kinds]
    built, build_s = compiled(lab, options.on)
    rows: list[dict[str, Any]] = []
    with progress_bar("kinds") as progress:
        for n, ((routers, links), routes) in enumerate(found, start=1):
            mix = Mix(packets=3 * nodes ** 2, rate=0.1, seed=routers + links)
            outcomes = perform(built, [fault_job(lab.noc, each, mix) for _, each in routes], nodes)
            rows += [row(f"{routers} routers, {links} links, seed {number}", outcome,
                         wrong_around(outcome, each))
                     for (number, each), outcome in zip(routes, outcomes, strict=True)]
            progress(n, len(found))
    return show(rows, options.on, build_s, output)


def kind_of(text: str) -> tuple[int, int]:
    """Numbers of dead routers and links."""
    if ":" not in text:
        raise NocError(f"--fault-counts must be R:L,.., not {text!r}")
    return span("--fault-counts", text, ":", "R:L,..")


def fault_sets(options: LabOptions, routers: int, links: int, sets: int,
               first: int) -> list[tuple[int, Routes]]:
    """Seeds and routes of the first so many random sets that leave the mesh in one piece.

    Raises
    ------
    NocError
        If hardly any set does, or there are not so many routers and links.
    """
    mesh = options.mesh
    found: list[tuple[int, Routes]] = []
    for seed in range(first, first + TRIES * sets):
        faults = random_faults(mesh, routers, links, seed)
        try:
            found.append((seed, Routes(faults)))
        except NocError:
            continue
        if len(found) == sets:
            return found
    raise NocError(f"--fault-counts {routers}:{links} must leave a mesh of {mesh.width} x "
                   f"{mesh.height} in one piece; {len(found)} of {TRIES * sets} random sets do")


def compiled(options: LabOptions, on: str) -> tuple[Build, float]:
    """The laboratory, and how many seconds it took to build."""
    started = time.perf_counter()
    built = build_of(options.noc, options.mesh, on)
    return built, time.perf_counter() - started


def row(name: str, outcome: Outcome, wrong: list[str]) -> dict[str, Any]:
    """One outcome, for table and JSON."""
    return {
        "name": name, "packets": outcome.total(Count.RECEIVED),
        "in_order": outcome.total(Count.IN_ORDER),
        "by_class": {key: outcome.total(Count.BY_CLASS + n)
                     for n, key in enumerate(("0", "1", "2", "control"))},
        "dropped": outcome.dropped, "errors": outcome.total(Count.ERRORS),
        "latency_max": max(node[Count.LATENCY_MAX] for node in outcome.nodes),
        "sim_cycles": outcome.cycles,
        "cycles_per_s": outcome.cycles / outcome.seconds if outcome.seconds else None,
        "wrong": wrong}


def show(rows: Sequence[dict[str, Any]], on: str, build_s: float,
         output: Output) -> dict[str, Any]:
    """Show what came out, and return it for a file; exit code 1 if anything is wrong."""
    wrong = [f"{each['name']}: {sentence}" for each in rows for sentence in each["wrong"]]
    output.say(f"{len(rows)} runs on {on}: {'wrong' if wrong else 'all right'}")
    shown = table("run", "packets", "ordered", "dropped", "longest", "cycles", "",
                  right=range(1, 6))
    classes = table("run", "class 0", "class 1", "class 2", "control", right=range(1, 5),
                    title="Packets by class")
    for each in rows:
        shown.add_row(each["name"], f"{each['packets']:,}", f"{each['in_order']:,}",
                      f"{each['dropped']:,}", f"{each['latency_max']:,}",
                      f"{each['sim_cycles']:,}", "wrong" if each["wrong"] else "right")
        classes.add_row(each["name"], *(f"{count:,}" for count in each["by_class"].values()))
    output.show(shown)
    output.detail(classes)
    for sentence in wrong:
        Console(stderr=True).print(sentence)
    output.exit_code = int(bool(wrong))
    return {"on": on, "build_s": build_s, "runs": list(rows)}
