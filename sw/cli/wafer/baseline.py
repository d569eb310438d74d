"""``ouroboros baseline``: other machines on the same traffic."""

from pathlib import Path
from typing import Any

import click

from ouroboros.sw.api.wafer.baseline import (
    BaselineListOptions,
    CheckOptions,
    FitOptions,
    ServeOptions,
    check_baselines,
    fit_baseline,
    list_baselines,
    serve_baseline,
)
from ouroboros.sw.baselines.fit import Errors
from ouroboros.sw.cli.command import Output, command, conclude, with_options
from ouroboros.sw.cli.group import LazyGroup
from ouroboros.sw.cli.tables import cell, table

__all__ = ["baseline", "check", "fit", "list_command", "listed", "run"]

HERE = "ouroboros.sw.cli.wafer.baseline"


def listed(options: BaselineListOptions, output: Output) -> dict[str, Any]:
    """Show every baseline."""
    found = list_baselines(options)
    shown = table("name", "", title="Baselines")
    for name, one in found.items():
        shown.add_row(name, one["title"])
    output.show(shown)
    for name, one in found.items():
        constants = table("constant", "value", "source", right=(1,), widest={2: 44}, title=name)
        for key, value in one["constants"].items():
            constants.add_row(key, f"{value['mid']:g} {value['unit']}".removesuffix(" 1"),
                              value["source"])
        output.detail(constants)
    return found


@click.group(cls=LazyGroup, points="ouroboros.baseline.commands", invoke_without_command=True,
             commands_at={"check": f"{HERE}:check", "fit": f"{HERE}:fit",
                          "list": f"{HERE}:list_command", "run": f"{HERE}:run"})
@with_options(BaselineListOptions)
@click.pass_context
def baseline(ctx: click.Context, options: BaselineListOptions, json_path: Path | None,
             verbose: bool) -> None:
    """Other machines on the same traffic: DGX A100, TPU v4, AttAcc, WSE-2; or a command below.

    docs/baselines.md says how their models were made and how well they hold.
    """
    if ctx.invoked_subcommand is None:
        conclude(listed, options, json_path, verbose)


@command(BaselineListOptions, "list")
def list_command(options: BaselineListOptions, output: Output) -> dict[str, Any]:
    """List baselines and, with -v, their constants and where each comes from."""
    return listed(options, output)


@command(ServeOptions)
def run(options: ServeOptions, output: Output) -> dict[str, Any]:
    """Serve traffic with a baseline: tokens/s, latencies, joules per token."""
    served = serve_baseline(options)
    found = served.as_dict()
    output.say(f"{served.model} on {served.machine}: {served.tokens_per_s:,.0f} generated tokens/s")
    totals = table("quantity", "value", right=(1,))
    for name, value in (("requests", f"{served.traffic.requests:,}"),
                        ("refused: do not fit even alone", f"{served.refused:,}"),
                        ("tokens generated", f"{served.output_tokens:,}"),
                        ("tokens recomputed", f"{served.recomputed:,}"),
                        ("seconds", f"{served.seconds:,.2f}")):
        totals.add_row(name, value)
    latencies = table("seconds", "mean", "p50", "p90", "p99", right=range(1, 5))
    for key, name in (("ttft_s", "to the first token"), ("tpot_s", "for each token after it"),
                      ("e2e_s", "to the last token")):
        latencies.add_row(name, *(cell(found[key].get(part), ",.4f")
                                  for part in ("mean", "p50", "p90", "p99")))
    energy = table("energy", "J per generated token", right=(1,))
    for name, joules in served.joules_per_token().items():
        energy.add_row(name, f"{joules:.4f}")
    output.show(totals, latencies, energy)
    return found


@command(CheckOptions)
def check(options: CheckOptions, output: Output) -> dict[str, Any]:
    """Hold every baseline against published figures, fitted and held out apart."""
    checked = check_baselines(options)
    shown = table("baseline", "what", "", "published", "predicted", "error,\n%", "most,\n%",
                  right=range(3, 7), widest={1: 20, 2: 13},
                  title="Generated tokens/s; of several figures, mean error")
    for one in checked.checks:
        shown.add_row(one.baseline, one.what, one.status, cell(one.published, ",.1f"),
                      cell(one.predicted, ",.1f"),
                      f"{100 * one.error:{'.1f' if one.published is None else '+.1f'}}",
                      f"{100 * one.most:.1f}")
    output.show(shown)
    for name, reason in checked.unpublished.items():
        output.say(f"{name}: no error: {reason}")
    if options.points is None:
        output.say("static points are no part of the project: --points, see docs/baselines.md")
    return checked.as_dict()


@command(FitOptions)
def fit(options: FitOptions, output: Output) -> dict[str, Any]:
    """Fit the constants of a baseline to points that you have measured."""
    fitted = fit_baseline(options)
    constants = table("constant", "value", "unit", right=(1,))
    for name, value in fitted.constants.items():
        constants.add_row(name, f"{value:.4g}", getattr(fitted.devices.constants, name).unit)
    output.show(constants)
    for what, found in (("fitted", fitted.fitted), ("held out", fitted.held_out)):
        if found is not None:
            output.say(f"{what}: {len(found.values)} points, mean error {100 * found.mean:.1f} %, "
                       f"largest {100 * found.most:.1f} %")
            _errors(what, found, output)
    return fitted.as_dict()


def _errors(what: str, found: Errors, output: Output) -> None:
    shown = table("kind", "model", "batch", "devices", "in", "out", "tokens/s", "error, %",
                  right=range(2, 8), title=what)
    for point, error in zip(found.points, found.values, strict=True):
        shown.add_row(point.kind, point.model, str(point.batch), str(point.tensor_parallel),
                      f"{point.input_tokens:g}", f"{point.output_tokens:g}",
                      f"{point.tokens_per_s:,.1f}", f"{100 * error:+.1f}")
    output.detail(shown)
