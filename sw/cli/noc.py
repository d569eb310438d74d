"""``ouroboros noc``: experiments on the network, on RTL or on its models."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ouroboros.sw.cli.group import LazyGroup
from ouroboros.sw.cli.noc_options import lab_options
from ouroboros.sw.cli.options import json_option, write_json
from ouroboros.sw.lib.text import Console
from ouroboros.sw.noc.experiment.lab import runner
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.load.theory import channel_bound, zero_load_latency

__all__ = ["noc"]

COMMANDS = {
    "compare": "ouroboros.sw.cli.noc_curves:compare",
    "faults": "ouroboros.sw.cli.noc_host:faults",
    "links": "ouroboros.sw.cli.noc_host:links",
    "saturation": "ouroboros.sw.cli.noc_curves:saturation",
    "sweep": "ouroboros.sw.cli.noc_curves:sweep",
}
SHOWN = (
    ("packet_latency", "packet latency", "cycles, from made to tail out, source queue included"),
    ("network_latency", "network latency", "cycles, from head in to tail out"),
    ("p50", "median", "cycles of packet latency"), ("p95", "95 %", "cycles"),
    ("p99", "99 %", "cycles"), ("latency_max", "longest", "cycles"),
    ("hops_routers", "routers", "on a packet's way"),
    ("accepted", "accepted", "flits per node and cycle"),
    ("accepted_min_node", "accepted, least", "of all nodes"),
    ("accepted_max_node", "accepted, most", "of all nodes"),
    ("injected", "injected", "flits per node and cycle"),
    ("served_min_node", "served, least", "of a node's offered flits"),
    ("packets_measured", "packets", "made in the measured cycles"),
    ("delivered", "delivered", "packets in all"), ("wrong", "wrong", "of these"),
    ("sim_cycles", "cycles", "simulated"), ("cycles_per_s", "speed", "cycles per second"),
)


def print_report(options: LabOptions, found: dict[str, Any]) -> None:
    """One experiment as a table."""
    size = f"{options.width} x {options.height}"
    table = Table("quantity", "value", "", title=(
        f"{size} {options.traffic}, {options.vcs} channels of {options.depth} flits, packets of "
        f"{found['packet_size']}, offered {options.rate:g}, on {found['on']}"))
    for key, name, note in SHOWN:
        value = found.get(key)
        text = "" if value is None else (
            f"{value:,}" if isinstance(value, int) else f"{value:,.4f}" if value < 1
            else f"{value:,.1f}")
        table.add_row(name, text, note)
    table.add_row("saturated", "yes" if found["saturated"] else "no",
                  "measured packets were left over at the end")
    if options.traffic != "uniform" or options.nodes <= 4096:
        table.add_row("zero-load latency", f"{zero_load_latency(options):,.2f}", "cycles, T0")
        table.add_row("channel-load bound", f"{channel_bound(options):.4f}",
                      "offered load that fills the busiest channel")
    Console().print(table)


@click.group(cls=LazyGroup, commands_at=COMMANDS, points="ouroboros.noc.commands",
             invoke_without_command=True)
@lab_options
@click.option("--rate", default=0.2, show_default=True, metavar="F",
              help="Offered flits per node and cycle.")
@click.option("--on", "on", default="model", show_default=True,
              help="model, or a simulator of the RTL: verilator, icarus.")
@json_option
@click.pass_context
def noc(ctx: click.Context, options: LabOptions, rate: float, on: str,
        json_path: Path | None) -> None:
    """Measure the network: one experiment, or a command below.

    Definitions are BookSim2's; docs/network-models.md lists them.
    """
    if ctx.invoked_subcommand is not None:
        return
    options = replace(options, rate=rate)
    found = runner(on)(options)
    print_report(options, found)
    write_json(json_path, json.loads(json.dumps(found, default=float)))
