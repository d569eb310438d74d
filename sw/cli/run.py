"""``ouroboros run``: prompts through a machine."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import (
    dead_links_option,
    defects_option,
    json_option,
    machine_option,
    model_options,
    placement_option,
    write_json,
)
from ouroboros.sw.noc.routes.faults import parse_links
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime import job
from ouroboros.sw.runtime.service import BACKENDS, Served, serve

__all__ = ["job_progress", "print_served", "run"]

TITLES = {"build": "Building the simulator", "load": "Loading the machine",
          "token": "Generating tokens"}


class job_progress:
    """Bars for the steps of a job, on stderr; nothing shows when piped."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                              TimeElapsedColumn(), console=console, transient=True,
                              disable=not console.is_terminal)
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> job.Progress:
        self._bars.start()
        return self._update

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def _update(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(TITLES.get(what, what), total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)  # type: ignore[arg-type]


def print_served(served: Served) -> None:
    """Texts, then what was compared and measured."""
    for text, request in zip(served.texts, served.result.requests, strict=True):
        click.echo(f"--- {request.finished}, {len(request.tokens)} tokens\n{text}")
    summary, result = served.summary(), served.result
    if served.bit_exact is not None:
        verdict = "equal the golden decoder's bit for bit" if served.bit_exact else \
            "DIFFER from the golden decoder's"
        click.echo(f"\n{served.vectors_checked} logit vectors and all tokens {verdict}.")
    if result.cycles is not None:
        click.echo(f"{result.cycles} cycles (loading: {result.load_cycles}), "
                   f"{summary['cycles_per_s']:.0f} cycles/s, build {result.build_s:.1f} s, "
                   f"run {result.run_s:.1f} s")
    if result.flit_hops is not None:
        click.echo(f"{result.flit_hops} data flits sent from router to router, by the routers' "
                   f"counters")
    if result.errors is not None:
        click.echo(f"{result.errors} packets refused or dropped in all cores and routers")
    click.echo(f"{summary['tokens_per_s']:.2f} generated tokens per second of wall time on "
               f"machine {served.program.machine.name!r}, placement {served.program.placement!r}")


@click.command()
@machine_option()
@model_options
@click.option("--prompt", "prompts", multiple=True, required=True, metavar="TEXT",
              help="A prompt; may be repeated, all are served together.")
@click.option("--tokens", default=64, show_default=True, type=click.IntRange(min=1),
              help="Tokens to generate for each prompt at most.")
@click.option("--on", default="golden", show_default=True, type=click.Choice(BACKENDS),
              help="What runs the program.")
@placement_option
@defects_option
@dead_links_option
@click.option("--context", type=click.IntRange(min=1),
              help="Positions per sequence; default: what model and machine allow, at most 256.")
@click.option("--verify", default="last", show_default=True, type=click.Choice(["last", "all"]),
              help="Compare logits of the last prompt token and generated tokens, or of all.")
@click.option("--window", type=click.IntRange(min=1),
              help="Tokens under way at most; 1 sends them one at a time.")
@click.option("--twin", is_flag=True,
              help="Simulate the macro's behavioural twin instead of its bit-serial RTL.")
@json_option
@click.pass_context
def run(context_: click.Context, machine_name: str, checkpoint: Path, tokenizer: Path | None,
        prompts: tuple[str, ...], tokens: int, on: str, placement: str,
        dead: str, links: str, context: int | None, verify: str, window: int | None, twin: bool,
        json_path: Path | None) -> None:
    """Run prompts on a machine: golden model, or RTL under a simulator.

    Exit code 1 if a simulator's logits or tokens differ from the golden decoder's.
    """
    source = open_model(checkpoint, tokenizer)
    machine = load_machine(machine_name)
    with job_progress() as progress:
        served = serve(source, machine, prompts, tokens=tokens, on=on,
                       placement=placement, context=context, logits=verify, window=window,
                       twin=twin, defects=dead_cores(dead, machine.mesh),
                       dead_links=parse_links(links, machine.mesh),
                       progress=progress)
    print_served(served)
    write_json(json_path, served.summary())
    if served.bit_exact is False:
        context_.exit(1)
