"""``ouroboros yield``: dead cores to expect, and the spares that make up for them."""

from typing import Any

from rich.table import Table

from ouroboros.sw.api.placing.yields import SPARES_MAX, TARGET, Yield, YieldOptions, yield_of
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import cell, table
from ouroboros.sw.defects.process import REGIONS

__all__ = ["yield_command"]


@command(YieldOptions, "yield")
def yield_command(options: YieldOptions, output: Output) -> dict[str, Any]:
    """Yield of cores and dies, dead cores of a machine, and spares per die.

    All figures are exact under their model. "independent": every core draws its own defect
    density; "per die": the cores of a die share one, so dead cores cluster.
    """
    found = yield_of(options)
    process, chosen = found.process, found.chosen
    output.say(f"{chosen['expected_dead']:.1f} of {found.machine.mesh.cores:,} cores of "
               f"{process.core_area_mm2:g} mm2 are dead at {process.density_per_cm2:g} defects "
               f"per cm2, {process.model}")
    output.show(_models(found))
    output.detail(_spares(found))
    output.say(f"core area: {found.area_source}\ndefect density: {found.density_source}\n"
               "alpha: no published figure for the process, a parameter; swept above")
    return found.as_dict()


def _models(found: Yield) -> Table:
    shown = table("model", "alpha", "core\nyield", "dead\ncores", "die yield,\nno repair",
                  "independent", "per die", right=range(1, 7),
                  title=f"Last two columns: spares per die; with {TARGET:.0%} all dies work")
    for one in found.compared:
        spares = [one[f"spares_for_{TARGET:.0%}_{region}"] for region in REGIONS]
        shown.add_row(one["model"], cell(one["alpha"], "g"),
                      f"{one['core_yield']:.5f}", f"{one['expected_dead']:.1f}",
                      f"{one['die_yield_without_repair']:.1%}",
                      *(f"over {SPARES_MAX}" if n is None else str(n) for n in spares))
    return shown


def _spares(found: Yield) -> Table:
    shown = table("spares\nper die", "a die,\nindependent", "all dies", "a die,\nper die",
                  "all dies", right=range(5),
                  title=f"Probability that spares suffice, {found.process.model}")
    for row in found.chosen["spares_per_die"]:
        shown.add_row(str(row["spares"]), *(f"{row[region][of]:.4f}" for region in REGIONS
                                            for of in ("die", "all_dies")))
    return shown
