"""Dead cores of a planned wafer: random defects, and what the wafer's edge takes; as a file."""

import json
from dataclasses import dataclass
from pathlib import Path

from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.plan import Plan
from ouroboros.sw.defects.maps import defect_map, exact_map
from ouroboros.sw.defects.process import Process
from ouroboros.sw.lib import json_file
from ouroboros.sw.lib.write import write
from ouroboros.sw.wafer.assumptions import assumptions

__all__ = ["KINDS", "SCHEMA", "STRESS_DEAD", "DefectMap", "make_map", "nominal_process", "read_map",
           "write_map"]

SCHEMA = "ouroboros-defects-1"
KINDS = ("nominal", "stress", "none")
STRESS_DEAD = 209
"""Dead cores of the stress map: those of the mapping benchmarks, five times the nominal number.
A smaller machine has as large a part of its cores dead."""
STRESS_CORES = 13_923


@dataclass(frozen=True, kw_only=True, slots=True)
class DefectMap:
    """Dead cores by cause; ids ``x + width * y`` from 0, ascending."""

    kind: str
    """How it came about: one of ``KINDS``, or words."""
    seed: int
    """Of the random draw."""
    random: tuple[int, ...]
    """By defects."""
    edge: tuple[int, ...]
    """At the wafer's edge; may be among ``random`` too."""

    @property
    def dead(self) -> tuple[int, ...]:
        """All."""
        return tuple(sorted({*self.random, *self.edge}))


def nominal_process(plan: Plan) -> Process:
    """Murphy's yield at the nominal defect density, with the plan's all-in area of a core."""
    return Process(core_area_mm2=plan.core_share_mm2,
                   density_per_cm2=assumptions({})["defect_density_per_cm2"].mid)


def make_map(plan: Plan, kind: str, seed: int, *, region: str = "core") -> DefectMap:
    """A seeded map.

    ``nominal``: every core dies by itself with the nominal process' probability (about 42 on the
    full wafer); ``region`` die: cores of a die share a density. ``stress``: exactly
    ``STRESS_DEAD`` on the full wafer, drawn from the cores that the edge leaves.

    Raises
    ------
    FloorplanError
        If the kind is unknown.
    """
    mesh = plan.machine.mesh
    if kind == "nominal":
        random = defect_map(mesh, nominal_process(plan), seed, region=region)
    elif kind == "stress":
        random = exact_map(mesh, round(STRESS_DEAD * mesh.cores / STRESS_CORES), seed,
                           without=plan.keep_out)
    elif kind == "none":
        random = ()
    else:
        raise FloorplanError(f"defects must be one of {list(KINDS)} or the path of a map, "
                             f"not {kind!r}")
    return DefectMap(kind=kind, seed=seed, random=random, edge=plan.keep_out)


def write_map(found: DefectMap, plan: Plan, path: Path) -> None:
    """Write what ``read_map`` reads; ``dead`` is all that a placer needs."""
    mesh = plan.machine.mesh
    write(path, json.dumps({
        "schema": SCHEMA, "machine": plan.machine.name, "width": mesh.width,
        "height": mesh.height, "kind": found.kind, "seed": found.seed,
        "random": list(found.random), "edge": list(found.edge), "dead": list(found.dead)}) + "\n")


def read_map(path: Path, plan: Plan) -> DefectMap:
    """Read a map for a plan.

    Raises
    ------
    FloorplanError
        If the file is not one, or belongs to a mesh of another size; the message names file and
        key.
    """
    found = json_file.read_value(path, FloorplanError)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise FloorplanError(f"{path}: key 'schema' must be {SCHEMA!r}")
    mesh = plan.machine.mesh
    for name in ("width", "height"):
        if found.get(name) != getattr(mesh, name):
            raise FloorplanError(f"{path}: key {name!r} must be {getattr(mesh, name)} (machine "
                                 f"{plan.machine.name!r}), not {found.get(name)!r}: made for "
                                 "another machine")
    lists = {}
    for name in ("random", "edge"):
        ids = found.get(name)
        if not isinstance(ids, list) or not all(type(one) is int and 0 <= one < mesh.cores
                                                for one in ids):
            raise FloorplanError(f"{path}: key {name!r} must be a list of core ids from 0 to "
                                 f"{mesh.cores - 1}")
        lists[name] = tuple(sorted(set(ids)))
    seed, kind = found.get("seed"), found.get("kind")
    if type(seed) is not int or not isinstance(kind, str):
        raise FloorplanError(f"{path}: keys 'seed' and 'kind' must be a whole number and a text")
    return DefectMap(kind=kind, seed=seed, random=lists["random"], edge=lists["edge"])
