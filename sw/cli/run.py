"""``ouroboros run``: prompts through a machine."""

from dataclasses import asdict
from typing import Any

import click

from ouroboros.sw.api.run import RunOptions, serve_prompts
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import DIFFERS, INTERRUPTED
from ouroboros.sw.cli.progress import step_bars
from ouroboros.sw.cli.watch import LINES, Watch
from ouroboros.sw.lib.options import typed
from ouroboros.sw.lib.text import visible
from ouroboros.sw.runtime.job import JobResult
from ouroboros.sw.runtime.locate import Place, locate
from ouroboros.sw.runtime.service import Served, backend
from ouroboros.sw.runtime.times import recall
from ouroboros.sw.runtime.waves import views
from ouroboros.sw.runtime.whole import Whole

__all__ = ["INTERRUPTED_WORDS", "exit_code", "print_measured", "print_served", "print_waves",
           "run", "say_where"]

WAVES_BEFORE = 3000
"""Cycles that are recorded before a wrong word leaves its core."""
WAVES_AFTER = 1000
"""And after it has."""

INTERRUPTED_WORDS = "\nInterrupted: this is what there was by then."

def print_served(served: Served, *, answers: bool = False) -> None:
    """Texts, or what was added to the prompts alone; then what was compared and measured."""
    texts = served.answers if answers else served.texts
    for text, request in zip(texts, served.result.requests, strict=True):
        click.echo(f"--- {request.finished}, {len(request.tokens)} tokens\n"
                   f"{visible(text, keep=LINES)}")
    print_measured(served)


def print_measured(served: Served) -> None:
    """What was compared and measured."""
    summary, result = served.summary(), served.result
    if result.interrupted:
        click.echo(INTERRUPTED_WORDS)
    if served.bit_exact is not None:
        verdict = "equal the golden decoder's bit for bit" if served.bit_exact else \
            "DIFFER from the golden decoder's"
        click.echo(f"\n{served.vectors_checked} logit vectors and all tokens {verdict}.")
    if result.cycles is not None:
        click.echo(f"{result.cycles} cycles (loading: {result.load_cycles}), "
                   f"{summary['cycles_per_s']:.0f} cycles/s, build {result.build_s:.1f} s, "
                   f"run {result.run_s:.1f} s")
    if served.agreement is not None:
        found = served.agreement
        click.echo(f"Cycle model: {found.total.predicted} cycles of prompt and decoded tokens, "
                   f"measured {found.total.measured} ({found.total.error:+.2%}); worst stage "
                   f"{found.worst_stage} ({found.stages[found.worst_stage].error:+.2%})")
    if served.counted is not None:
        events, differing = sum(served.counted.measured.values()), served.counted.differing
        but = f" but for {len(differing)} counters, {differing[0]} one" if differing else ""
        click.echo(f"{events} events counted, in every core as many as the model says{but}")
    if served.whole is not None:
        print_whole(served.whole)
    if result.flit_hops is not None:
        click.echo(f"{result.flit_hops} data flits sent from router to router, by the routers' "
                   f"counters")
    print_recoveries(served)
    print_waves(result)
    if result.errors is not None:
        click.echo(f"{result.errors} packets refused or dropped in all cores and routers")
    click.echo(f"{summary['tokens_per_s']:.2f} generated tokens per second of wall time on "
               f"machine {served.program.machine.name!r}, placement {served.program.placement!r}")


def print_waves(result: JobResult) -> None:
    """Where waves were written, and of when."""
    if result.waves is not None and result.recorded is not None:
        click.echo(f"Waves of cycles {result.recorded[0]:,} to {result.recorded[1]:,}: "
                   f"{result.waves}; views: {views(result.waves)}; ask: ouroboros wave "
                   f"{result.waves}")


def print_whole(whole: Whole) -> None:
    """Every token followed, beside what was measured."""
    stage, error = whole.worst
    parts = {"total": whole.total, "prefill": whole.prefill, "decode": whole.decode}
    click.echo("All tokens followed: " + ", ".join(
        f"{name} {pair.predicted} cycles ({pair.error:+.2%})"
        for name, pair in parts.items() if pair is not None)
        + f"; starts and ends of stages within {abs(error):.2%} ({stage})")


def print_recoveries(served: Served) -> None:
    """What happened to the machine, and how it was brought back."""
    job, result = served.job, served.result
    for fault in job.faults:
        if fault not in result.come:
            click.echo(f"{fault} did not come: the run was over")
    if result.come and not result.recovered and result.refused is None:
        click.echo(f"{', '.join(map(str, result.come))}: nobody noticed, since nothing was lost")
    for one in result.recovered:
        click.echo(f"Noticed in cycle {one.noticed} of the run"
                   + ("" if one.after_fault is None else f", {one.after_fault} after the fault")
                   + f"; went on {one.cycles} cycles later: dead cores {one.dead_cores}, links "
                   f"{one.dead_links}, moved {one.moved}, {one.tokens_again} tokens sent again")
    if result.refused is not None:
        click.echo(f"REFUSED: {result.refused}")


def say_where(served: Served, options: RunOptions) -> Place | None:
    """Look for where a run began to differ, and print it with the command that shows the waves."""
    if served.bit_exact is not False or served.result.interrupted or served.job.faults:
        return None
    click.echo(f"\nLooking for where: the machine is built again with taps, and runs to the token "
               f"that differs, {served.result.load_s + served.result.run_s:.0f} s at most ...")
    try:
        with step_bars() as progress:
            place = locate(served.job, served.result.requests, backend(options.on), progress)
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
        again = typed("run", options, skip=("tokens", "waves", "waves_window", "waves_cores",
                                            "logits"))
        click.echo(f"Waves there: {again} --tokens {place.tokens} --waves wrong.fst --waves-cores "
                   f"{x},{y} --waves-window {max(place.cycle - WAVES_BEFORE, 0)}:"
                   f"{place.cycle + WAVES_AFTER}")
    return place


def exit_code(served: Served) -> int:
    """Of a process that has shown a run."""
    if served.result.interrupted:
        return INTERRUPTED
    return DIFFERS if served.bit_exact is False or served.result.refused is not None else 0


@command(RunOptions)
def run(options: RunOptions, output: Output) -> dict[str, Any]:
    """Run prompts on a machine: golden model, or RTL under a simulator.

    Exit code 3 if a simulator's logits or tokens differ from the golden decoder's: then it runs
    again, to say which core sent the first wrong word. Ctrl-C ends the run: text and results so far
    are kept, exit code 130. Tokens are shown as they come, on stderr; piped, a line for each.
    """
    with Watch(recall(options.habit)) as watch:
        served = serve_prompts(options, watch.progress, watch.told)
    print_served(served, answers=options.chat)
    results = served.summary() | ({"logits": served.logits()} if options.logits else {})
    output.keep(results)
    place = say_where(served, options)
    output.exit_code = exit_code(served)
    return results if place is None else {**results, "difference": asdict(place)}
