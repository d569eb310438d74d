"""``ouroboros noc faults`` and ``links``: routes around faults, load of links."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.cli.options import (
    json_option,
    machine_option,
    print_whole,
    progress_bar,
    write_json,
)
from ouroboros.sw.lib.text import Console
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.placed_traffic import Placed, read_placed
from ouroboros.sw.noc.experiment.traffic_file import Volumes, read_volumes
from ouroboros.sw.noc.load.fit import FITS, Fit, fit, read_fit, write_fit
from ouroboros.sw.noc.load.held import Held, held_out
from ouroboros.sw.noc.load.load import Flows, LinkParams, link_loads
from ouroboros.sw.noc.routes.fault_report import bytes_by_class, check_seconds, pair_shares
from ouroboros.sw.noc.routes.faults import Faults, random_faults, read_faults
from ouroboros.sw.noc.routes.routing import Routes

__all__ = ["faults", "links"]

SPEED_FLOWS = 1_000_000
FILE = click.Path(path_type=Path, dir_okay=False)


def open_faults(machine: Machine, defects: str, dead_links: int, seed: int) -> Faults:
    """A number of dead cores, drawn with the seed, or a file."""
    if defects.isdigit():
        return random_faults(machine.mesh, int(defects), dead_links, seed)
    if dead_links:
        raise NocError("--dead-links must be in the file of --defects, not beside it")
    return read_faults(Path(defects), machine.mesh)


def open_volumes(machine: Machine, routes: Routes, flows_path: Path | None,
                 instance_path: Path | None, placement_path: Path | None,
                 ) -> tuple[Volumes | None, Placed | None]:
    """Bytes per token of a flow file or a placement instance, if one is given; the latter, too."""
    if flows_path is not None and instance_path is not None:
        raise NocError("--flows and --instance must not both be given")
    if placement_path is not None and instance_path is None:
        raise NocError("--instance FILE must be given with --placement: the tiles that it places")
    if flows_path is not None:
        return read_volumes(flows_path, machine.mesh), None
    if instance_path is not None:
        placed = read_placed(instance_path, placement_path, machine.mesh, ~routes.live.live)
        return placed.volumes, placed
    return None, None


def fault_options(command: Any) -> Any:
    """Machine and faults; ``--flows``, or ``--instance`` and ``--placement``."""
    for option in (
            click.option("--placement", "placement_path", type=FILE, metavar="FILE",
                         help="Where the tiles of --instance lie, as ouroboros map --out wrote it; "
                              "without it, along a snake through the dies."),
            click.option("--instance", "instance_path", type=FILE, metavar="FILE",
                         help="Placement instance (JSON), as ouroboros tile --out wrote it."),
            click.option("--flows", "flows_path", type=FILE, metavar="FILE",
                         help="CSV of source, destination, bytes per token, and tree for "
                              "multicasts; cores are x + width * y, from 0."),
            click.option("--seed", default=1, show_default=True, metavar="N",
                         help="Of what is drawn."),
            click.option("--dead-links", default=0, show_default=True, metavar="N",
                         help="Dead links, drawn at random."),
            click.option("--defects", default="0", show_default=True, metavar="N|FILE",
                         help="Dead cores: how many, or a JSON file."),
            machine_option("wafer")):
        command = option(command)
    return command


@click.command()
@fault_options
@click.option("--pairs", default=1_000_000, show_default=True, metavar="N",
              help="Pairs drawn for the shares; 0: all of them.")
@json_option
def faults(machine_name: str, defects: str, dead_links: int, seed: int, flows_path: Path | None,
           instance_path: Path | None, placement_path: Path | None, pairs: int,
           json_path: Path | None) -> None:
    """Route around faults: classes of pairs and bytes, and the check of their channels, timed."""
    machine = load_machine(machine_name)
    found = open_faults(machine, defects, dead_links, seed)
    routes = Routes(found)
    volumes, _ = open_volumes(machine, routes, flows_path, instance_path, placement_path)
    started = time.process_time()
    shares = pair_shares(routes, pairs, seed)
    seconds = time.process_time() - started
    in_bytes = bytes_by_class(routes, volumes) if volumes is not None else None
    timed = check_seconds(found)

    mesh = machine.mesh
    console = Console()
    console.print(f"{mesh.width} x {mesh.height} cores: {len(found.routers)} dead, "
                  f"{len(routes.live.cut_off)} cut off from their die, so declared dead, "
                  f"{len(routes.cores)} live; {len(found.links)} more links dead")
    table = Table("class", "route", "share of pairs", "share of bytes", title=(
        f"{'All' if shares.all_pairs else 'Sample of'} {shares.pairs:,} ordered pairs of live "
        f"cores"))
    for number, name in enumerate(("XY", "XY to a waypoint and on", "up*/down* tables")):
        table.add_row(str(number), name, f"{shares.shares[number]:.4%}",
                      "" if in_bytes is None else f"{in_bytes[number]:.4%}")
    print_whole(table)
    console.print(f"class 1 takes {shares.extra_hops:.3f} hops more than the shortest way of an "
                  f"unbroken mesh, on average")
    console.print(f"channels can be sorted: {timed['channels']:,} with {timed['dependencies']:,} "
                  f"dependencies; every live pair is connected")
    console.print(f"processor time: live mesh {timed['live_s'] * 1e3:.1f} ms, tables "
                  f"{timed['tables_s'] * 1e3:.1f} ms, check of all {timed['check_s'] * 1e3:.1f} "
                  f"ms, after a change in one die {timed['die_s'] * 1e3:.1f} ms; a route "
                  f"{seconds / shares.pairs * 1e9:.0f} ns")
    write_json(json_path, {
        "machine": machine.name, "dead": len(found.routers), "dead_links": len(found.links),
        "cut_off": [list(core) for core in routes.live.cut_off], "live": len(routes.cores),
        "pairs": dataclasses.asdict(shares), "bytes": in_bytes, "seconds": timed,
        "route_ns": seconds / shares.pairs * 1e9})


@click.command()
@fault_options
@click.option("--vcs", type=int, metavar="N", help="Channels of class 0; default: the machine's.")
@click.option("--depth", type=int, metavar="FLITS", help="Of a channel; default: the machine's.")
@click.option("--interval", default=0, metavar="CYCLES",
              help="Cycles per token; without it, twice the least that the busiest link allows.")
@click.option("--die-latency", default=20, show_default=True, metavar="CYCLES",
              help="Cycles on the wire between dies.")
@click.option("--die-cycles", default=1, show_default=True, metavar="N",
              help="Cycles for which a flit occupies that wire.")
@click.option("--fit", "fit_again", is_flag=True,
              help="Fit the constants to the cycle model again, and keep them.")
@click.option("--held-out", "held", is_flag=True,
              help="Hold the model against the cycle model where it was not fitted.")
@json_option
def links(machine_name: str, defects: str, dead_links: int, seed: int, flows_path: Path | None,
          instance_path: Path | None, placement_path: Path | None, vcs: int | None,
          depth: int | None, interval: int, die_latency: int, die_cycles: int, fit_again: bool,
          held: bool, json_path: Path | None) -> None:
    """Load and contention of every link, from flows alone; the model's error and speed.

    The nets of a placed model (--instance, --placement) are multicast trees; beside what they do to
    the links stand the placement's own figures.
    """
    machine = load_machine(machine_name)
    vcs = machine.noc.vcs if vcs is None else vcs
    depth = machine.noc.vc_depth if depth is None else depth
    if fit_again:
        with progress_bar("fit") as progress:
            fitted = fit(vcs, depth, progress)
        write_fit(fitted)
        Console().print(f"kept in {FITS.name}")
    fitted = read_fit(vcs, depth)
    console = Console()
    console.print(f"{vcs} channels of {depth} flits: blocking {fitted.blocking}, sharing "
                  f"{fitted.sharing}; largest error of latency over the fit {fitted.worst:.1%}")
    params = LinkParams(mesh=machine.mesh, depth=depth, blocking=fitted.blocking,
                        sharing=fitted.sharing, die_latency_cycles=die_latency,
                        die_cycles_per_flit=die_cycles)
    routes = Routes(open_faults(machine, defects, dead_links, seed))
    volumes, placed = open_volumes(machine, routes, flows_path, instance_path, placement_path)
    results: dict[str, Any] = {"fit": dataclasses.asdict(fitted)}
    if held:
        results["held_out"] = show_held_out(fitted)
    results["packets_per_s"] = show_speed(params, seed)
    if volumes is not None:
        results["traffic"] = show_traffic(machine, params, routes, volumes, interval)
    if placed is not None:
        results["placement"] = show_placed(machine, placed)
    write_json(json_path, results)


def show_held_out(fitted: Fit) -> dict[str, Any]:
    """Both models at points that were not fitted, as a table."""
    with progress_bar("points") as progress:
        found: list[Held] = held_out(fitted, progress=progress)
    table = Table("traffic", "rate", "of saturation", "cycle model", "link-load model", "error",
                  title="Mean latency in cycles")
    for point in found:
        table.add_row(point.name, f"{point.rate:.4f}", f"{point.fraction:.1f}",
                      f"{point.cycle_model:.2f}", f"{point.link_model:.2f}",
                      f"{point.error:+.1%}")
    print_whole(table)
    errors = [abs(point.error) for point in found]
    Console().print(f"error: mean {np.mean(errors):.1%}, largest {max(errors):.1%}")
    return {"mean_error": float(np.mean(errors)), "largest_error": max(errors),
            "points": [dataclasses.asdict(point) | {"error": point.error} for point in found]}


def show_speed(params: LinkParams, seed: int) -> float:
    """Packets per second of processor time, random pairs of the machine's mesh."""
    rng = np.random.default_rng(seed)
    sources, ends = rng.integers(0, params.mesh.cores, (2, SPEED_FLOWS)).astype(np.int32)
    flows = Flows(sources=sources, ends=ends, rates=np.full(SPEED_FLOWS, 1e-6),
                  flits=np.full(SPEED_FLOWS, 4, np.int32))
    best = 0.0
    for _ in range(3):
        started = time.process_time()
        link_loads(params, flows)
        best = max(best, SPEED_FLOWS / (time.process_time() - started))
    Console().print(f"speed: {best / 1e6:.1f} million packets per second, one at a time, on "
                    f"{params.mesh.width} x {params.mesh.height} cores")
    return best


