"""The finished plan against its rules, looked at afresh: every check with value, limit and result.

``plan_floor`` refuses rules that nothing can obey; this says by how much a plan obeys them, and
would find an error of the planner itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from ouroboros.floorplan.geometry import NM_PER_MM, Rect
from ouroboros.floorplan.links import OPPOSITE
from ouroboros.floorplan.plan import Plan

__all__ = ["Check", "check"]


@dataclass(frozen=True, slots=True)
class Check:
    """One rule and how the plan stands to it."""

    name: str
    """What is held against what."""
    value: float
    """Of the plan."""
    limit: float
    """By rule."""
    unit: str
    """Of both."""
    least: bool = False
    """The limit is a minimum, not a maximum."""

    @property
    def passed(self) -> bool:
        """Whether the rule is obeyed."""
        return self.value >= self.limit if self.least else self.value <= self.limit


def check(plan: Plan) -> tuple[Check, ...]:
    """All checks of a plan."""
    return (*_wafer(plan), *_core(plan), *_geometry(plan))


def _wafer(plan: Plan) -> Iterator[Check]:
    die, wafer, mm = plan.rules.die, plan.rules.wafer, NM_PER_MM
    usable = 2 * plan.usable_radius / mm
    for axis, pitch, field, size in (
            ("x", plan.die_pitch[0], die.field_x.nm, plan.array.width),
            ("y", plan.die_pitch[1], die.field_y.nm, plan.array.height)):
        yield Check(f"die pitch {axis} <= exposure field", pitch / mm, field / mm, "mm")
        yield Check(f"dies along {axis} <= square", size / mm, wafer.square.nm / mm, "mm")
        yield Check(f"dies along {axis} <= usable diameter", size / mm, usable, "mm")


def _core(plan: Plan) -> Iterator[Check]:
    core, rules = plan.core, plan.rules.core
    macro = core.macros[0]
    density = core.macro_density_mb_per_mm2
    yield Check("macro density <= plain SRAM", density, rules.macro_density_max.mid,
                "Mb/mm2")
    yield Check("macro density >= least", density, rules.macro_density_min.mid, "Mb/mm2",
                least=True)
    yield Check("macro aspect <= most",
                max(macro.width, macro.height) / min(macro.width, macro.height),
                rules.macro_aspect_max.mid, "1")
    for sides, along in (("ns", core.width), ("ew", core.height)):
        for side in sides:
            taken = len(list(core.pins(side))) * rules.pin_pitch.nm
            yield Check(f"link pins, side {side} <= side of a core", taken / NM_PER_MM,
                        along / NM_PER_MM, "mm")


def _geometry(plan: Plan) -> Iterator[Check]:
    core, (columns, rows), grid = plan.core, plan.die_cores, plan.rules.die.grid.nm
    parts = [*core.macros, *(block.rect for block in core.blocks)]
    yield Check("overlapping parts of a core", sum(a.overlaps(b) for a, b
                                                   in combinations(parts, 2)), 0, "pairs")
    yield Check("parts outside their core", sum(not core.outline.holds(part) for part in parts), 0,
                "parts")
    corridor = plan.rules.die.corridor.nm
    cores = [plan.core_in_die(x, y) for y in range(rows) for x in range(columns)]
    inner = Rect(corridor, corridor, plan.die.width - 2 * corridor,
                 plan.die.height - 2 * corridor)
    yield Check("cores in a corridor", sum(not inner.holds(one) for one in cores), 0, "cores")
    yield Check("overlapping cores of a die", sum(a.overlaps(b) for a, b
                                                  in combinations(cores, 2)), 0, "pairs")
    corners = [value for rect in (*parts, *cores, core.outline, plan.die, plan.array)
               for value in (rect.x, rect.y, rect.right, rect.top)]
    yield Check("coordinates off the grid", sum(value % grid != 0 for value in corners), 0,
                "coordinates")
    yield Check("link pins that meet no pin", sum(_unmet(plan, side) for side in "ne"), 0, "pins")


def _unmet(plan: Plan, side: str) -> int:
    """Pins of a core's side that do not touch a pin of the other direction next door."""
    core = plan.core
    dx, dy = (0, core.height) if side == "n" else (core.width, 0)
    other = {rect.moved(dx, dy): pin for pin, rect in core.pins(OPPOSITE[side])}
    unmet = 0
    for pin, rect in core.pins(side):
        across = (rect.moved(0, rect.height) if side == "n" else rect.moved(rect.width, 0))
        facing = other.get(across)
        # o meets i, an output meets an input, and the wire is the same.
        unmet += (facing is None or facing.output == pin.output
                  or {facing.name[2], pin.name[2]} != {"o", "i"}
                  or facing.name[3:] != pin.name[3:])
    return unmet
