"""Pictures of the whole wafer: what is on each core, and the load of each link."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.geometry import NM_PER_MM, Rect
from ouroboros.floorplan.occupancy import ENDS, IDLE, Occupancy
from ouroboros.floorplan.picture import HEAT, Frame, Picture, heat_colour, layer_colour
from ouroboros.floorplan.plan import Plan
from ouroboros.hw.params.packet import Port

__all__ = ["load_picture", "wafer_picture"]

SIZE = 960.0
"""User units of the wafer's diameter."""
LEFT, TOP, GAP, LEGEND = 50.0, 92.0, 40.0, 400.0
END_COLOUR, PLACED_COLOUR = "#6b7280", "#3f72b8"


class _Sheet:
    """Paper with the wafer's outline, and a legend that grows downwards."""

    def __init__(self, plan: Plan, title: str, lead: str):
        self.plan = plan
        diameter = plan.rules.wafer.diameter.nm / NM_PER_MM
        radius = SIZE / 2
        self.frame = Frame(LEFT + radius, TOP + radius, SIZE / diameter)
        self.picture = Picture(LEFT + SIZE + GAP + LEGEND, TOP + SIZE + 40, title)
        self.picture.text(LEFT, 40, title, "title")
        self.picture.text(LEFT, 66, lead, "lead")
        self.picture.circle(self.frame.x, self.frame.y, radius, "wafer")
        self.x, self.y = LEFT + SIZE + GAP, TOP + 14

    def dies(self) -> None:
        """Borders of dies, the usable circle, dimensions."""
        plan, picture, frame = self.plan, self.picture, self.frame
        across, along = plan.dies
        picture.rects((plan.die_on_wafer(x, y) for y in range(along) for x in range(across)),
                      frame, style="die")
        picture.circle(frame.x, frame.y, plan.usable_radius / NM_PER_MM * frame.per_mm, "usable")
        x, y, width, height = frame.box(plan.array)
        picture.measure(x, y - 26, x + width, y - 26, f"{plan.array.width / NM_PER_MM:.2f} mm")
        picture.measure(x - 24, y, x - 24, y + height, f"{plan.array.height / NM_PER_MM:.2f} mm")

    def head(self, words: str) -> None:
        """A heading in the legend."""
        self.y += 12
        self.picture.text(self.x, self.y, words, "head")
        self.y += 24

    def note(self, *lines: str) -> None:
        """Small print in the legend."""
        for line in lines:
            self.picture.text(self.x, self.y, line, "small")
            self.y += 17

    def swatch(self, words: str, *, style: str = "", colour: str = "") -> None:
        """A look and its meaning in the legend."""
        self.picture.swatch(self.x, self.y, words, style=style, colour=colour)
        self.y += 23

    def geometry(self) -> None:
        """Figures of the geometry in the legend."""
        plan = self.plan
        (across, along), (columns, rows) = plan.dies, plan.die_cores
        die, core, wafer = plan.die, plan.core, plan.rules.wafer
        self.head("Geometry")
        self.note(f"{across} x {along} dies of {columns} x {rows} cores: "
                  f"{plan.machine.mesh.cores:,} cores",
                  f"die {die.width / NM_PER_MM:.3f} x {die.height / NM_PER_MM:.3f} mm, pitch "
                  f"{plan.die_pitch[0] / NM_PER_MM:.3f} x {plan.die_pitch[1] / NM_PER_MM:.3f} mm",
                  f"core {core.width / NM_PER_MM:.4f} x {core.height / NM_PER_MM:.4f} mm",
                  f"wafer {wafer.diameter.um / 1e3:g} mm; dashed: without "
                  f"{wafer.edge_exclusion.um / 1e3:g} mm at the edge",
                  f"corners of the array lie {abs(plan.corner_overhang_mm):.2f} mm "
                  f"{'outside' if plan.corner_overhang_mm > 0 else 'inside'} the wafer")
        self.scale()

    def scale(self) -> None:
        """A scale bar."""
        self.y += 22
        self.picture.measure(self.x + 2, self.y, self.x + 2 + 50 * self.frame.per_mm, self.y,
                             "50 mm")
        self.y += 14


