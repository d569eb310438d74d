"""The wafer as GDSII in units of 1 nm: WAFER -> DIE (array) -> CORE (array) -> MACRO and pins."""

import datetime
from collections.abc import Iterable
from pathlib import Path

import gdstk

from ouroboros.floorplan.geometry import NM_PER_UM, Rect
from ouroboros.floorplan.links import SIDES
from ouroboros.floorplan.plan import Plan
from ouroboros.sw.lib.write import replaced

__all__ = ["LAYERS", "LIBRARY", "write_gds"]

LAYERS = {
    "wafer": (1, 0), "usable": (1, 1), "array": (1, 2),
    "die": (2, 0), "corridor": (2, 1),
    "core": (10, 0), "macro": (11, 0), "block": (12, 0), "tree": (13, 0),
    "pin east-west": (20, 0), "pin north-south": (21, 0),
    "name": (60, 0),
    "dead": (100, 0), "keep-out": (101, 0),
}
"""Layer and datatype of everything drawn."""
LIBRARY = "ouroboros"
"""Name in the head of the file."""
WRITTEN = datetime.datetime(2026, 1, 1)
"""Time stamp in the file: a constant, so that equal plans are equal files."""
ROUND_POINTS = 180
TREE_WIDTH_NM = 4_000
"""Of the H-tree's wires as drawn; they have no width by rule."""


def write_gds(plan: Plan, dead: Iterable[int], path: Path) -> None:
    """Write a plan with its dead cores (ids)."""
    library = gdstk.Library(LIBRARY, unit=1e-6, precision=1e-9)
    links = {side: _link(plan, side) for side in SIDES}
    macro, core, die = (library.new_cell(name) for name in ("MACRO", "CORE", "DIE"))
    library.add(*links.values())
    _draw(macro, "macro", Rect(0, 0, plan.core.macros[0].width, plan.core.macros[0].height))
    _core(plan, core, macro, list(links.values()))
    _die(plan, die, core, links)
    wafer = library.new_cell("WAFER")
    (across, along), (pitch_x, pitch_y) = plan.dies, plan.die_pitch
    south_west = plan.die_on_wafer(0, along - 1)
    wafer.add(gdstk.Reference(die, _um(south_west.x, south_west.y), columns=across, rows=along,
                              spacing=_um(pitch_x, pitch_y)))
    for name, radius in (("wafer", plan.rules.wafer.diameter.nm / 2),
                         ("usable", plan.usable_radius)):
        layer, datatype = LAYERS[name]
        circle = gdstk.regular_polygon((0, 0), 1, ROUND_POINTS, layer=layer, datatype=datatype)
        reach = max(abs(x) for x, _ in circle.points)
        wafer.add(circle.scale(radius / NM_PER_UM / reach))
    _draw(wafer, "array", plan.array)
    for row in range(along):
        for column in range(across):
            x, y = plan.die_on_wafer(column, row).centre
            wafer.add(gdstk.Label(f"die ({column + 1}, {row + 1})", _um(x, y),
                                  layer=LAYERS["name"][0], texttype=LAYERS["name"][1]))
    for name, cores in (("dead", dead), ("keep-out", plan.keep_out)):
        for one in cores:
            _draw(wafer, name, plan.core_on_wafer(one))
    with replaced(path) as aside:
        library.write_gds(aside, timestamp=WRITTEN)


def _um(x: float, y: float) -> tuple[float, float]:
    return x / NM_PER_UM, y / NM_PER_UM


def _draw(cell: gdstk.Cell, name: str, rect: Rect) -> None:
    layer, datatype = LAYERS[name]
    cell.add(gdstk.rectangle(_um(rect.x, rect.y), _um(rect.right, rect.top), layer=layer,
                             datatype=datatype))


def _link(plan: Plan, side: str) -> gdstk.Cell:
    """Pins of one side, where a core at the origin has them."""
    cell = gdstk.Cell(f"LINK_{side.upper()}")
    for _, rect in plan.core.pins(side):
        _draw(cell, "pin north-south" if side in "ns" else "pin east-west", rect)
    return cell


def _core(plan: Plan, core: gdstk.Cell, macro: gdstk.Cell, links: list[gdstk.Cell]) -> None:
    _draw(core, "core", plan.core.outline)
    layer, texttype = LAYERS["name"]
    for block in plan.core.blocks:
        _draw(core, "block", block.rect)
        core.add(gdstk.Label(block.name, _um(*block.rect.centre), layer=layer, texttype=texttype))
    for rect in plan.core.macros:
        core.add(gdstk.Reference(macro, _um(rect.x, rect.y)))
    half = TREE_WIDTH_NM // 2
    for wire in plan.core.tree:
        (x1, y1), (x2, y2) = sorted((wire.start, wire.end))
        low, high = min(y1, y2), max(y1, y2)
        _draw(core, "tree", Rect(x1 - half, low - half, x2 - x1 + 2 * half, high - low + 2 * half))
    core.add(*(gdstk.Reference(link) for link in links))


def _die(plan: Plan, die: gdstk.Cell, core: gdstk.Cell, links: dict[str, gdstk.Cell]) -> None:
    (columns, rows), inside = plan.die_cores, plan.core
    first = plan.core_in_die(0, rows - 1)
    _draw(die, "die", plan.die)
    _draw(die, "corridor", Rect(first.x, first.y, columns * inside.width, rows * inside.height))
    spacing = _um(inside.width, inside.height)
    die.add(gdstk.Reference(core, _um(first.x, first.y), columns=columns, rows=rows,
                            spacing=spacing))
    # Die-link pins: those of the border's cores, moved through the corridor to the die's border.
    for side, x, y in (("w", 0, first.y), ("e", plan.die.width - inside.width, first.y)):
        die.add(gdstk.Reference(links[side], _um(x, y), columns=1, rows=rows, spacing=spacing))
    for side, x, y in (("s", first.x, 0), ("n", first.x, plan.die.height - inside.height)):
        die.add(gdstk.Reference(links[side], _um(x, y), columns=columns, rows=1, spacing=spacing))
