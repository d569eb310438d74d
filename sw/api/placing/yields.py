"""Dead cores to expect on a machine, and the spares that make up for them."""

from dataclasses import dataclass, replace
from typing import Any

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.api.shared import OnWafer
from ouroboros.sw.defects.process import MODELS, REGIONS, Process
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.options import option
from ouroboros.sw.wafer.assumptions import assumptions

__all__ = ["SPARES_MAX", "TARGET", "Yield", "YieldOptions", "yield_of"]

SPARES = range(9)
ALPHAS = (0.5, 1.0, 2.0, 5.0)
TARGET = 0.99
"""Probability with which spares shall suffice on all dies."""
SPARES_MAX = 64


@dataclass(frozen=True, kw_only=True)
class YieldOptions(OnWafer):
    """A machine and the defects of its process."""

    d0: float | None = option(None, metavar="F")
    """Defects per cm2; that of the assumptions (0.09) if not given."""
    core_mm2: float | None = option(None, metavar="F")
    """Area of a core in mm2; that of the assumptions (3.32) if not given."""
    yield_model: str = option("murphy", choices=lambda: MODELS)
    """Model of the defects' density of which the spares are printed; all are compared."""
    alpha: float = option(2.0, metavar="F")
    """Shape of the negative binomial's gamma density; small is clustered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Yield:
    """Yield of a machine's cores and dies."""

    machine: Machine
    """What is made."""
    process: Process
    """By what."""
    area_source: str
    """Where the area of a core comes from."""
    density_source: str
    """Where the density comes from."""
    chosen: dict[str, Any]
    """Figures of the process."""
    compared: tuple[dict[str, Any], ...]
    """Figures of all models."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "machine": self.machine.name, "machine_digest": digest_of(self.machine),
            "cores": self.machine.mesh.cores,
            "core_area_mm2": {"value": self.process.core_area_mm2, "source": self.area_source},
            "defect_density_per_cm2": {"value": self.process.density_per_cm2,
                                       "source": self.density_source},
            **self.chosen, "models": list(self.compared)}


def yield_of(options: YieldOptions) -> Yield:
    """Yield of a core, a die and all dies with spares, for every model of the density.

    Raises
    ------
    OuroborosError
        If a value is none that a process can have.
    """
    machine = load_machine(options.machine)
    defaults = assumptions({})
    area, density = defaults["core_area_mm2"], defaults["defect_density_per_cm2"]
    process = Process(
        core_area_mm2=area.mid if options.core_mm2 is None else options.core_mm2,
        density_per_cm2=density.mid if options.d0 is None else options.d0,
        model=options.yield_model, alpha=options.alpha)
    return Yield(
        machine=machine, process=process, chosen=_figures(machine, process),
        area_source=area.source if options.core_mm2 is None else "--core-mm2",
        density_source=density.source if options.d0 is None else "--d0",
        compared=tuple(
            _figures(machine, replace(process, model=name, alpha=one)) for name in MODELS
            for one in (sorted({*ALPHAS, options.alpha}) if name == MODELS[1]
                        else (options.alpha,))))


def _figures(machine: Machine, process: Process) -> dict[str, Any]:
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