def wafer_picture(plan: Plan, dead: Sequence[int], lead: str,
                  placed: Occupancy | None = None) -> str:
    """Dies and cores; layers and KV cores of a placement, if there is one; dead cores."""
    title = f"Wafer map of machine {plan.machine.name}"
    sheet = _Sheet(plan, f"{title}: {placed.name:.60}" if placed else title, lead)
    picture, frame = sheet.picture, sheet.frame
    gone, lost = set(dead), set(plan.keep_out)
    live = [core for core in range(plan.machine.mesh.cores)
            if core not in gone and core not in lost]
    sheet.head("Cores")
    if placed is None:
        picture.rects(map(plan.core_on_wafer, live), frame, style="core")
        sheet.swatch(f"good: {len(live):,}", style="core")
    else:
        _placed(sheet, placed, live)
    picture.rects(map(plan.core_on_wafer, sorted(gone - lost)), frame, style="dead")
    picture.rects(map(plan.core_on_wafer, sorted(lost)), frame, style="gone")
    sheet.dies()
    for core in sorted(gone - lost):
        picture.circle(*frame.at(plan.core_on_wafer(core).centre), 5.5, "spot")
    sheet.swatch(f"dead by defects: {len(gone - lost):,}", style="dead")
    sheet.swatch(f"lost at the wafer's edge: {len(lost):,}", style="gone")
    if placed is not None:
        wrong = int((placed.layer[sorted(gone | lost)] != IDLE).sum())
        if wrong:
            sheet.note(f"! {wrong:,} tiles of the placement lie on dead or lost cores")
    sheet.geometry()
    return str(picture)


