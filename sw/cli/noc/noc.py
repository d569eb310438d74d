"""``ouroboros noc``: experiments on the network, on RTL or on its models."""

from pathlib import Path
from typing import Any

import click

from ouroboros.sw.api.network import OneOptions
from ouroboros.sw.cli.command import Output, conclude, with_options
from ouroboros.sw.cli.group import LazyGroup
from ouroboros.sw.cli.tables import table
from ouroboros.sw.noc.experiment.lab import runner
from ouroboros.sw.noc.experiment.result import unmeasured_words
from ouroboros.sw.noc.load.theory import channel_bound, zero_load_latency
from ouroboros.sw.noc.study.curves import title_of

__all__ = ["noc"]

COMMANDS = {
    "compare": "ouroboros.sw.cli.noc.curves:compare",
    "faults": "ouroboros.sw.cli.noc.host:faults",
    "links": "ouroboros.sw.cli.noc.host:links",
    "saturation": "ouroboros.sw.cli.noc.curves:saturation",
    "sweep": "ouroboros.sw.cli.noc.curves:sweep",
}
HEADLINE = (
    ("packet_latency", "packet latency", "cycles, from made to tail out, source queue included"),
    ("p99", "99 %", "cycles"),
    ("accepted", "accepted", "flits per node and cycle"),
)
DETAILS = (
    ("network_latency", "network latency", "cycles, from head in to tail out"),
    ("p50", "median", "cycles of packet latency"), ("p95", "95 %", "cycles"),
    ("latency_max", "longest", "cycles"),
    ("hops_routers", "routers", "on a packet's way"),
    ("accepted_min_node", "accepted, least", "of all nodes"),
    ("accepted_max_node", "accepted, most", "of all nodes"),
    ("injected", "injected", "flits per node and cycle"),
    ("served_min_node", "served, least", "of a node's offered flits"),
    ("packets_measured", "packets", "made in the measured cycles"),
    ("delivered", "delivered", "packets in all"), ("wrong", "wrong", "of these"),
    ("sim_cycles", "cycles", "simulated"), ("cycles_per_s", "speed", "cycles per second"),
)


def one_experiment(options: OneOptions, output: Output) -> dict[str, Any]:
    """Run and show one experiment."""
    experiment = options.experiment(rate=options.rate)
    found = runner(options.on)(experiment)
    shown = table("quantity", "value", "", right=(1,), title=(
        f"{title_of(experiment)}, offered {options.rate:g}, on {options.on}"))
    for key, name, note in HEADLINE + DETAILS * output.verbose:
        value = getattr(found, key)
        shown.add_row(name, "" if value is None else (
            f"{value:,}" if isinstance(value, int) else f"{value:,.4f}" if value < 1
            else f"{value:,.1f}"), note)
    shown.add_row("saturated", "yes" if found.saturated else "no",
                  "measured packets were left over at the end")
    if experiment.traffic.pattern != "uniform" or experiment.mesh.cores <= 4096:
        shown.add_row("zero-load latency", f"{zero_load_latency(experiment):,.2f}", "cycles, T0")
        shown.add_row("channel-load bound", f"{channel_bound(experiment):.4f}",
                      "offered load that fills the busiest channel")
    output.show(shown)
    if words := unmeasured_words(experiment):
        output.say(words)
    return found.as_dict()


@click.group(cls=LazyGroup, commands_at=COMMANDS, points="ouroboros.noc.commands",
             invoke_without_command=True)
@with_options(OneOptions)
@click.pass_context
def noc(ctx: click.Context, options: OneOptions, json_path: Path | None, verbose: bool) -> None:
    """Measure the network: one experiment, or a command below.

    Definitions are BookSim2's; docs/network-models.md lists them.
    """
    if ctx.invoked_subcommand is None:
        conclude(one_experiment, options, json_path, verbose)
