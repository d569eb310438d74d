"""LEF 5.8: layers, the core and the die as macros with their pins."""

from collections.abc import Iterator
from pathlib import Path

from ouroboros.floorplan.geometry import NM_PER_UM, Rect
from ouroboros.floorplan.links import SIDES, Pin
from ouroboros.floorplan.plan import Plan
from ouroboros.sw.lib.write import replaced, write

__all__ = ["DBU_PER_UM", "LAYER", "MARK", "core_name", "die_name", "die_pins", "write_lef"]

DBU_PER_UM = 1000
LAYER = {"n": "LINK_V", "s": "LINK_V", "e": "LINK_H", "w": "LINK_H"}
"""Pins at north and south lie on the vertical layer."""
MARK = "ouroboros floorplan"
"""First words of every text file of a floorplan."""
HEAD = f'# {MARK}\nVERSION 5.8 ;\nBUSBITCHARS "[]" ;\nDIVIDERCHAR "/" ;\n'


def core_name(column: int, row: int) -> str:
    """Instance of a core in a die; arguments from 0, names from 1 as in the mesh."""
    return f"core_x{column + 1}_y{row + 1}"


def die_name(column: int, row: int) -> str:
    """Instance of a die on the wafer; arguments from 0, names from 1."""
    return f"die_x{column + 1}_y{row + 1}"


def write_lef(plan: Plan, folder: Path) -> tuple[Path, Path, Path]:
    """Write ``tech.lef``, ``core.lef`` and ``die.lef``; the value is their paths."""
    tech, core, die = (folder / f"{name}.lef" for name in ("tech", "core", "die"))
    write(tech, _tech(plan))
    for path, name, outline, pins in (
            (core, "CORE", plan.core.outline, core_pins(plan)),
            (die, "DIE", plan.die, die_pins(plan))):
        with replaced(path) as aside, aside.open("w", encoding="ascii") as file:
            file.write(HEAD)
            file.writelines(_macro(name, outline, pins))
            file.write("END LIBRARY\n")
    return tech, core, die


def core_pins(plan: Plan) -> Iterator[tuple[str, Pin, str, Rect]]:
    """Name, pin, side and place of each pin of a core."""
    for side in SIDES:
        for pin, rect in plan.core.pins(side):
            yield pin.name, pin, side, rect


def die_pins(plan: Plan) -> Iterator[tuple[str, Pin, str, Rect]]:
    """Name, pin, side and place of each die-link pin.

    A pin lies at the die's border in line with that of the core beside it. Its name is the core
    pin's with the core's column or row (from 1) after the side: ``e3_o_data[0]``.
    """
    columns, rows = plan.die_cores
    for side in SIDES:
        for n in range(columns if side in "ns" else rows):
            core = plan.core_in_die(*border_core(plan, side, n))
            dx = {"w": 0, "e": plan.die.width - plan.core.width}.get(side, core.x)
            dy = {"s": 0, "n": plan.die.height - plan.core.height}.get(side, core.y)
            for pin, rect in plan.core.pins(side):
                yield f"{side}{n + 1}{pin.name[1:]}", pin, side, rect.moved(dx, dy)


def border_core(plan: Plan, side: str, n: int) -> tuple[int, int]:
    """Column and row of the n-th core at a side of a die."""
    columns, rows = plan.die_cores
    return {"n": (n, 0), "s": (n, rows - 1), "w": (0, n), "e": (columns - 1, n)}[side]


def _um(value: int) -> str:
    return f"{value / NM_PER_UM:.3f}"


def _tech(plan: Plan) -> str:
    rules = plan.rules.core
    pitch, width = rules.pin_pitch.nm, rules.pin_width.nm
    text = HEAD + (f"UNITS\n  DATABASE MICRONS {DBU_PER_UM} ;\nEND UNITS\n"
                   f"MANUFACTURINGGRID {plan.rules.die.grid.um:g} ;\n")
    for name, direction in (("LINK_H", "HORIZONTAL"), ("LINK_V", "VERTICAL")):
        text += (f"LAYER {name}\n  TYPE ROUTING ;\n  DIRECTION {direction} ;\n"
                 f"  PITCH {_um(pitch)} ;\n  WIDTH {_um(width)} ;\n"
                 f"  SPACING {_um(pitch - width)} ;\nEND {name}\n")
    return text + "END LIBRARY\n"


def _macro(name: str, outline: Rect, pins: Iterator[tuple[str, Pin, str, Rect]]) -> Iterator[str]:
    yield (f"MACRO {name}\n  CLASS BLOCK ;\n  ORIGIN 0 0 ;\n"
           f"  SIZE {_um(outline.width)} BY {_um(outline.height)} ;\n")
    for pin_name, pin, side, rect in pins:
        yield (f"  PIN {pin_name}\n    DIRECTION {'OUTPUT' if pin.output else 'INPUT'} ; "
               f"USE SIGNAL ; SHAPE ABUTMENT ;\n    PORT LAYER {LAYER[side]} ; "
               f"RECT {_um(rect.x)} {_um(rect.y)} {_um(rect.right)} {_um(rect.top)} ; END\n"
               f"  END {pin_name}\n")
    yield f"END {name}\n"