def _placed(sheet: _Sheet, placed: Occupancy, live: list[int]) -> None:
    """Cores by layer, and the legend of layers."""
    plan, picture, layers = sheet.plan, sheet.picture, placed.layers
    groups: dict[str, list[Rect]] = {}
    for core in live:
        layer = int(placed.layer[core])
        colour = {IDLE: "#c4ccd6", ENDS: END_COLOUR if placed.named else PLACED_COLOUR}.get(
            layer) or layer_colour(layer, layers, pale=bool(placed.kv[core]))
        groups.setdefault(colour, []).append(plan.core_on_wafer(core))
    for colour, rects in groups.items():
        picture.rects(rects, sheet.frame, colour=colour)
    held = np.array(live, np.int64)
    if placed.named:
        width = LEGEND - 60
        for words, pale in (("weights", False), ("KV cache", True)):
            number = int(((placed.layer[held] >= 0) & (placed.kv[held] == pale)).sum())
            picture.text(sheet.x, sheet.y, f"{words}, by layer: {number:,}")
            picture.strip(sheet.x, sheet.y + 8, width, 16,
                          [layer_colour(n, layers, pale=pale) for n in range(layers)])
            sheet.y += 40
            for n in sorted({0, layers // 2, layers - 1}):
                picture.text(sheet.x + (n + 0.5) / layers * width, sheet.y, str(n), "small",
                             anchor="middle")
            sheet.y += 24
        ends = int((placed.layer[held] == ENDS).sum())
        if ends:
            sheet.swatch(f"embedding and LM head: {ends:,}", colour=END_COLOUR)
    else:
        sheet.swatch(f"hold a tile: {int((placed.layer[held] == ENDS).sum()):,}",
                     colour=PLACED_COLOUR)
    sheet.swatch(f"free: {int((placed.layer[held] == IDLE).sum()):,}", style="idle")


def load_picture(plan: Plan, load: npt.NDArray[np.float64], unit: str, lead: str,
                 dead: Sequence[int] = ()) -> str:
    """Load of every mesh link.

    Parameters
    ----------
    plan : Plan
        Of the machine.
    load : array
        (4, height, width): what leaves core (x, y) by the port NORTH, EAST, SOUTH, WEST, in
        ``unit``. Links that leave the mesh are not drawn.
    unit : str
        For example "flits/token".
    lead : str
        What the load is of.
    dead : sequence of int
        Cores drawn as dead.

    Raises
    ------
    FloorplanError
        If the array does not fit the machine, or a load is negative or not finite.
    """
    mesh = plan.machine.mesh
    if load.shape != (4, mesh.height, mesh.width):
        raise FloorplanError(f"link load must be an array of (4, {mesh.height}, {mesh.width}) "
                             f"(ports, rows, columns), not {load.shape}")
    if not (np.isfinite(load).all() and (load >= 0).all()):
        raise FloorplanError("link load must be finite and at least 0 everywhere")
    sheet = _Sheet(plan, f"Link load of machine {plan.machine.name}", lead)
    picture, frame = sheet.picture, sheet.frame
    centres = [frame.at(plan.core_on_wafer(core).centre) for core in range(mesh.cores)]
    both, most, where = _pairs(load, mesh.width)
    groups: dict[str, list[tuple[float, float, float, float]]] = {}
    for core, other, value in both:
        colour = heat_colour(value / most if most else 0)
        groups.setdefault(colour, []).append((*centres[core], *centres[other]))
    for colour in HEAT:     # the busiest are drawn last, over the others
        picture.lines(groups.get(colour, ()), colour, 2.6)
    picture.rects(map(plan.core_on_wafer, sorted(set(dead) | set(plan.keep_out))), frame,
                  style="gone")
    sheet.dies()
    sheet.head(f"Busier direction of a link, {unit}")
    _heat_legend(sheet, most)
    values = np.array([value for _, _, value in both])
    if most:
        x, y = ((a + b) / 2 for a, b in zip(centres[where[0]], centres[where[1]], strict=True))
        picture.circle(x, y, 11, "mark")
        sheet.note(f"busiest: {_figure(most)} {unit}, core {_name(where[0], mesh.width)} to "
                   f"{_name(where[1], mesh.width)} (ring)",
                   f"mean of {len(values):,} links: {_figure(values.mean())}, median "
                   f"{_figure(float(np.median(values)))}",
                   f"links without load: {int((values == 0).sum()):,}")
        sheet.y += 8
    sheet.swatch("dead or lost cores", style="gone")
    sheet.geometry()
    return str(picture)


def _pairs(load: npt.NDArray[np.float64],
           width: int) -> tuple[list[tuple[int, int, float]], float, tuple[int, int]]:
    """Both directions of every link as one, the busier counting; the busiest and its way."""
    both, most, where = [], 0.0, (0, 0)
    _, height, _ = load.shape
    for port, back in ((Port.EAST, Port.WEST), (Port.SOUTH, Port.NORTH)):
        dx, dy = port.step
        for y in range(height - dy):
            for x in range(width - dx):
                core, other = x + width * y, x + dx + width * (y + dy)
                out, into = float(load[port, y, x]), float(load[back, y + dy, x + dx])
                both.append((core, other, max(out, into)))
                if max(out, into) > most:
                    most, where = max(out, into), (core, other) if out >= into else (other, core)
    return both, most, where


def _heat_legend(sheet: _Sheet, most: float) -> None:
    width, classes = LEGEND - 60, len(HEAT) - 1
    sheet.picture.swatch(sheet.x, sheet.y, "0", colour=HEAT[0])
    sheet.picture.strip(sheet.x, sheet.y + 14, width, 16, HEAT[1:])
    sheet.y += 46
    for n in range(0, classes + 1, 3):
        sheet.picture.text(sheet.x + n / classes * width, sheet.y, _figure(most * n / classes),
                           "small", anchor={0: "start", classes: "end"}.get(n, "middle"))
    sheet.y += 24


def _figure(value: float) -> str:
    """A load: whole where it is large, three digits where it is small."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _name(core: int, width: int) -> str:
    return f"({core % width + 1}, {core // width + 1})"
