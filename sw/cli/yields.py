"""``ouroboros yield``: dead cores to expect, and the spares that make up for them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.cli.options import json_option, machine_option, print_whole, write_json
from ouroboros.sw.defects.process import MODELS, REGIONS, Process
from ouroboros.sw.wafer.assumptions import assumptions

__all__ = ["yield_command"]

SPARES = range(9)
ALPHAS = (0.5, 1.0, 2.0, 5.0)
TARGET = 0.99
SPARES_MAX = 64


def yield_figures(machine: Machine, process: Process) -> dict[str, Any]:
    """Yield of a core, a die and all dies with spares, for one process."""
    mesh = machine.mesh
    die = mesh.die_width * mesh.die_height
    dies = mesh.cores // die
    found: dict[str, Any] = {
        "model": process.model, "alpha": process.alpha if process.model == MODELS[1] else None,
        "core_yield": process.core_yield, "expected_dead": process.expected_dead(mesh.cores),
        "die_yield_without_repair": process.block_yield(die), "spares_per_die": []}
    for spares in SPARES:
        row: dict[str, Any] = {"spares": spares}
        for region in REGIONS:
            one = process.at_most_dead(die, spares, region)
            row[region] = {"die": one, "all_dies": one ** dies}
        found["spares_per_die"].append(row)
    for region in REGIONS:
        found[f"spares_for_{TARGET:.0%}_{region}"] = next(
            (spares for spares in range(min(die, SPARES_MAX) + 1)
             if process.at_most_dead(die, spares, region) ** dies >= TARGET), None)
    return found


@click.command("yield")
@machine_option("wafer")
@click.option("--d0", type=float, metavar="F", help="Defects per cm2 [default: 0.09].")
@click.option("--core-mm2", type=float, metavar="F", help="Area of a core [default: 3.32].")
@click.option("--model", default="murphy", show_default=True, type=click.Choice(MODELS),
              help="Of which the spares are printed; all are compared.")
@click.option("--alpha", default=2.0, show_default=True, metavar="F",
              help="Shape of the negative binomial's gamma density; small is clustered.")
@json_option
def yield_command(machine_name: str, d0: float | None, core_mm2: float | None, model: str,
                  alpha: float, json_path: Path | None) -> None:
    """Yield of cores and dies, dead cores of a machine, and spares per die.

    All figures are exact under their model. "independent": every core draws its own defect
    density; "per die": the cores of a die share one, so dead cores cluster.
    """
    machine = load_machine(machine_name)
    defaults = assumptions({})
    area, density = defaults["core_area_mm2"], defaults["defect_density_per_cm2"]
    process = Process(core_area_mm2=area.mid if core_mm2 is None else core_mm2,
                      density_per_cm2=density.mid if d0 is None else d0,
                      model=model, alpha=alpha)
    compared = [yield_figures(machine, replace(process, model=name, alpha=one))
                for name in MODELS for one in (sorted({*ALPHAS, alpha}) if name == MODELS[1]
                                               else (alpha,))]
    chosen = yield_figures(machine, process)
    found = {"machine": machine.name, "cores": machine.mesh.cores,
             "core_area_mm2": {"value": process.core_area_mm2,
                               "source": area.source if core_mm2 is None else "--core-mm2"},
             "defect_density_per_cm2": {"value": process.density_per_cm2,
                                        "source": density.source if d0 is None else "--d0"},
             **chosen, "models": compared}
    print_whole(_models(found, compared))
    print_whole(_spares(found))
    for key in ("core_area_mm2", "defect_density_per_cm2"):
        click.echo(f"{key}: {found[key]['source']}")
    click.echo("alpha: no published figure for the process, a parameter; swept above")
    write_json(json_path, found)


def _models(found: dict[str, Any], compared: list[dict[str, Any]]) -> Table:
    table = Table(title=f"{found['cores']:,} cores of {found['core_area_mm2']['value']:g} mm2 at "
                        f"{found['defect_density_per_cm2']['value']:g} defects per cm2")
    for title in ("model", "alpha", "core yield", "dead cores", "die yield, no repair",
                  f"spares per die for {TARGET:.0%}, independent", "per die"):
        table.add_column(title, justify="left" if title == "model" else "right")
    for one in compared:
        spares = [one[f"spares_for_{TARGET:.0%}_{region}"] for region in REGIONS]
        table.add_row(one["model"], "" if one["alpha"] is None else f"{one['alpha']:g}",
                      f"{one['core_yield']:.5f}", f"{one['expected_dead']:.1f}",
                      f"{one['die_yield_without_repair']:.1%}",
                      *(f"over {SPARES_MAX}" if n is None else str(n) for n in spares))
    return table


def _spares(found: dict[str, Any]) -> Table:
    table = Table("spares per die", "a die, independent", "all dies", "a die, per die",
                  "all dies", title=f"Probability that spares suffice, {found['model']}")
    for row in found["spares_per_die"]:
        table.add_row(str(row["spares"]), *(f"{row[region][of]:.4f}" for region in REGIONS
                                            for of in ("die", "all_dies")))
    return table