def show_traffic(machine: Machine, params: LinkParams, routes: Routes, volumes: Volumes,
                 interval: int) -> dict[str, Any]:
    """What traffic per token does to the links."""
    bytes_per_flit = machine.noc.flit_bits // 8
    flows = packets_of(routes, volumes, bytes_per_flit)
    once = link_loads(params, flows)
    if interval == 0:
        interval = int(np.ceil(2 * once.load.max()))
    # Rates are packets per token so far.
    flows = dataclasses.replace(flows, rates=flows.rates / interval)
    found = link_loads(params, flows)
    weights = flows.rates * flows.flits
    kept = np.isfinite(found.latency)
    latency = float(np.average(found.latency[kept], weights=weights[kept])) if kept.any() else None
    hops = float((volumes.volume_bytes * hops_of(routes, volumes)).sum())
    result = {
        "interval_cycles": interval, "flit_hops_per_token": once.flit_hops,
        "busiest_flits_per_token": float(once.flits[:4].max()),
        "busiest_load": found.busiest, "busiest_held": float(found.held[:4].max()),
        "busiest_exit_flits_per_token": float(once.flits[4].max()),
        "unicast_byte_hops_per_token": hops, "latency_cycles": latency,
        "zero_load_cycles": float(np.average(found.zero_load, weights=weights)),
        "flows_beyond_capacity": int((~kept).sum())}
    table = Table("quantity", "value", "", title="Traffic of a token")
    table.add_row("byte-hops", f"{hops / 1e6:,.1f} M",
                  f"as unicast, {'with' if volumes.headers else 'without'} headers")
    table.add_row("flit-hops", f"{once.flit_hops:,.0f}", "headers included, trees as trees")
    table.add_row("busiest link", f"{result['busiest_flits_per_token']:,.0f}", "flits")
    table.add_row("busiest exit", f"{result['busiest_exit_flits_per_token']:,.0f}", "flits")
    table.add_row("interval", f"{interval:,}", "cycles per token")
    table.add_row("load of the busiest link", f"{found.busiest:.3f}", "at this interval")
    if len(flows.trees):
        table.add_row("busiest for multicast", f"{result['busiest_held']:.3f}",
                      "of cycles in which no copy can start on a link")
    table.add_row("zero-load latency", f"{result['zero_load_cycles']:,.1f}",
                  "cycles, mean over flits")
    table.add_row("latency", "" if latency is None else f"{latency:,.1f}",
                  f"cycles; {result['flows_beyond_capacity']:,} of {len(kept):,} flows meet a link "
                  f"beyond its capacity")
    Console().print(table)
    return result


