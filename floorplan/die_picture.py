"""Pictures of one die and of one core."""

from textwrap import wrap

from ouroboros.floorplan.geometry import NM_PER_MM, Rect
from ouroboros.floorplan.picture import Frame, Picture
from ouroboros.floorplan.plan import Plan

__all__ = ["core_picture", "die_picture"]

LEFT, TOP, GAP, LEGEND = 90.0, 120.0, 50.0, 470.0
TREE_COLOUR = "#b42318"


def _sheet(width: float, height: float, title: str, lead: str) -> Picture:
    picture = Picture(LEFT + width + GAP + LEGEND, TOP + height + 50, title)
    picture.text(LEFT - 40, 40, title, "title")
    picture.text(LEFT - 40, 66, lead, "lead")
    return picture


def die_picture(plan: Plan) -> str:
    """Cores, corridors, scribe and die-link pins of one die, to scale."""
    (columns, rows), (pitch_x, pitch_y) = plan.die_cores, plan.die_pitch
    die, rules, inside = plan.die, plan.rules.die, plan.core
    per_mm = 900 / (pitch_y / NM_PER_MM)
    width, height = pitch_x / NM_PER_MM * per_mm, pitch_y / NM_PER_MM * per_mm
    picture = _sheet(width, height, f"Die of machine {plan.machine.name}",
                     f"{columns} x {rows} cores; {plan.dies[0] * plan.dies[1]} such dies on the "
                     "wafer, all alike")
    half = rules.scribe.nm // 2
    frame = Frame(LEFT + half / NM_PER_MM * per_mm, TOP + height - half / NM_PER_MM * per_mm,
                  per_mm)
    picture.rects([Rect(-half, -half, pitch_x, pitch_y)], frame, style="scribe")
    picture.rects([die], frame, style="corridor")
    picture.rects((plan.core_in_die(x, y) for y in range(rows) for x in range(columns)), frame,
                  style="core")
    _link_pins(plan, picture, frame)
    for column, row, words in ((0, 0, "(1, 1)"), (columns - 1, 0, f"({columns}, 1)"),
                        (0, rows - 1, f"(1, {rows})"),
                        (columns - 1, rows - 1, f"({columns}, {rows})")):
        at = frame.at(plan.core_in_die(column, row).centre)
        picture.text(at[0], at[1] + 5, words, "tiny", anchor="middle")
    picture.measure(LEFT, TOP - 14, LEFT + width, TOP - 14,
                    f"pitch {pitch_x / NM_PER_MM:.3f} mm")
    picture.measure(LEFT - 14, TOP, LEFT - 14, TOP + height, f"pitch {pitch_y / NM_PER_MM:.3f} mm")
    share = inside.outline.mm2 * columns * rows / (pitch_x * pitch_y / NM_PER_MM ** 2)
    x, y = LEFT + width + GAP, TOP + 16
    picture.text(x, y, "Parts of the pitch", "head")
    for n, (style, words) in enumerate((
            ("core", (f"core {inside.width / NM_PER_MM:.4f} x {inside.height / NM_PER_MM:.4f} mm "
                      f"= {inside.outline.mm2:.3f} mm²; {share:.1%} in all")),
            ("corridor", f"corridor of the die links, {rules.corridor.um:g} um at each border"),
            ("scribe", f"scribe, {rules.scribe.um:g} um between two dies"),
            ("pin", f"die-link pins, {len(list(inside.pins('e')))} for each core at a border"))):
        picture.swatch(x, y + 28 + 24 * n, words, style=style)
    y += 150
    picture.text(x, y, "Where the lengths come from", "head")
    y += 22
    for name, rule in (("pitch x", rules.pitch_x), ("pitch y", rules.pitch_y),
                       ("scribe", rules.scribe), ("corridor", rules.corridor),
                       ("largest field", rules.field_x)):
        for line in wrap(f"{name}: {rule.source}", 72):
            picture.text(x, y, line, "small")
            y += 17
    y += 20
    picture.text(x, y, "All-in area of a core", "head")
    picture.text(x, y + 22, f"pitch x * pitch y / cores = {plan.core_share_mm2:.4f} mm²", "small")
    _corner(plan, picture, x, y + 60)
    return str(picture)


