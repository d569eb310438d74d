"""``ouroboros floorplan``: core, die and wafer as pictures, GDSII, LEF and DEF, with rule check."""

from typing import Any

from rich.table import Table

from ouroboros.floorplan.check import Check
from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.layout import FloorplanOptions, lay_out
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table

__all__ = ["floorplan"]


@command(FloorplanOptions)
def floorplan(options: FloorplanOptions, output: Output) -> dict[str, Any]:
    """Lay out a machine: SVG, GDSII, LEF, DEF, defect map, rule check.

    Sizes follow from the machine and the rules, each with its source; rules that nothing can obey
    are refused.
    """
    laid_out = lay_out(options, {"--json": output.json_path})
    found = laid_out.as_dict()
    output.show(_geometry_table(found), _area_table(found), _check_table(laid_out.checks))
    output.say(f"{options.out}: " + ", ".join(f"{name} {size / 1e6:.2f} MB"
                                              for name, size in laid_out.files.items()))
    output.keep(found)
    if laid_out.broken:
        raise FloorplanError(f"rule {laid_out.broken[0]!r} must pass, but the plan breaks it")
    return found


def _geometry_table(found: dict[str, Any]) -> Table:
    shown = table("quantity", "value", "", widest={2: 36},
                  title=f"Floorplan of machine {found['machine']}")
    core, die, pitch, array = (found[key] for key in ("core_um", "die_mm", "die_pitch_mm",
                                                      "array_mm"))
    defects = found["defects"]
    shown.add_row("core", f"{core[0]:g} x {core[1]:g} um",
                  f"{found['core_mm2']:.4f} mm2; {found['core_all_in_mm2']:.4f} mm2 all-in")
    shown.add_row("die", f"{die[0]:g} x {die[1]:g} mm",
                  f"pitch {pitch[0]:g} x {pitch[1]:g} mm, {found['cores_per_die']} cores")
    shown.add_row("wafer", f"{array[0]:g} x {array[1]:g} mm",
                  f"{found['dies_across']} x {found['dies_along']} dies, {found['cores']:,} cores; "
                  f"corners {abs(found['corner_overhang_mm']):.3f} mm "
                  f"{'outside' if found['corner_overhang_mm'] > 0 else 'inside'} the wafer")
    lost = found["edge_cores_by_exclusion_mm"]
    shown.add_row("cores lost at the edge", f"{found['edge_cores']}",
                  ", ".join(f"{count} at {mm} mm" for mm, count in lost.items()) + " of exclusion")
    shown.add_row("dead by defects", f"{defects['random']}",
                  f"map {defects['kind']}, seed {defects['seed']}; nominal: "
                  f"{defects['nominal_expected']:.1f} expected")
    shown.add_row("macro", f"{found['macro_um'][0]:g} x {found['macro_um'][1]:g} um",
                  f"{found['macro_density_mb_per_mm2']:.1f} Mb/mm2")
    return shown


def _area_table(found: dict[str, Any]) -> Table:
    shown = table("part", "mm2", "share", "source", right=(1, 2), widest={3: 43},
                  title="Areas of a core")
    for area in found["areas"]:
        shown.add_row(area["name"], f"{area['mm2']:.4f}", f"{area['mm2'] / found['core_mm2']:.1%}",
                      area["source"])
    return shown


def _check_table(checks: tuple[Check, ...]) -> Table:
    shown = table("rule", "value", "limit", "unit", "", right=(1, 2), title="Rule check")
    for one in checks:
        shown.add_row(one.name, f"{one.value:,.6g}", f"{one.limit:,.6g}", one.unit,
                      "passed" if one.passed else "FAILED")
    return shown
