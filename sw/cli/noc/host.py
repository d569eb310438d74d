"""``ouroboros noc faults`` and ``links``: routes around faults, load of links."""

from typing import Any

import numpy as np

from ouroboros.sw.api.placing.links import (
    Around,
    AroundOptions,
    LinkReport,
    LinksOptions,
    hold_out,
    refit,
    route_around,
    traffic_on_links,
)
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.progress import progress_bar
from ouroboros.sw.cli.tables import cell, table
from ouroboros.sw.noc.load.fit import own_fits

__all__ = ["faults", "links"]

CLASSES = ("XY", "XY to a waypoint and on", "up*/down* tables")


@command(AroundOptions)
def faults(options: AroundOptions, output: Output) -> dict[str, Any]:
    """Route around faults: classes of pairs and bytes, and the check of their channels, timed."""
    found = route_around(options)
    _show_around(found, output)
    return found.as_dict()


def _show_around(found: Around, output: Output) -> None:
    mesh, shares, timed = found.machine.mesh, found.pairs, found.seconds
    output.say(f"{mesh.width} x {mesh.height} cores: {len(found.faults.routers)} dead, "
               f"{len(found.cut_off)} cut off from their die, so declared dead,\n"
               f"{found.live} live; {len(found.faults.links)} more links dead; "
               "every live pair is connected")
    shown = table("class", "route", "share of pairs", "share of bytes", right=(2, 3), title=(
        f"{'All' if shares.all_pairs else 'Sample of'} {shares.pairs:,} ordered pairs of live "
        f"cores"))
    for number, name in enumerate(CLASSES):
        shown.add_row(str(number), name, f"{shares.shares[number]:.4%}",
                      "" if found.in_bytes is None else f"{found.in_bytes[number]:.4%}")
    output.show(shown)
    output.say(f"class 1 takes {shares.extra_hops:.3f} hops more than the shortest way of an "
               f"unbroken mesh\nchannels can be sorted: {timed['channels']:,} with "
               f"{timed['dependencies']:,} dependencies")
    times = table("processor time", "", right=(1,))
    for name, value in (("live mesh", f"{timed['live_s'] * 1e3:.1f} ms"),
                        ("tables", f"{timed['tables_s'] * 1e3:.1f} ms"),
                        ("check of all", f"{timed['check_s'] * 1e3:.1f} ms"),
                        ("check after a change in one die", f"{timed['die_s'] * 1e3:.1f} ms"),
                        ("a route", f"{found.route_ns:.0f} ns")):
        times.add_row(name, value)
    output.detail(times)


@command(LinksOptions)
def links(options: LinksOptions, output: Output) -> dict[str, Any]:
    """Load and contention of every link, from flows alone; the model's error.

    The nets of a placed model (--instance, --placement) are multicast trees; beside what they do to
    the links stand the placement's own figures. "ouroboros speed links" measures the model's speed.
    """
    if options.fit:
        with progress_bar("fit") as advance:
            refit(options, advance)
        output.say(f"kept in {own_fits()}")
    with progress_bar("points") as advance:
        held = hold_out(options, advance) if options.held_out else ()
    found = traffic_on_links(options, held)
    fitted = found.fitted
    if found.traffic is not None:
        _show_traffic(found, output)
    _show_placement(found, output)
    output.say(f"{fitted.vcs} channels of {fitted.depth} flits: blocking {fitted.blocking}, "
               f"sharing {fitted.sharing}; largest error of latency\nover the fit "
               f"{fitted.worst:.1%}")
    if held:
        _show_held(found, output)
    return found.as_dict()


def _show_held(found: LinkReport, output: Output) -> None:
    shown = table("traffic", "rate", "of\nsat.", "cycle\nmodel", "link\nmodel", "error",
                  title="Mean latency in cycles", right=range(1, 6))
    for point in found.held:
        shown.add_row(point.name, f"{point.rate:.4f}", f"{point.fraction:.1f}",
                      f"{point.cycle_model:.2f}", f"{point.link_model:.2f}",
                      f"{point.error:+.1%}")
    output.say(f"error: mean {np.mean(found.errors):.1%}, largest {max(found.errors):.1%}")
    output.show(shown)


def _show_traffic(found: LinkReport, output: Output) -> None:
    one = found.traffic
    assert one is not None, "there is traffic to show"
    shown = table("quantity", "value", "", title="Traffic of a token", right=(1,))
    shown.add_row("busiest link", f"{one.busiest_flits_per_token:,.0f}", "flits")
    shown.add_row("interval", f"{one.interval_cycles:,}", "cycles per token")
    shown.add_row("load of the busiest link", f"{one.busiest_load:.3f}", "at this interval")
    shown.add_row("latency", cell(one.latency_cycles, ",.1f"),
                  f"cycles; {one.flows_beyond_capacity:,} of {one.flows:,} flows meet a full link")
    shown.add_row("zero-load latency", cell(one.zero_load_cycles, ",.1f"),
                  "cycles, mean over flits")
    shown.add_row("flit-hops", f"{one.flit_hops_per_token:,.0f}",
                  "headers included, trees as trees")
    shown.add_row("byte-hops", f"{one.unicast_byte_hops_per_token / 1e6:,.1f} M",
                  f"as unicast, {'with' if one.headers else 'without'} headers")
    shown.add_row("busiest exit", f"{one.busiest_exit_flits_per_token:,.0f}", "flits")
    if one.trees:
        shown.add_row("busiest for multicast", f"{one.busiest_held:.3f}",
                      "of cycles in which no copy can start")
    output.show(shown)


def _show_placement(found: LinkReport, output: Output) -> None:
    if (one := found.placement) is None:
        return
    output.say(f"the placement's own count: {one.flit_hops_per_token:,.0f} flit-hops, busiest "
               f"link {one.busiest_flits_per_token:,.0f} flits,\n{one.busiest_direction} of core "
               f"{one.busiest_core}; " + (
                   "multicast trees by XY as if nothing were dead, headers included"
                   if one.nets_known else
                   "edges as unicast, half each way, without headers"))