def _corner(plan: Plan, picture: Picture, x: float, y: float) -> None:
    """Where four dies meet, enlarged."""
    rules, width, height = plan.rules.die, 430.0, 300.0
    reach = max(1_000, 13 * (rules.scribe.nm + 2 * rules.corridor.nm) // 10)
    per_mm = width / (2 * reach / NM_PER_MM)
    window = Rect(-reach, -int(reach * height / width), 2 * reach, int(2 * reach * height / width))
    picture.text(x, y, "Where four dies meet", "head")
    frame = Frame(x + width / 2, y + 16 + height / 2, per_mm)
    picture.rects([window], frame, style="scribe")
    half, inner = rules.scribe.nm // 2, rules.scribe.nm // 2 + rules.corridor.nm
    for style, at in (("corridor", half), ("core", inner)):
        for east in (False, True):
            for north in (False, True):
                # What of the die or its corner core lies in the window.
                left, low = at if east else window.x, at if north else window.y
                picture.rects([Rect(left, low, (window.right if east else -at) - left,
                                    (window.top if north else -at) - low)], frame, style=style)
    for start, end, lift, words in ((-half, half, 0, f"{rules.scribe.um:g} um"),
                                    (half, inner, 34, f"{rules.corridor.um:g} um")):
        from_x, level = frame.at((start, window.y + reach // 12))
        picture.measure(from_x, level - lift, frame.at((end, 0))[0], level - lift, words)
    for words, place in (("core", (-0.75, 0.7)), ("core", (0.75, 0.7)), ("core", (-0.75, -0.7)),
                         ("core", (0.75, -0.7))):
        at_x, at_y = frame.at((place[0] * window.right, place[1] * window.top))
        picture.text(at_x, at_y, words, "small", anchor="middle")


def _link_pins(plan: Plan, picture: Picture, frame: Frame) -> None:
    """The stretch of the die's border that each link's pins take."""
    (columns, rows), die = plan.die_cores, plan.die
    bars = []
    for side in "nesw":
        rects = [rect for _, rect in plan.core.pins(side)]
        low_x, low_y = min(r.x for r in rects), min(r.y for r in rects)
        high_x, high_y = max(r.right for r in rects), max(r.top for r in rects)
        depth = plan.rules.die.corridor.nm // 2
        for n in range(columns if side in "ns" else rows):
            if side in "ns":
                core = plan.core_in_die(n, 0)
                y = 0 if side == "s" else die.height - depth
                bars.append(Rect(core.x + low_x, y, high_x - low_x, depth))
            else:
                core = plan.core_in_die(0, n)
                x = 0 if side == "w" else die.width - depth
                bars.append(Rect(x, core.y + low_y, depth, high_y - low_y))
    picture.rects(bars, frame, style="pin")


def core_picture(plan: Plan) -> str:
    """Macros, blocks, H-tree and pins of a core, to scale, with areas and their sources."""
    core = plan.core
    per_mm = 860 / (core.height / NM_PER_MM)
    width, height = core.width / NM_PER_MM * per_mm, core.height / NM_PER_MM * per_mm
    picture = _sheet(width, height, f"Core of machine {plan.machine.name}",
                     f"{len(core.macros)} macros of {plan.machine.cim.rows:,} x "
                     f"{plan.machine.cim.outputs} int8; blocks of the strip by rule, the macros "
                     "get what is left")
    frame = Frame(LEFT, TOP + height, per_mm)
    picture.rects([core.outline], frame, style="core")
    picture.rects(core.macros, frame, style="macro")
    for n, block in enumerate(core.blocks):
        picture.rects([block.rect], frame, style=f"b{n % 5}")
        left, top, _, tall = frame.box(block.rect)
        picture.text(left + 4, top + tall - 9, "ABCDEFGH"[n], "head")
    for wire in core.tree:
        ends = (*frame.at(wire.start), *frame.at(wire.end))
        picture.lines([ends], TREE_COLOUR, 1.2 + 0.7 * wire.level)
    for leaf, macro in enumerate(core.macros):
        left, top, _, tall = frame.box(macro)
        picture.text(left + 7, top + tall - 8, str(leaf), "small")
    for side in "nesw":
        rects = [rect for _, rect in core.pins(side)]
        picture.rects([Rect(r.x - (4000 if side == "e" else 0), r.y - (4000 if side == "n" else 0),
                            r.width + (4000 if side in "ew" else 0),
                            r.height + (4000 if side in "ns" else 0)) for r in rects],
                      frame, style="pin")
    picture.measure(LEFT, TOP - 14, LEFT + width, TOP - 14, f"{core.width / NM_PER_MM:.4f} mm")
    picture.measure(LEFT - 14, TOP, LEFT - 14, TOP + height, f"{core.height / NM_PER_MM:.4f} mm")
    _core_legend(plan, picture, LEFT + width + GAP, TOP + 16)
    return str(picture)


def _core_legend(plan: Plan, picture: Picture, x: float, y: float) -> None:
    core, macro = plan.core, plan.core.macros[0]
    whole = core.outline.mm2
    picture.text(x, y, "Areas", "head")
    macros = sum(one.mm2 for one in core.macros)
    y += 28
    picture.swatch(x, y, f"macros: {len(core.macros)} x {macro.mm2:.4f} mm² = {macros:.3f} mm² "
                         f"({macros / whole:.1%})", style="macro")
    picture.text(x + 22, y + 18, f"E: what the strip leaves, "
                                 f"{core.macro_density_mb_per_mm2:.1f} Mb/mm²", "small")
    for n, block in enumerate(core.blocks):
        y += 44
        picture.swatch(x, y, f"{'ABCDEFGH'[n]} {block.name}: {block.rect.mm2:.4f} mm² "
                             f"({block.rect.mm2 / whole:.1%})", style=f"b{n % 5}")
        for line in wrap(block.source, 64, break_on_hyphens=False):
            y += 17
            picture.text(x + 22, y, line, "small")
        y -= 17
    y += 52
    picture.text(x, y, "Densities to hold the macros against", "head")
    rules = plan.rules.core
    for rule in (rules.macro_density_max, rules.memory_density):
        for line in wrap(f"{rule.mid:g} Mb/mm²: {rule.source}", 68):
            y += 18
            picture.text(x, y, line, "small")
    y += 38
    picture.text(x, y, "H-tree, from the macros up", "head")
    leaf = core.tree[0].length if core.tree else 1
    for level in sorted({wire.level for wire in core.tree}):
        y += 20
        length = next(wire.length for wire in core.tree if wire.level == level)
        picture.lines([(x, y - 4, x + 16, y - 4)], TREE_COLOUR, 1.2 + 0.7 * level)
        picture.text(x + 24, y, f"level {level}: {length / 1e3:.1f} um = {length / leaf:.2f} x a "
                                "leaf's wire", "small")
    y += 38
    picture.swatch(x, y, f"pins of the mesh links: {len(list(core.pins('e')))} a side, pitch "
                         f"{rules.pin_pitch.um:g} um", style="pin")
    picture.text(x + 22, y + 18, "numbers in the macros: leaves of the H-tree", "small")
