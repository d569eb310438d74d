"""DEF 5.8: one die of placed cores, the wafer of placed dies. No routing: cores abut."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ouroboros.floorplan.geometry import Rect
from ouroboros.floorplan.links import OPPOSITE, SIDES, side_pins
from ouroboros.floorplan.plan import Plan
from ouroboros.floorplan.write_lef import (
    DBU_PER_UM,
    LAYER,
    MARK,
    border_core,
    core_name,
    die_name,
    die_pins,
)
from ouroboros.sw.lib.write import replaced

__all__ = ["write_die_def", "write_wafer_def"]


def write_die_def(plan: Plan, path: Path) -> None:
    """One die: cores, die-link pins, and a net for every wire of a mesh link.

    Needs ``tech.lef`` and ``core.lef``.
    """
    columns, rows = plan.die_cores
    places = [(core_name(x, y), plan.core_in_die(x, y)) for y in range(rows)
              for x in range(columns)]
    with replaced(path) as aside, aside.open("w", encoding="ascii") as file:
        file.write(_head("die", plan.die))
        file.writelines(_components("CORE", places))
        pins = list(_pins(plan))
        file.writelines(chain([f"PINS {len(pins)} ;\n"], pins, ["END PINS\n"]))
        nets = list(_die_nets(plan))
        file.writelines(chain([f"NETS {len(nets)} ;\n"], nets, ["END NETS\nEND DESIGN\n"]))


def write_wafer_def(plan: Plan, path: Path, *, nets: bool = False) -> None:
    """The wafer: dies at their pitch, origin at its centre; needs ``tech.lef`` and ``die.lef``.

    With ``nets``, one for every wire between two dies (many: 870,000 on the full wafer); without,
    the pins that face each other across a scribe say the same.
    """
    across, along = plan.dies
    places = [(die_name(x, y), plan.die_on_wafer(x, y)) for y in range(along)
              for x in range(across)]
    with replaced(path) as aside, aside.open("w", encoding="ascii") as file:
        file.write(_head("wafer", plan.array))
        file.writelines(_components("DIE", places))
        if nets:
            found = list(_wafer_nets(plan))
            file.writelines(chain([f"NETS {len(found)} ;\n"], found, ["END NETS\n"]))
        file.write("END DESIGN\n")


def _head(design: str, area: Rect) -> str:
    return (f'# {MARK}\nVERSION 5.8 ;\nDIVIDERCHAR "/" ;\nBUSBITCHARS "[]" ;\nDESIGN {design} ;\n'
            f"UNITS DISTANCE MICRONS {DBU_PER_UM} ;\n"
            f"DIEAREA ( {area.x} {area.y} ) ( {area.right} {area.top} ) ;\n")


def _components(macro: str, places: list[tuple[str, Rect]]) -> Iterator[str]:
    yield f"COMPONENTS {len(places)} ;\n"
    for name, rect in places:
        yield f"- {name} {macro} + FIXED ( {rect.x} {rect.y} ) N ;\n"
    yield "END COMPONENTS\n"


def _pins(plan: Plan) -> Iterator[str]:
    for name, pin, side, rect in die_pins(plan):
        # The net of a border pin has its name.
        yield (f"- {name} + NET {name} + DIRECTION {'OUTPUT' if pin.output else 'INPUT'} "
               f"+ USE SIGNAL + LAYER {LAYER[side]} ( 0 0 ) ( {rect.width} {rect.height} ) "
               f"+ FIXED ( {rect.x} {rect.y} ) N ;\n")


def _die_nets(plan: Plan) -> Iterator[str]:
    columns, rows = plan.die_cores
    for side, dx, dy in (("e", 1, 0), ("s", 0, 1)):
        pairs = _facing(plan, side)
        for y in range(rows - dy):
            for x in range(columns - dx):
                one, other = core_name(x, y), core_name(x + dx, y + dy)
                yield from (f"- {one}_{a} ( {one} {a} ) ( {other} {b} ) ;\n" for a, b in pairs)
    for side in SIDES:
        names = [pin.name for pin in side_pins(plan.machine.noc, side)]
        for n in range(columns if side in "ns" else rows):
            core = core_name(*border_core(plan, side, n))
            yield from (f"- {side}{n + 1}{name[1:]} ( PIN {side}{n + 1}{name[1:]} ) "
                        f"( {core} {name} ) ;\n" for name in names)


def _wafer_nets(plan: Plan) -> Iterator[str]:
    (across, along), (columns, rows) = plan.dies, plan.die_cores
    for side, dx, dy, count in (("e", 1, 0, rows), ("s", 0, 1, columns)):
        pairs = _facing(plan, side)
        for y in range(along - dy):
            for x in range(across - dx):
                one, other = die_name(x, y), die_name(x + dx, y + dy)
                for n in range(1, count + 1):
                    yield from (f"- {one}_{side}{n}{a[1:]} ( {one} {side}{n}{a[1:]} ) "
                                f"( {other} {OPPOSITE[side]}{n}{b[1:]} ) ;\n" for a, b in pairs)


def _facing(plan: Plan, side: str) -> list[tuple[str, str]]:
    """Pins of a side and those that they meet, slot by slot."""
    noc = plan.machine.noc
    return [(a.name, b.name) for a, b in zip(side_pins(noc, side), side_pins(noc, OPPOSITE[side]),
                                             strict=True)]
