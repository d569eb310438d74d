"""``ouroboros demo``: the shipped language model on the RTL, compared and drawn."""

from dataclasses import fields, replace
from typing import Any

import click

from ouroboros.sw.api.demo import PAGE, SUMMARY, DemoOptions, demonstrate
from ouroboros.sw.api.run import RunOptions, ServeOptions
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.run import INTERRUPTED_WORDS, exit_code, say_where
from ouroboros.sw.cli.watch import LINES, Watch
from ouroboros.sw.lib.text import visible
from ouroboros.sw.report import utilisation
from ouroboros.sw.report.page import Report

__all__ = ["demo"]


@command(DemoOptions)
def demo(options: DemoOptions, output: Output) -> dict[str, Any]:
    """Serve prompts with the shipped model on the RTL; print texts, proof and measurements.

    Writes a page with pictures. Exit code 3 if a logit differs from the golden decoder's. Ctrl-C
    ends the run: text and results so far are kept, exit code 130.
    """
    with Watch() as watch:
        found = demonstrate(options, watch.progress, told=watch.told,
                            others={"--json": output.json_path}, begins=output.say)
    served = found.report.served
    _print(found.report)
    output.keep(found.as_dict())
    output.say(f"\nPictures and tables: {found.folder / PAGE}; numbers: {found.folder / SUMMARY}")
    place = say_where(served, RunOptions(
        **{one.name: getattr(options, one.name) for one in fields(ServeOptions)}))
    if place is not None:
        found = replace(found, difference=place)
        found.write()
    output.exit_code = exit_code(served)
    return found.as_dict()


def _print(report: Report) -> None:
    served, result = report.served, report.served.result
    for n, (text, request) in enumerate(zip(served.texts, result.requests, strict=True)):
        click.echo(f"\n[{n}] {len(request.tokens)} tokens, {request.finished}\n"
                   f"{visible(text, keep=LINES)}")
    if result.interrupted:
        click.echo(INTERRUPTED_WORDS)
    click.echo(f"\n{report.verdict[1]}")
    if result.cycles is not None:
        summary = served.summary()
        click.echo(f"{result.cycles:,} cycles (loading: {result.load_cycles:,}) at "
                   f"{summary['cycles_per_s']:,.0f} cycles/s, {summary['tokens_per_s']:.2f} "
                   f"generated tokens per second of wall time; build {result.build_s:.1f} s, "
                   f"load {result.load_s:.1f} s, run {result.run_s:.1f} s")
        click.echo("\nWhere the cycles went (mean over the stages of a kind, % of the run's "
                   "cycles; waiting: for operands):\n"
                   + utilisation.table(utilisation.stages(served.program, result)))
    if report.wafer is not None:
        click.echo(f"\n{report.wafer['title']}. {report.wafer['lead']}")
        for row in report.wafer["figures"]:
            why = f" ({row['why']})" if row["why"] else ""
            click.echo(f"  {row['name']}: {row['value']} {row['unit']}{why}")
        click.echo(f"  stage times and assumptions: {report.wafer['command']}")
