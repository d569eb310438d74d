"""``ouroboros noc pairs``, ``mixed`` and ``around``: routers in RTL, judged by hardware."""

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ouroboros.hw.params.machine import MeshParams
from ouroboros.sw.cli.noc_options import mesh_options, span
from ouroboros.sw.cli.options import json_option, print_whole, progress_bar, write_json
from ouroboros.sw.lib.text import Console
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.routes.faults import random_faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.tb.flow.build import Build
from ouroboros.tb.noc.lab.job import Outcome
from ouroboros.tb.noc.lab.judge import wrong_around, wrong_at_zero_load, wrong_delivery
from ouroboros.tb.noc.lab.lab import build_of, job_of, noc_of, perform
from ouroboros.tb.noc.lab.mixed import Mix, fault_job, mesh_of, mixed_job
from ouroboros.tb.noc.lab.node import Count
from ouroboros.tb.noc.lab.pairs import all_pairs

__all__ = ["around", "mixed", "pairs"]

FAULTS = "0:1,0:4,0:8,0:16,1:0,3:0"
FIRST_SEED = 100
TRIES = 100
"""Random sets of faults tried for each that leaves the mesh in one piece."""


def rtl_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the routers, given to the command as ``options`` (``LabOptions``) and ``on``."""
    @functools.wraps(command)
    def with_options(mesh: dict[str, int], **others: Any) -> Any:
        return command(options=LabOptions(**mesh), **others)

    simulator = click.option("--on", default="verilator", show_default=True,
                             type=click.Choice(["verilator", "icarus"]), help="Simulator.")
    return mesh_options(depth=9, flit_bits=128)(simulator(json_option(with_options)))


@click.command()
@rtl_options
def pairs(options: LabOptions, on: str, json_path: Path | None) -> None:
    """Zero-load latency of every pair: T0 = 3 + 2 H + (L - 1) for H links and L flits."""
    if options.die_width or options.die_height:
        raise NocError("--die must not be given: a crossing adds to T0, which the scoreboards do "
                       "not know")
    options = all_pairs(options)
    built, build_s = compiled(options, on)
    outcome, = perform(built, [job_of(options)], options.nodes)
    wrong = wrong_at_zero_load(outcome, options.nodes ** 2)
    conclude([row("all pairs", outcome, wrong)], on, build_s, json_path)


@click.command()
@click.option("--packets", default=100_000, show_default=True, metavar="N", help="About so many.")
@click.option("--rate", default=0.25, show_default=True, metavar="F",
              help="Offered flits per node and cycle.")
@click.option("--packet", default="1-9", show_default=True, metavar="N[-M]",
              help="Flits of a packet, header included.")
@click.option("--stall", default=0.1, show_default=True, metavar="P",
              help="Probability that a sink gives no credits in a cycle.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of all randomness.")
@rtl_options
def mixed(options: LabOptions, packets: int, rate: float, packet: str, stall: float, seed: int,
          on: str, json_path: Path | None) -> None:
    """Random packets: every channel, waypoints, tables, multicast, ordered or not, stalled sinks.

    Hardware scoreboards check that each comes exactly once, at its destination, whole, and in order
    if it is ordered.
    """
    shortest, longest = span("--packet", packet, "-", "N or N-M")
    # LabOptions knows the limits.
    LabOptions(packet_min=shortest, packet_max=longest, rate=rate, stall=stall, seed=seed)
    if packets < 1:
        raise NocError(f"--packets must be at least 1, not {packets}")
    mix = Mix(packets=packets, rate=rate, flits_min=shortest, flits_max=longest, stall=stall,
              seed=seed)
    noc = noc_of(options)
    built, build_s = compiled(options, on)
    outcome, = perform(built, [mixed_job(noc, dies_of(options), mix)], options.nodes)
    conclude([row("mixed", outcome, wrong_delivery(outcome))], on, build_s, json_path)


@click.command()
@click.option("--sets", default=1, show_default=True, metavar="N",
              help="Random sets of each kind.")
@click.option("--faults", default=FAULTS, show_default=True, metavar="R:L,..",
              help="Kinds: dead routers and dead links.")
@click.option("--seed", default=FIRST_SEED, show_default=True, metavar="N",
              help="Of the first set.")
@rtl_options
def around(options: LabOptions, sets: int, faults: str, seed: int, on: str,
           json_path: Path | None) -> None:
    """Random sets of dead routers and links: every live pair is served, by XY where that is alive.

    Sets that cut the mesh in two are passed over.
    """
    kinds = [kind_of(part) for part in faults.split(",")]
    if sets < 1:
        raise NocError(f"--sets must be at least 1, not {sets}")
    if not options.class1_vcs or not options.class2_vcs:
        raise NocError("--class1-vcs and --class2-vcs must not be 0, or there is no way around")
    noc = noc_of(options)
    found = [(kind, fault_sets(options, *kind, sets, seed)) for kind in kinds]
    built, build_s = compiled(options, on)
    rows: list[dict[str, Any]] = []
    with progress_bar("kinds") as progress:
        for n, ((routers, links), routes) in enumerate(found, start=1):
            mix = Mix(packets=3 * options.nodes ** 2, rate=0.1, seed=routers + links)
            outcomes = perform(built, [fault_job(noc, each, mix) for _, each in routes],
                               options.nodes)
            rows += [row(f"{routers} routers, {links} links, seed {number}", outcome,
                         wrong_around(outcome, each))
                     for (number, each), outcome in zip(routes, outcomes, strict=True)]
            progress(n, len(found))
    conclude(rows, on, build_s, json_path)


def kind_of(text: str) -> tuple[int, int]:
    """Numbers of dead routers and links."""
    if ":" not in text:
        raise NocError(f"--faults must be R:L,.., not {text!r}")
    return span("--faults", text, ":", "R:L,..")


def fault_sets(options: LabOptions, routers: int, links: int, sets: int,
               first: int) -> list[tuple[int, Routes]]:
    """Seeds and routes of the first so many random sets that leave the mesh in one piece.

    Raises
    ------
    NocError
        If hardly any set does, or there are not so many routers and links.
    """
    mesh = dies_of(options)
    found: list[tuple[int, Routes]] = []
    for seed in range(first, first + TRIES * sets):
        faults = random_faults(mesh, routers, links, seed)
        try:
            found.append((seed, Routes(faults)))
        except NocError:
            continue
        if len(found) == sets:
            return found
    raise NocError(f"--faults {routers}:{links} must leave a mesh of {mesh.width} x {mesh.height} "
                   f"in one piece; {len(found)} of {TRIES * sets} random sets do")


def dies_of(options: LabOptions) -> MeshParams:
    """The mesh, and its dies."""
    return mesh_of(options.width, options.height, options.die_width, options.die_height)


def compiled(options: LabOptions, on: str) -> tuple[Build, float]:
    """The laboratory, and how many seconds it took to build."""
    started = time.perf_counter()
    built = build_of(noc_of(options), options.width, options.height, on,
                     die_width=options.die_width, die_height=options.die_height)
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


def conclude(rows: Sequence[dict[str, Any]], on: str, build_s: float,
             json_path: Path | None) -> None:
    """Print and write what came out; ends with exit code 1 if anything is wrong."""
    table = Table("run", "packets", "ordered", "class 0", "class 1", "class 2", "control",
                  "dropped", "longest", "cycles", "", title=f"on {on}")
    for each in rows:
        table.add_row(each["name"], f"{each['packets']:,}", f"{each['in_order']:,}",
                      *(f"{count:,}" for count in each["by_class"].values()),
                      f"{each['dropped']:,}", f"{each['latency_max']:,}",
                      f"{each['sim_cycles']:,}", "wrong" if each["wrong"] else "right")
    print_whole(table)
    write_json(json_path, {"on": on, "build_s": build_s, "runs": list(rows)})
    for each in rows:
        for sentence in each["wrong"]:
            Console(stderr=True).print(f"{each['name']}: {sentence}")
    if any(each["wrong"] for each in rows):
        raise click.exceptions.Exit(1)
