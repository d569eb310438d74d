"""``ouroboros search hardware``: chips and mappings searched together."""

from typing import Any

import click

from ouroboros.sw.api.search.hardware import HardwareOptions, search_hardware
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import INTERRUPTED
from ouroboros.sw.cli.tables import table
from ouroboros.sw.search.hardware.cosearch import Cosearched
from ouroboros.sw.search.problem.instance import Instance

__all__ = ["hardware"]

MEBI = 1 << 20


@command(HardwareOptions)
def hardware(options: HardwareOptions, output: Output) -> dict[str, Any]:
    """Search chips and mappings together, at the silicon of an instance's machine.

    Bayesian optimisation chooses how many chips there are, their arrays, and how many are of which
    kind; buffers take what is left. Every machine's mappings are searched with the same budget.
    Ctrl-C ends it and keeps the best so far, exit code 130. docs/search.md has the assumptions.
    """
    found = search_hardware(options, lambda what: click.echo(what, err=True))
    _show(found, output)
    if found.interrupted:
        output.exit_code = INTERRUPTED
    return found.as_dict()


def _show(found: Cosearched, output: Output) -> None:
    output.say(f"{found.base.instance.name}: EDP {found.after.figures.edp:.4e} pJ x cycles, "
               f"{found.change:+.1%} against the given machine; {found.silicon_mm2:.1f} mm2 both")
    shown = table("", "given", "best", right=(1, 2))
    for name, one, other in (
            ("chips", *(f"{of.instance.grid[0]} x {of.instance.grid[1]}"
                        for of in (found.base, found.best))),
            ("kinds", *(_kinds(of.instance) for of in (found.base, found.best))),
            ("latency, cycles", *(f"{of.figures.latency_cycles:,.0f}"
                                  for of in (found.before, found.after))),
            ("energy, pJ", *(f"{of.figures.energy_pj:.4e}"
                             for of in (found.before, found.after))),
            ("EDP", *(f"{of.figures.edp:.4e}" for of in (found.before, found.after))),
            ("bound", *(f"{of.bound.edp:.4e}" for of in (found.before, found.after)))):
        shown.add_row(name, one, other)
    tried = table("", "chips", "kinds", "layout", "EDP", "bound", right=(0, 4, 5),
                  title="Machines, in the order in which they were tried")
    for n, trial in enumerate(found.trials, 1):
        tried.add_row(str(n), trial.chips.name,
                      "none" if trial.instance is None else _kinds(trial.instance),
                      trial.chips.layout, f"{trial.edp:.4e}" if trial.found else "",
                      f"{trial.bound:.4e}" if trial.instance else "")
    output.show(shown, tried)


def _kinds(instance: Instance) -> str:
    """How many chips of which kind."""
    return ", ".join(
        f"{instance.chip_kind.count(n)} {kind.type} {kind.rows}x{kind.cols} "
        f"{kind.buffer / MEBI:.1f} MiB" for n, kind in enumerate(instance.kinds))
