"""Core -> die -> wafer: where every core lies. Pure: (machine, rules) -> plan.

The pitch of the dies is given; what scribe and die-link corridors leave of it is shared out to the
cores, rounded down to the manufacturing grid.
"""

import math
from dataclasses import dataclass
from functools import cached_property

from ouroboros.floorplan.core_plan import CorePlan, plan_core
from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.geometry import NM_PER_MM, Rect, down
from ouroboros.floorplan.rules import Rules
from ouroboros.hw.params.machine import Machine

__all__ = ["Plan", "plan_floor"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The floorplan of a machine. Core ids are ``x + width * y``, y from the north, as in the mesh;
    coordinates are nm, y to the north, from the south-west corner of a core or die and from the
    centre of the wafer.
    """

    machine: Machine
    """Of which machine."""
    rules: Rules
    """By which rules."""
    core: CorePlan
    """Every core."""

    # Dies

    @property
    def die(self) -> Rect:
        """A die without its scribe."""
        rules = self.rules.die
        return Rect(0, 0, rules.pitch_x.nm - rules.scribe.nm, rules.pitch_y.nm - rules.scribe.nm)

    @property
    def die_pitch(self) -> tuple[int, int]:
        """From die to die, nm."""
        return self.rules.die.pitch_x.nm, self.rules.die.pitch_y.nm

    @property
    def die_cores(self) -> tuple[int, int]:
        """Cores of a die: columns, rows."""
        return self.machine.mesh.die_width, self.machine.mesh.die_height

    def core_in_die(self, column: int, row: int) -> Rect:
        """A core of a die; column from the west, row from the north, both from 0."""
        corridor, (_, rows) = self.rules.die.corridor.nm, self.die_cores
        return self.core.outline.moved(corridor + column * self.core.width,
                                       corridor + (rows - 1 - row) * self.core.height)

    # Wafer

    @property
    def dies(self) -> tuple[int, int]:
        """Dies of the wafer: columns, rows."""
        mesh = self.machine.mesh
        return mesh.width // mesh.die_width, mesh.height // mesh.die_height

    @property
    def array(self) -> Rect:
        """All dies with the scribes between them, centred on the wafer."""
        (across, along), scribe = self.dies, self.rules.die.scribe.nm
        width = across * self.die_pitch[0] - scribe
        height = along * self.die_pitch[1] - scribe
        grid = self.rules.die.grid.nm
        return Rect(down(-width / 2, grid), down(-height / 2, grid), width, height)

    def die_on_wafer(self, column: int, row: int) -> Rect:
        """A die; column from the west, row from the north, both from 0."""
        pitch_x, pitch_y = self.die_pitch
        return self.die.moved(self.array.x + column * pitch_x,
                              self.array.y + (self.dies[1] - 1 - row) * pitch_y)

    def core_on_wafer(self, core: int) -> Rect:
        """A core by its id."""
        x, y = core % self.machine.mesh.width, core // self.machine.mesh.width
        columns, rows = self.die_cores
        die = self.die_on_wafer(x // columns, y // rows)
        return self.core_in_die(x % columns, y % rows).moved(die.x, die.y)

    @property
    def usable_radius(self) -> int:
        """Of the wafer without the excluded ring, nm."""
        return self.rules.wafer.diameter.nm // 2 - self.rules.wafer.edge_exclusion.nm

    @cached_property
    def keep_out(self) -> tuple[int, ...]:
        """Cores of which a corner lies outside the usable radius, ascending ids."""
        return self.cores_outside(self.usable_radius)

    def cores_outside(self, radius: int) -> tuple[int, ...]:
        """Cores of which a corner lies further than ``radius`` nm from the wafer's centre."""
        found = []
        for core in range(self.machine.mesh.cores):
            rect = self.core_on_wafer(core)
            x, y = max(-rect.x, rect.right), max(-rect.y, rect.top)
            if x * x + y * y > radius * radius:
                found.append(core)
        return tuple(found)

    @property
    def corner_overhang_mm(self) -> float:
        """How far the corners of the array reach beyond the wafer itself; negative: not at all."""
        corner = math.hypot(self.array.width / 2, self.array.height / 2)
        return (corner - self.rules.wafer.diameter.nm / 2) / NM_PER_MM

    # Figures

    @property
    def core_share_mm2(self) -> float:
        """Area of a die pitch for each core: all-in area of a core."""
        return (self.die_pitch[0] * self.die_pitch[1] / NM_PER_MM ** 2
                / (self.die_cores[0] * self.die_cores[1]))


def plan_floor(machine: Machine, rules: Rules) -> Plan:
    """Plan a machine.

    Raises
    ------
    FloorplanError
        If no layout can obey the rules; the message names the rule and what to change.
    """
    die, grid = rules.die, rules.die.grid.nm
    if grid < 1:
        raise FloorplanError(f"die.grid must be at least 0.001 um, not {die.grid.um:g}")
    for name in ("pitch_x", "pitch_y", "scribe", "corridor"):
        if (length := getattr(die, name)).nm % grid:
            raise FloorplanError(f"die.{name} must be a multiple of die.grid ({die.grid.um:g} um), "
                                 f"not {length.um:g} um")
    for axis in ("x", "y"):
        pitch, field = getattr(die, f"pitch_{axis}"), getattr(die, f"field_{axis}")
        if pitch.nm > field.nm:
            raise FloorplanError(f"die.pitch_{axis} must be at most the exposure field "
                                 f"(die.field_{axis}, {field.um:g} um), not {pitch.um:g} um")
    mesh, sizes = machine.mesh, []
    for axis, cores in (("x", mesh.die_width), ("y", mesh.die_height)):
        pitch = getattr(die, f"pitch_{axis}")
        left = pitch.nm - die.scribe.nm - 2 * die.corridor.nm
        if (size := down(left / cores, grid)) <= 0:
            raise FloorplanError(f"die.pitch_{axis} ({pitch.um:g} um) must leave room for {cores} "
                                 f"cores beside scribe and two corridors "
                                 f"({die.scribe.um + 2 * die.corridor.um:g} um)")
        sizes.append(size)
    plan = Plan(machine=machine, rules=rules,
                core=plan_core(machine, rules.core, sizes[0], sizes[1], grid))
    _check_wafer(plan)
    return plan


def _check_wafer(plan: Plan) -> None:
    wafer, array = plan.rules.wafer, plan.array
    if plan.usable_radius <= 0:
        raise FloorplanError(f"wafer.edge_exclusion must be below the wafer's radius "
                             f"({wafer.diameter.um / 2e3:g} mm), "
                             f"not {wafer.edge_exclusion.um / 1e3:g} mm")
    for axis, size, dies in (("x", array.width, plan.dies[0]), ("y", array.height, plan.dies[1])):
        if size > wafer.square.nm:
            raise FloorplanError(f"{dies} dies at die.pitch_{axis} "
                                 f"take {size / NM_PER_MM:.3f} mm, but wafer.square is "
                                 f"{wafer.square.um / 1e3:g} mm: lower the pitch, or take fewer "
                                 "dies")
        if size > 2 * plan.usable_radius:
            raise FloorplanError(f"{dies} dies take {size / NM_PER_MM:.3f} mm, more than the "
                                 f"usable {2 * plan.usable_radius / NM_PER_MM:g} mm of the wafer "
                                 "(wafer.diameter, wafer.edge_exclusion)")
    columns, rows = plan.die_cores
    lost = set(plan.keep_out)
    width = plan.machine.mesh.width
    for die_y in range(plan.dies[1]):
        for die_x in range(plan.dies[0]):
            if all(die_x * columns + x + width * (die_y * rows + y) in lost
                   for y in range(rows) for x in range(columns)):
                raise FloorplanError(f"die ({die_x + 1}, {die_y + 1}) must have a core inside the "
                                     f"usable {2 * plan.usable_radius / NM_PER_MM:g} mm of the "
                                     "wafer: lower wafer.edge_exclusion, or take fewer dies")
