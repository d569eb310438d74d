"""``ouroboros floorplan``: core, die and wafer as pictures, GDSII, LEF and DEF, with rule check."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ouroboros.floorplan.check import Check, check
from ouroboros.floorplan.defects import (
    KINDS,
    SCHEMA,
    DefectMap,
    make_map,
    nominal_process,
    read_map,
    write_map,
)
from ouroboros.floorplan.die_picture import core_picture, die_picture
from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.geometry import NM_PER_MM
from ouroboros.floorplan.link_load import placement_load, read_load
from ouroboros.floorplan.occupancy import Occupancy, occupancy
from ouroboros.floorplan.plan import Plan, plan_floor
from ouroboros.floorplan.rules import load_rules
from ouroboros.floorplan.wafer_picture import load_picture, wafer_picture
from ouroboros.floorplan.write_def import write_die_def, write_wafer_def
from ouroboros.floorplan.write_gds import LIBRARY, write_gds
from ouroboros.floorplan.write_lef import MARK, write_lef
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import json_option, machine_option, print_whole, write_json
from ouroboros.sw.defects.process import REGIONS
from ouroboros.sw.lib.write import check_folder, write
from ouroboros.sw.place.instance import Instance, read_instance
from ouroboros.sw.place.placement import Placement, load

__all__ = ["floorplan"]

EXCLUSIONS_MM = (0, 1, 2, 3)
FILE = click.Path(path_type=Path, dir_okay=False)
MARKS = {"wafer.gds": LIBRARY, "defects.json": SCHEMA, **dict.fromkeys(
    ("tech.lef", "core.lef", "die.lef", "die.def", "wafer.def", "wafer.svg", "die.svg", "core.svg",
     "load.svg"), MARK)}
"""What the files of a floorplan hold in their first bytes."""


@click.command()
@machine_option("wafer")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False),
              metavar="DIR", help="Folder for the files; made if it is not there.")
@click.option("--rules", "rules_path", type=FILE, metavar="FILE",
              help="Rules [default: floorplan/rules.toml].")
@click.option("--defects", metavar="|".join((*KINDS, "FILE")),
              help="Random defects: about 42 on the full wafer, 209, none, or a map's file "
                   "[default: those of the placement, else nominal].")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of the defect map.")
@click.option("--region", default="core", show_default=True, type=click.Choice(REGIONS),
              help="Nominal defects: density drawn for each core, or one for each die.")
@click.option("--placement", "placement_path", type=FILE, metavar="FILE",
              help="Placement to show.")
@click.option("--instance", "instance_path", type=FILE, metavar="FILE",
              help="What was placed: gives layers and link loads.")
@click.option("--load", "load_path", type=FILE, metavar="FILE",
              help="Link load to show instead: JSON, load (4, height, width) and unit.")
@click.option("--nets", is_flag=True, help="Nets between dies in wafer.def (large).")
@json_option
def floorplan(machine_name: str, out: Path, rules_path: Path | None, defects: str | None,
              seed: int, region: str, placement_path: Path | None, instance_path: Path | None,
              load_path: Path | None, nets: bool, json_path: Path | None) -> None:
    """Lay out a machine: SVG, GDSII, LEF, DEF, defect map, rule check.

    Sizes follow from the machine and the rules, each with its source; rules that nothing can obey
    are refused.
    """
    plan = plan_floor(load_machine(machine_name), load_rules(rules_path))
    placement, instance = _read(placement_path, instance_path)
    dead = _defects(plan, defects, seed, region, placement, placement_path)
    checks = check(plan)
    check_folder(out, MARKS, {"--json": json_path})
    write_gds(plan, dead.random, out / "wafer.gds")
    write_lef(plan, out)
    write_die_def(plan, out / "die.def")
    write_wafer_def(plan, out / "wafer.def", nets=nets)
    write_map(dead, plan, out / "defects.json")
    placed = occupancy(placement, instance) if placement else None
    pictures = _pictures(plan, dead, placed, placement, instance, load_path)
    for name, text in pictures.items():
        write(out / f"{name}.svg", f"<!-- {MARK} -->\n{text}")
    found = figures(plan, dead, checks)
    names = ["wafer.gds", "tech.lef", "core.lef", "die.lef", "die.def", "wafer.def",
             "defects.json", *(f"{name}.svg" for name in pictures)]
    found["files"] = {name: (out / name).stat().st_size for name in names}
    print_whole(_geometry_table(found))
    print_whole(_area_table(found))
    print_whole(_check_table(checks))
    click.echo(f"{out}: " + ", ".join(f"{name} {size / 1e6:.2f} MB"
                                      for name, size in found["files"].items()))
    write_json(json_path, found)
    failed = [one.name for one in checks if not one.passed]
    if failed:
        raise FloorplanError(f"rule {failed[0]!r} must pass, but the plan breaks it")


def _read(placement_path: Path | None,
          instance_path: Path | None) -> tuple[Placement | None, Instance | None]:
    """Placement and instance, which must belong together."""
    placement = load(placement_path) if placement_path else None
    instance = read_instance(instance_path) if instance_path else None
    if instance and not placement:
        raise FloorplanError(f"{instance_path}: --instance must come with --placement")
    if placement and instance and placement.instance_digest != instance.digest:
        raise FloorplanError(f"{placement_path}: must be a placement of {instance_path}, "
                             f"not of other traffic ({placement.instance_name})")
    return placement, instance


def _defects(plan: Plan, choice: str | None, seed: int, region: str,
             placement: Placement | None, path: Path | None) -> DefectMap:
    """The defect map asked for, or that of the placement."""
    mesh = plan.machine.mesh
    if placement:
        for name in ("width", "height", "die_width", "die_height"):
            have, want = getattr(placement.grid, name), getattr(mesh, name)
            if have != want:
                raise FloorplanError(f"{path}: made for another machine: {name} is {have}, but "
                                     f"{want} on machine {plan.machine.name!r}")
    if placement and choice is None:
        lost = set(plan.keep_out)
        return DefectMap(kind="placement", seed=placement.seed, edge=plan.keep_out,
                         random=tuple(one for one in placement.grid.defects if one not in lost))
    if choice is None or choice in KINDS:
        found = make_map(plan, choice or "nominal", seed, region=region)
    elif Path(choice).suffix or Path(choice).exists():
        found = read_map(Path(choice), plan)
    else:
        raise FloorplanError(f"--defects must be one of {list(KINDS)} or the path of a map, "
                             f"not {choice!r}")
    if placement and placement.grid.defects not in (found.dead, found.random):
        differ = len(set(placement.grid.defects) ^ set(found.dead))
        raise FloorplanError(f"{path}: made for another defect map ({differ} cores differ): "
                             "place again, or leave --defects out to show the placement's own")
    return found


def _pictures(plan: Plan, dead: DefectMap, placed: Occupancy | None, placement: Placement | None,
              instance: Instance | None, load_path: Path | None) -> dict[str, str]:
    words = {"nominal": f"nominal defects, seed {dead.seed}",
             "stress": f"stress map, seed {dead.seed}", "none": "no random defects",
             "placement": "defects of the placement"}.get(dead.kind, dead.kind)
    found = {"wafer": wafer_picture(plan, dead.random, f"{words[0].upper()}{words[1:]}", placed),
             "die": die_picture(plan), "core": core_picture(plan)}
    mesh = plan.machine.mesh
    if load_path:
        load, unit = read_load(load_path, mesh.height, mesh.width)
        found["load"] = load_picture(plan, load, unit, str(load_path.name), dead.random)
    elif placement and instance:
        bytes_, trees = placement_load(placement, instance)
        lead = "multicasts on XY trees" if trees else "every edge as two unicasts, half each way"
        found["load"] = load_picture(plan, bytes_ * 8 / plan.machine.noc.flit_bits, "flits/token",
                                     f"{instance.name:.60}: {lead}; no detours around dead cores",
                                     dead.random)
    return found


def figures(plan: Plan, dead: DefectMap, checks: tuple[Check, ...]) -> dict[str, Any]:
    """Everything a plan says, for a file."""
    mesh, core, process = plan.machine.mesh, plan.core, nominal_process(plan)
    macro = core.macros[0]
    radius = plan.rules.wafer.diameter.nm // 2
    return {
        "machine": plan.machine.name, "cores": mesh.cores,
        "dies": plan.dies[0] * plan.dies[1], "dies_across": plan.dies[0],
        "dies_along": plan.dies[1], "cores_per_die": plan.die_cores[0] * plan.die_cores[1],
        "core_um": [core.width / 1e3, core.height / 1e3], "core_mm2": core.outline.mm2,
        "core_all_in_mm2": plan.core_share_mm2,
        "die_mm": [plan.die.width / NM_PER_MM, plan.die.height / NM_PER_MM],
        "die_pitch_mm": [one / NM_PER_MM for one in plan.die_pitch],
        "array_mm": [plan.array.width / NM_PER_MM, plan.array.height / NM_PER_MM],
        "corner_overhang_mm": plan.corner_overhang_mm,
        "edge_cores": len(plan.keep_out),
        "edge_cores_by_exclusion_mm": {
            str(mm): len(plan.cores_outside(radius - mm * NM_PER_MM)) for mm in EXCLUSIONS_MM},
        "defects": {"kind": dead.kind, "seed": dead.seed, "random": len(dead.random),
                    "edge": len(dead.edge), "dead": len(dead.dead),
                    "nominal_expected": process.expected_dead(mesh.cores)},
        "areas": [{"name": f"{len(core.macros)} macros", "source": "E: what the blocks leave",
                   "mm2": macro.mm2 * len(core.macros)},
                  *({"name": block.name, "mm2": block.rect.mm2, "source": block.source}
                    for block in core.blocks)],
        "macro_um": [macro.width / 1e3, macro.height / 1e3],
        "macro_density_mb_per_mm2": core.macro_density_mb_per_mm2,
        "tree_wire_um": [next(wire.length for wire in core.tree if wire.level == level) / 1e3
                         for level in sorted({wire.level for wire in core.tree})],
        "checks": [{"name": one.name, "value": one.value, "limit": one.limit, "unit": one.unit,
                    "minimum": one.least, "passed": one.passed} for one in checks]}


def _geometry_table(found: dict[str, Any]) -> Table:
    table = Table("quantity", "value", "", title=f"Floorplan of machine {found['machine']}")
    core, die, pitch, array = (found[key] for key in ("core_um", "die_mm", "die_pitch_mm",
                                                      "array_mm"))
    defects = found["defects"]
    table.add_row("core", f"{core[0]:g} x {core[1]:g} um",
                  f"{found['core_mm2']:.4f} mm2; {found['core_all_in_mm2']:.4f} mm2 all-in")
    table.add_row("die", f"{die[0]:g} x {die[1]:g} mm",
                  f"pitch {pitch[0]:g} x {pitch[1]:g} mm, {found['cores_per_die']} cores")
    table.add_row("wafer", f"{array[0]:g} x {array[1]:g} mm",
                  f"{found['dies_across']} x {found['dies_along']} dies, {found['cores']:,} cores; "
                  f"corners {abs(found['corner_overhang_mm']):.3f} mm "
                  f"{'outside' if found['corner_overhang_mm'] > 0 else 'inside'} the wafer")
    lost = found["edge_cores_by_exclusion_mm"]
    table.add_row("cores lost at the edge", f"{found['edge_cores']}",
                  ", ".join(f"{count} at {mm} mm" for mm, count in lost.items()) + " of exclusion")
    table.add_row("dead by defects", f"{defects['random']}",
                  f"map {defects['kind']}, seed {defects['seed']}; nominal: "
                  f"{defects['nominal_expected']:.1f} expected")
    table.add_row("macro", f"{found['macro_um'][0]:g} x {found['macro_um'][1]:g} um",
                  f"{found['macro_density_mb_per_mm2']:.1f} Mb/mm2")
    return table


def _area_table(found: dict[str, Any]) -> Table:
    table = Table(title="Areas of a core")
    for title in ("part", "mm2", "share", "source"):
        table.add_column(title, justify="right" if title in ("mm2", "share") else "left")
    for area in found["areas"]:
        table.add_row(area["name"], f"{area['mm2']:.4f}", f"{area['mm2'] / found['core_mm2']:.1%}",
                      area["source"])
    return table


def _check_table(checks: tuple[Check, ...]) -> Table:
    table = Table(title="Rule check")
    for title in ("rule", "value", "limit", "unit", ""):
        table.add_column(title, justify="right" if title in ("value", "limit") else "left")
    for one in checks:
        table.add_row(one.name, f"{one.value:,.6g}", f"{one.limit:,.6g}", one.unit,
                      "passed" if one.passed else "FAILED")
    return table
