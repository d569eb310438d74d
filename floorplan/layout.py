"""A machine laid out: options in; pictures, GDSII, LEF, DEF and figures out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from ouroboros.sw.api.shared import OnWafer
from ouroboros.sw.defects.process import REGIONS
from ouroboros.sw.lib.options import option
from ouroboros.sw.lib.write import check_folder, write
from ouroboros.sw.place.instance import Instance, read_instance
from ouroboros.sw.place.placement import Placement, load

__all__ = ["Floorplan", "FloorplanOptions", "lay_out"]

EXCLUSIONS_MM = (0, 1, 2, 3)
MARKS = {"wafer.gds": LIBRARY, "defects.json": SCHEMA, **dict.fromkeys(
    ("tech.lef", "core.lef", "die.lef", "die.def", "wafer.def", "wafer.svg", "die.svg", "core.svg",
     "load.svg"), MARK)}
"""What the files of a floorplan hold in their first bytes."""


@dataclass(frozen=True, kw_only=True)
class FloorplanOptions(OnWafer):
    """A machine, its rules, its defects and what lies on it."""

    out: Path = option(path="folder")
    """Folder for the files; made if it is not there."""
    rules: Path | None = option(None)
    """Rules; by default floorplan/rules.toml."""
    defects: str | None = option(None, names=lambda: KINDS)
    """Random defects: about 42 on the full wafer, 209, none, or a map's file; by default those of
    the placement, else nominal."""
    seed: int = option(1, metavar="N")
    """Of the defect map."""
    region: str = option("core", choices=lambda: REGIONS)
    """Nominal defects: density drawn for each core, or one for each die."""
    placement: Path | None = option(None)
    """Placement to show."""
    instance: Path | None = option(None)
    """What was placed: gives layers and link loads."""
    load: Path | None = option(None)
    """Link load to show instead: JSON, load (4, height, width) and unit."""
    nets: bool = False
    """Nets between dies in wafer.def (large)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Floorplan:
    """A machine, laid out and written."""

    plan: Plan
    """Where everything lies."""
    dead: DefectMap
    """Cores that do not work."""
    checks: tuple[Check, ...]
    """The plan against its rules."""
    files: Mapping[str, int]
    """Bytes of what was written, by name."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the rules that the plan breaks."""
        return tuple(one.name for one in self.checks if not one.passed)

    def as_dict(self) -> dict[str, Any]:
        """Everything the plan says, for a file."""
        plan, dead = self.plan, self.dead
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
                        "minimum": one.least, "passed": one.passed} for one in self.checks],
            "files": dict(self.files)}


def lay_out(options: FloorplanOptions,
            others: Mapping[str, Path | None] | None = None) -> Floorplan:
    """Plan, check and write; a plan that breaks a rule is written, too.

    Parameters
    ----------
    others : Mapping[str, Path | None], optional
        Other files that are written, which must be none of these; as in ``check_folder``.

    Raises
    ------
    OuroborosError
        If a file is wrong or does not belong to the others, or no plan can obey the rules.
    """
    plan = plan_floor(load_machine(options.machine), load_rules(options.rules))
    placement, instance = _read(options)
    dead = _defects(plan, options, placement)
    checks = check(plan)
    out = options.out
    check_folder(out, MARKS, others or {})
    write_gds(plan, dead.random, out / "wafer.gds")
    write_lef(plan, out)
    write_die_def(plan, out / "die.def")
    write_wafer_def(plan, out / "wafer.def", nets=options.nets)
    write_map(dead, plan, out / "defects.json")
    placed = occupancy(placement, instance) if placement else None
    pictures = _pictures(plan, dead, placed, placement, instance, options.load)
    for name, text in pictures.items():
        write(out / f"{name}.svg", f"<!-- {MARK} -->\n{text}")
    names = ["wafer.gds", "tech.lef", "core.lef", "die.lef", "die.def", "wafer.def",
             "defects.json", *(f"{name}.svg" for name in pictures)]
    return Floorplan(plan=plan, dead=dead, checks=checks,
                     files={name: (out / name).stat().st_size for name in names})


def _read(options: FloorplanOptions) -> tuple[Placement | None, Instance | None]:
    """Placement and instance, which must belong together."""
    placement = load(options.placement) if options.placement else None
    instance = read_instance(options.instance) if options.instance else None
    if instance and not placement:
        raise FloorplanError(f"{options.instance}: --instance must come with --placement")
    if placement and instance and placement.instance_digest != instance.digest:
        raise FloorplanError(f"{options.placement}: must be a placement of {options.instance}, "
                             f"not of other traffic ({placement.instance_name})")
    return placement, instance


def _defects(plan: Plan, options: FloorplanOptions, placement: Placement | None) -> DefectMap:
    """The defect map asked for, or that of the placement."""
    mesh, choice, path = plan.machine.mesh, options.defects, options.placement
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
        found = make_map(plan, choice or "nominal", options.seed, region=options.region)
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