def show_placed(machine: Machine, placed: Placed) -> dict[str, Any]:
    """The placement's own figures, to hold the model's against."""
    loads, flit_bytes = placed.loads, machine.noc.flit_bits // 8
    core, direction = loads.busiest
    result = {"busiest_flits_per_token": loads.busiest_flits(flit_bytes), "busiest_core": core,
              "busiest_direction": direction, "nets_known": loads.known,
              "flit_hops_per_token": float(loads.bytes.sum()) / flit_bytes}
    Console().print(
        f"the placement's own count: {result['flit_hops_per_token']:,.0f} flit-hops, busiest link "
        f"{result['busiest_flits_per_token']:,.0f} flits, {direction} of core {core}; "
        + ("multicast trees by XY as if nothing were dead, headers included" if loads.known else
           "edges as unicast, half each way, without headers"))
    return result


def hops_of(routes: Routes, volumes: Volumes) -> Any:
    """Links of each flow's route by XY, or by a waypoint; the shortest way for class 2."""
    width = routes.mesh.width
    choices = routes.choices(volumes.sources, volumes.ends)
    least = (abs(volumes.sources % width - volumes.ends % width)
             + abs(volumes.sources // width - volumes.ends // width))
    return np.where(choices[:, 2] >= 0, choices[:, 2], least)


def packets_of(routes: Routes, volumes: Volumes, bytes_per_flit: int) -> Flows:
    """Packets per token of 8 payload flits and a header (bytes of a rest count by the flit).

    Where headers are in the bytes, what is shorter than that is a shorter packet, such as a credit.
    A multicast tree whose paths are not all alive is taken apart into unicast. Class 2, which has
    no fixed path in terms of XY, takes the corners of its path by the tables.
    """
    choices = routes.choices(volumes.sources, volumes.ends)
    vias = routes.vias(volumes.sources, volumes.ends, choices)
    trees = volumes.trees
    if len(trees):
        broken = np.zeros(int(trees.max()) + 1, np.bool_)
        broken[trees[choices[:, 0] > 0]] = True
        new = np.ones(len(trees), np.int32)
        new[1:] = (trees[1:] != trees[:-1]) | broken[trees[1:]]
        trees = (new.cumsum() - 1).astype(np.int32)
    flits = volumes.volume_bytes / bytes_per_flit * (1 if volumes.headers else 9 / 8)
    lengths = np.full(len(flits), 9, np.int32)
    if volumes.headers:
        lengths = np.clip(np.ceil(flits), 1, 9).astype(np.int32)
    return Flows(sources=volumes.sources, ends=volumes.ends, rates=flits / lengths, flits=lengths,
                 vias=vias, trees=trees)
