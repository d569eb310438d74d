"""``ouroboros speed``: how fast simulators and models run, in one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ouroboros.sw.api.speed import (
    LinksSpeed,
    ModelSpeed,
    PlaceSpeed,
    Speed,
    as_results,
    speed_of_links,
    speed_of_model,
    speed_of_placer,
)
from ouroboros.sw.cli.command import Output, command, conclude, with_options
from ouroboros.sw.cli.group import LazyGroup
from ouroboros.sw.cli.progress import step_bars
from ouroboros.sw.cli.tables import table

__all__ = ["links", "place", "show_speeds", "speed"]

COMMANDS = {"links": "ouroboros.sw.cli.speed:links", "place": "ouroboros.sw.cli.speed:place"}


def show_speeds(found: Sequence[Speed], output: Output) -> dict[str, Any]:
    """The table of every measurement, and what is written of it."""
    shown = table("what", "counted", "per s of\nprocessor", "per s of\nwall time", "build, s",
                  right=(2, 3, 4))
    for one in found:
        shown.add_row(one.what, one.unit, *(_figure(value) for value in (
            one.per_processor_s, one.per_wall_s, one.build_s)))
    output.show(shown)
    more = table("what", "quantity", "value", right=(2,))
    for one in found:
        for name, value in one.more.items():
            more.add_row(one.what, name, _figure(value))
    if more.row_count:
        output.detail(more)
    return as_results(found)


def _figure(value: Any) -> str:
    if value is None or isinstance(value, bool | str):
        return "" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if value >= 1000 \
        else f"{value:,.2f}"


def whole_model(options: ModelSpeed, output: Output) -> dict[str, Any]:
    """Measure and show; results by macro, too."""
    with step_bars() as progress:
        found = speed_of_model(options, progress)
    output.say(f"Machine {options.machine!r} under Verilator, 4 sequences")
    return {"machine": options.machine, **{one.what: one.more for one in found},
            **show_speeds(found, output)}


@click.group(cls=LazyGroup, commands_at=COMMANDS, points="ouroboros.speed.commands",
             invoke_without_command=True)
@with_options(ModelSpeed)
@click.pass_context
def speed(ctx: click.Context, options: ModelSpeed, json_path: Path | None, verbose: bool) -> None:
    """Measure speed: the whole model under Verilator, or a part below.

    Four sequences run with bit-serial macros, then with their twin. Build times are 0 or near it
    where the simulator was built before ("make clean" removes it).
    """
    if ctx.invoked_subcommand is None:
        conclude(whole_model, options, json_path, verbose)


@command(PlaceSpeed)
def place(options: PlaceSpeed, output: Output) -> dict[str, Any]:
    """Measure evaluated moves per second of the placer's search on an instance."""
    return show_speeds(speed_of_placer(options), output)


@command(LinksSpeed)
def links(options: LinksSpeed, output: Output) -> dict[str, Any]:
    """Measure packets per second of the link-load model, random pairs of a machine's mesh."""
    return show_speeds(speed_of_links(options), output)
