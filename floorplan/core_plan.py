"""The inside of a core: macros in a grid, the other blocks in a strip across its middle.

The blocks of the strip have areas by rule; the macros take everything else, so that what they come
to is a result (``macro_density_mb_per_mm2``) that can be held against published memories.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.geometry import NM_PER_MM, Rect, down, up
from ouroboros.floorplan.links import SIDES, Pin, side_pins
from ouroboros.floorplan.rules import CoreRules
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.router_size import router_memory_bits

__all__ = ["Block", "CorePlan", "TreeWire", "plan_core"]

PARAM_BITS = 16
"""Bits of a requantisation multiplier; a word of the parameter memory holds one per lane."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the strip."""

    name: str
    """For people."""
    rect: Rect
    """Where, in the core."""
    source: str
    """Where its area comes from."""


@dataclass(frozen=True, slots=True)
class TreeWire:
    """A wire of the H-tree, from the middle of a node's macros to that of its parent's."""

    level: int
    """0: from a macro."""
    start: tuple[int, int]
    """x, y in nm."""
    end: tuple[int, int]
    """x, y in nm."""

    @property
    def length(self) -> int:
        """Nanometres."""
        return abs(self.start[0] - self.end[0]) + abs(self.start[1] - self.end[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class CorePlan:
    """One core; all cores are alike. The origin is its south-west corner."""

    machine: Machine
    """Whose core it is."""
    rules: CoreRules
    """By which it was planned."""
    width: int
    """To the east, nm."""
    height: int
    """To the north, nm."""
    blocks: tuple[Block, ...]
    """The strip, from west to east."""
    macros: tuple[Rect, ...]
    """Place of each macro, in the order of the leaves of the H-tree."""

    @property
    def outline(self) -> Rect:
        """The core."""
        return Rect(0, 0, self.width, self.height)

    @property
    def macro_bits(self) -> int:
        """Memory of one macro."""
        return self.machine.cim.rows * self.machine.cim.outputs * 8

    @property
    def macro_density_mb_per_mm2(self) -> float:
        """Megabits per square millimetre that the macros come to."""
        return self.macro_bits / 1e6 / self.macros[0].mm2

    @property
    def tree(self) -> tuple[TreeWire, ...]:
        """Wires of the H-tree, level by level from the macros to the root."""
        found = []
        nodes = [macro.centre for macro in self.macros]
        level = 0
        while len(nodes) > 1:
            above = [((a[0] + b[0]) // 2, (a[1] + b[1]) // 2)
                     for a, b in zip(nodes[::2], nodes[1::2], strict=True)]
            found += [TreeWire(level, node, above[n // 2]) for n, node in enumerate(nodes)]
            nodes, level = above, level + 1
        return tuple(found)

    def pins(self, side: str) -> Iterator[tuple[Pin, Rect]]:
        """Pins of a side and their places; those of two abutting sides touch, pin by pin."""
        rules = self.rules
        pins = side_pins(self.machine.noc, side)
        along = self.width if side in "ns" else self.height
        pitch, depth, width = rules.pin_pitch.nm, rules.pin_depth.nm, rules.pin_width.nm
        first = (along - len(pins) * pitch) // 2 + (pitch - width) // 2
        for pin in pins:
            at = first + pin.slot * pitch
            yield pin, {"n": Rect(at, self.height - depth, width, depth),
                        "s": Rect(at, 0, width, depth),
                        "e": Rect(self.width - depth, at, depth, width),
                        "w": Rect(0, at, depth, width)}[side]

    @property
    def all_pins(self) -> Iterator[tuple[Pin, Rect]]:
        """Pins of the four sides."""
        for side in SIDES:
            yield from self.pins(side)


def plan_core(machine: Machine, rules: CoreRules, width: int, height: int, grid: int) -> CorePlan:
    """Lay out a core of a given size.

    Raises
    ------
    FloorplanError
        If blocks, macros or pins cannot be had at that size.
    """
    areas = _areas(machine, rules)
    need, have = sum(area for _, area, _ in areas), width * height / NM_PER_MM ** 2
    if need >= have:
        raise FloorplanError(f"core of {have:.3f} mm2 must be larger than its blocks without "
                             f"macros ({need:.3f} mm2): enlarge die.pitch_x or die.pitch_y, or "
                             "lower the areas under [core]")
    levels = machine.core.macros.bit_length() - 1
    columns, rows = 1 << (levels + 1) // 2, 1 << levels // 2
    macro_width = down(width / columns, grid)
    macro_height = down((height - need * NM_PER_MM ** 2 / width) / rows, grid)
    if min(macro_width, macro_height) <= 0:
        raise FloorplanError(f"core of {width / 1e3:g} x {height / 1e3:g} um must have room for "
                             f"{columns} x {rows} macros beside its blocks: enlarge die.pitch_x "
                             "or die.pitch_y")
    strip_low = rows // 2 * macro_height
    strip = Rect(0, strip_low, width, height - rows * macro_height)
    plan = CorePlan(machine=machine, rules=rules, width=width, height=height,
                    blocks=_strip(areas, strip, grid),
                    macros=tuple(_macros(levels, macro_width, macro_height, strip)))
    _check(plan)
    return plan


def _areas(machine: Machine, rules: CoreRules) -> list[tuple[str, float, str]]:
    """Name, mm2 and source of the blocks of the strip; the router in the middle."""
    core = machine.core
    buffer, params = core.buffer_words * core.word_bits, core.param_words * core.lanes * PARAM_BITS
    density, kib, noc = rules.memory_density, 8 * 1024, machine.noc
    # Its memories are many and small, and read in the cycle of their address: flip-flops.
    router = rules.router_bit.mid * noc.flit_bits + (
        rules.flip_flop.mid * router_memory_bits(noc))
    return [
        (f"buffer {buffer // kib} KiB", density.area_mm2(buffer), density.source),
        ("control", rules.logic_mm2(rules.control.mid), rules.control.source),
        ("router", rules.logic_mm2(router), rules.router_bit.source),
        (f"SFU, {core.lanes} lanes", rules.logic_mm2(rules.sfu_lane.mid * core.lanes),
         rules.sfu_lane.source),
        (f"parameters {params // kib} KiB", density.area_mm2(params), density.source)]


def _strip(areas: list[tuple[str, float, str]], strip: Rect, grid: int) -> tuple[Block, ...]:
    """Blocks side by side, as wide as their share; rounding goes to the last."""
    total = sum(area for _, area, _ in areas)
    blocks, at = [], strip.x
    for n, (name, area, source) in enumerate(areas):
        end = strip.right if n == len(areas) - 1 else min(
            strip.right, at + up(strip.width * area / total, grid))
        blocks.append(Block(name, Rect(at, strip.y, end - at, strip.height), source))
        at = end
    return tuple(blocks)


def _macros(levels: int, width: int, height: int, strip: Rect) -> Iterator[Rect]:
    """Macros by leaf: bits of the leaf's number are columns and rows in turn, as in an H."""
    for leaf in range(1 << levels):
        column = sum((leaf >> 2 * n & 1) << n for n in range((levels + 1) // 2))
        row = sum((leaf >> 2 * n + 1 & 1) << n for n in range(levels // 2))
        low = row * height
        yield Rect(column * width, low if low < strip.y else low + strip.height, width, height)


def _check(plan: CorePlan) -> None:
    rules, macro = plan.rules, plan.macros[0]
    density = plan.macro_density_mb_per_mm2
    high, low = rules.macro_density_max.mid, rules.macro_density_min.mid
    if density > high:
        raise FloorplanError(f"macros come to {density:.1f} Mb/mm2 ({macro.mm2:.4f} mm2 each), "
                             f"but core.macro_density_max is {high:g}: enlarge die.pitch_x or "
                             "die.pitch_y, or lower the areas under [core]")
    if density < low:
        raise FloorplanError(f"macros come to {density:.2f} Mb/mm2, but core.macro_density_min is "
                             f"{low:g}: rules were made for another machine than "
                             f"{plan.machine.name!r}: give die.pitch_x and die.pitch_y that fit")
    aspect = max(macro.width, macro.height) / min(macro.width, macro.height)
    if aspect > rules.macro_aspect_max.mid:
        raise FloorplanError(f"macros come to {macro.width / 1e3:g} x {macro.height / 1e3:g} um, "
                             f"longer than core.macro_aspect_max ({rules.macro_aspect_max.mid:g}"
                             ") allows: bring the core closer to a square")
    if not 0 < rules.pin_width.nm < rules.pin_pitch.nm:
        raise FloorplanError(f"core.pin_width must be above 0 and below core.pin_pitch "
                             f"({rules.pin_pitch.um:g} um), not {rules.pin_width.um:g} um")
    if not 0 < rules.pin_depth.nm <= min(plan.width, plan.height) // 2:
        raise FloorplanError(f"core.pin_depth must be above 0 and at most half a core, "
                             f"not {rules.pin_depth.um:g} um")
    for side, along in (("n", plan.width), ("e", plan.height)):
        pins = len(side_pins(plan.machine.noc, side))
        if pins * rules.pin_pitch.nm > along:
            raise FloorplanError(f"{pins} pins of a link at core.pin_pitch {rules.pin_pitch.um:g} "
                                 f"um take {pins * rules.pin_pitch.um:g} um, but a side of the "
                                 f"core has {along / 1e3:g} um: lower pin_pitch or noc.flit_bits")
