"""``ouroboros run``: prompts through a machine."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.group import DIFFERS, INTERRUPTED
from ouroboros.sw.cli.options import (
    dead_links_option,
    defects_option,
    json_option,
    machine_option,
    model_options,
    placement_option,
    write_json,
)
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.text import Console, visible
from ouroboros.sw.noc.routes.faults import parse_links
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime import job
from ouroboros.sw.runtime.job import Waves
from ouroboros.sw.runtime.locate import Place, locate
from ouroboros.sw.runtime.service import BACKENDS, Served, backend, serve

__all__ = ["LINES", "exit_code", "job_progress", "print_served", "run", "say_where"]

WAVES_BEFORE = 3000
"""Cycles that are recorded before a wrong word leaves its core."""

TITLES = {"build": "Building the simulator", "load": "Loading the machine",
          "token": "Generating tokens"}
LINES = "\n\t"
"""Control characters that text on the terminal may have."""


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
        click.echo(f"--- {request.finished}, {len(request.tokens)} tokens\n"
                   f"{visible(text, keep=LINES)}")
    summary, result = served.summary(), served.result
    if result.interrupted:
        click.echo("\nInterrupted: this is what there was by then.")
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
    if result.waves is not None:
        click.echo(f"waves: {result.waves}")
    if result.errors is not None:
        click.echo(f"{result.errors} packets refused or dropped in all cores and routers")
    click.echo(f"{summary['tokens_per_s']:.2f} generated tokens per second of wall time on "
               f"machine {served.program.machine.name!r}, placement {served.program.placement!r}")


def say_where(served: Served, on: str, options: Mapping[str, Any]) -> Place | None:
    """Look for where a run began to differ, and print it with the command that shows the waves.

    Parameters
    ----------
    options : mapping
        The run as options of ``ouroboros run``, but for --on and --tokens.
    """
    if served.bit_exact is not False or served.result.interrupted:
        return None
    click.echo(f"\nLooking for where: the machine is built again with taps, and runs to the token "
               f"that differs, {served.result.load_s + served.result.run_s:.0f} s at most ...")
    try:
        with job_progress() as progress:
            place = locate(served.job, served.result.requests, backend(on), progress)
    except KeyboardInterrupt:
        click.echo("Interrupted before it was found.")
        raise click.exceptions.Exit(INTERRUPTED) from None
    if place is None:
        click.echo("Nothing that a core sent differs when it runs again.")
        return None
    click.echo(f"First difference: {place.text()}\n"
               f"All that this core was sent before is as in the golden machine.")
    if place.cycle is not None:
        x, y = place.core
        click.echo(f"Waves there: {_command(options)} --on icarus --tokens {place.tokens} "
                   f"--waves {x},{y},{max(place.cycle - WAVES_BEFORE, 0)}")
    return place


def _command(options: Mapping[str, Any]) -> str:
    """``ouroboros run`` with options; those that are None, False or empty are left out."""
    words = ["ouroboros", "run"]
    for name, value in options.items():
        if value is True:
            words.append(name)
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if one not in (None, False, ""):
                words += [name, str(one)]
    return shlex.join(words)


def _waves(text: str | None) -> Waves | None:
    """What ``--waves`` names."""
    if text is None:
        return None
    try:
        x, y, start = map(int, text.split(","))
    except ValueError:
        raise OuroborosError(f"waves must be x,y,cycle, not {text!r}") from None
    return Waves((x, y), start)


def exit_code(served: Served) -> int:
    """Of a process that has shown a run."""
    if served.result.interrupted:
        return INTERRUPTED
    return DIFFERS if served.bit_exact is False else 0


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
@click.option("--waves", metavar="X,Y,CYCLE",
              help="Icarus: record the core at X, Y (both from 1) and its router from a cycle on.")
@json_option
@click.pass_context
def run(context_: click.Context, machine_name: str, checkpoint: Path, tokenizer: Path | None,
        prompts: tuple[str, ...], tokens: int, on: str, placement: str,
        dead: str, links: str, context: int | None, verify: str, window: int | None, twin: bool,
        waves: str | None, json_path: Path | None) -> None:
    """Run prompts on a machine: golden model, or RTL under a simulator.

    Exit code 3 if a simulator's logits or tokens differ from the golden decoder's: then it runs
    again, to say which core sent the first wrong word. Ctrl-C ends the run: text and results so far
    are kept, exit code 130.
    """
    source = open_model(checkpoint, tokenizer)
    machine = load_machine(machine_name)
    with job_progress() as progress:
        served = serve(source, machine, prompts, tokens=tokens, on=on,
                       placement=placement, context=context, logits=verify, window=window,
                       twin=twin, defects=dead_cores(dead, machine.mesh),
                       dead_links=parse_links(links, machine.mesh), waves=_waves(waves),
                       progress=progress)
    print_served(served)
    write_json(json_path, served.summary())
    place = say_where(served, on, {
        "--machine": machine_name, "--checkpoint": checkpoint, "--tokenizer": tokenizer,
        "--prompt": prompts, "--placement": placement, "--dead": dead, "--dead-links": links,
        "--context": context, "--verify": verify, "--window": window, "--twin": twin})
    if place is not None:
        write_json(json_path, {**served.summary(), "difference": asdict(place)})
    context_.exit(exit_code(served))
