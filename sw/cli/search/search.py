"""``ouroboros search``: mappings of mixed serving on chips of several kinds."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.progress import TextColumn

from ouroboros.sw.api.search.search import Searched, SearchOptions, search_mapping
from ouroboros.sw.cli.command import Output, conclude, with_options
from ouroboros.sw.cli.group import INTERRUPTED, LazyGroup
from ouroboros.sw.cli.progress import bars
from ouroboros.sw.cli.tables import table

__all__ = ["search"]

COMMANDS = {
    "compare": "ouroboros.sw.cli.search.studies:compare",
    "hardware": "ouroboros.sw.cli.search.hardware:hardware",
    "make": "ouroboros.sw.cli.search.studies:make",
    "reproduce": "ouroboros.sw.cli.search.studies:reproduce",
    "wafer": "ouroboros.sw.cli.search.wafer:wafer",
}


@contextlib.contextmanager
def search_progress() -> Iterator[Callable[[float, float], None]]:
    """A bar on stderr; nothing shows when piped."""
    with bars(TextColumn("{task.fields[best]}")) as shown:
        task = shown.add_task("search", total=1.0, best="")
        yield lambda spent, best: shown.update(task, completed=spent, best=f"best {best:.4e}")


def _one(options: SearchOptions, output: Output) -> dict[str, Any]:
    with search_progress() as progress:
        found = search_mapping(options, progress)
    _show(found, output)
    if found.found is not None and found.found.interrupted:
        output.exit_code = INTERRUPTED
    return found.as_dict()


def _show(found: Searched, output: Output) -> None:
    seen, figures, searched = found.look, found.look.figures, found.found
    gap = "" if searched is None else f", {searched.gap:.1%} above the bound"
    output.say(f"{found.problem.instance.name}: EDP {figures.edp:.4e} pJ x cycles{gap}")
    shown = table("", "value", "", right=(1,))
    shown.add_row("latency", f"{figures.latency_cycles:,.0f}", "cycles")
    shown.add_row("energy", f"{figures.energy_pj:.4e}", "pJ")
    shown.add_row("EDP", f"{figures.edp:.4e}", "links and DRAM shared" if seen.contended
                  else "every layer has links and DRAM for itself")
    shown.add_row("EDP, otherwise", f"{found.other.edp:.4e}",
                  "every layer has links and DRAM for itself" if seen.contended
                  else "links and DRAM shared")
    if searched is not None:
        shown.add_row("bound", f"{searched.bound.edp:.4e}", "no mapping is below")
        shown.add_row("gap", f"{searched.gap:.1%}", "of the bound")
    shown.add_row("busiest link", f"{seen.busiest_link:.1%}", "of the latency it transfers")
    shown.add_row("DRAM", f"{seen.dram_share:.1%}", "of the latency it transfers")
    shown.add_row("arithmetic", f"{seen.arithmetic.mean() / figures.latency_cycles:.1%}",
                  "of the latency, mean of the chips")
    output.show(shown)
    if found.front:
        points = table("latency, cycles", "energy, pJ", "EDP", right=range(3),
                       title="None is better in both latency and energy")
        for point in found.front:
            points.add_row(f"{point.figures.latency_cycles:,.0f}",
                           f"{point.figures.energy_pj:.4e}", f"{point.figures.edp:.4e}")
        output.show(points)
    if searched is not None:
        output.say(f"{searched.evaluations:,} evaluations in {searched.seconds:.1f} s, "
                   f"{searched.evaluations / max(searched.processor_s, 1e-9):,.0f} a second of "
                   f"processor time, seed {found.options.seed}"
                   + ("; interrupted, best so far kept" if searched.interrupted else ""))


@click.group(cls=LazyGroup, commands_at=COMMANDS, points="ouroboros.search.commands",
             invoke_without_command=True)
@with_options(SearchOptions)
@click.pass_context
def search(ctx: click.Context, options: SearchOptions, json_path: Path | None,
           verbose: bool) -> None:
    """Search the mapping of a batch of requests on chips of several kinds, or a command below.

    Layers and micro-batches go to chips, segments say in which order; the product of energy and
    latency (EDP) is made small. Prints a proved lower bound and the gap to it. Ctrl-C ends the
    search and keeps the best so far, exit code 130. docs/search.md has the rules.
    """
    if ctx.invoked_subcommand is None:
        conclude(_one, options, json_path, verbose)
