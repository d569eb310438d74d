"""Sizes by hand, what the wafer's edge takes, and rules that nothing can obey."""

import math
from dataclasses import replace

import pytest

from ouroboros.floorplan import core_plan
from ouroboros.floorplan.check import check
from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.geometry import Rect
from ouroboros.floorplan.links import side_pins
from ouroboros.floorplan.plan import plan_floor
from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.sw.mapper.htree.tree import HTree
from ouroboros.sw.wafer.assumptions import assumptions


def test_sizes_of_the_wafer_by_hand(wafer):
    # Pitch - scribe - two corridors, over cores, rounded down to 5 nm.
    assert wafer.core.width == (23_888_000 - 80_000 - 200_000) // 13 == 1_816_000
    assert wafer.core.height == (30_714_000 - 80_000 - 200_000) // 17 // 5 * 5 == 1_790_235
    assert wafer.die == Rect(0, 0, 23_808_000, 30_634_000)
    assert wafer.dies == (9, 7)
    assert (wafer.array.width, wafer.array.height) == (9 * 23_888_000 - 80_000,
                                                       7 * 30_714_000 - 80_000)
    # The two published figures: 23.9 x 30.7 mm and 3.32 mm2 per core.
    assert [round(pitch / 1e6, 1) for pitch in wafer.die_pitch] == [23.9, 30.7]
    assert round(wafer.core_share_mm2, 2) == assumptions({})["core_area_mm2"].mid == 3.32


def test_areas_of_the_blocks_by_hand(wafer):
    areas = {block.name: block.rect.mm2 for block in wafer.core.blocks}
    logic = 1 / (91.2e6 * 0.6)
    assert areas == pytest.approx({
        "buffer 128 KiB": 128 * 8192 / 14.8e6, "parameters 32 KiB": 32 * 8192 / 14.8e6,
        # 1218 for each of 256 bits, 24 for each bit of its memories.
        "router": (256 * 1218 + 24 * 69_600) * logic,
        "SFU, 16 lanes": 16 * 137_000 * logic, "control": 1_300_000 * logic}, rel=1e-3)
    whole = sum(areas.values()) + sum(macro.mm2 for macro in wafer.core.macros)
    assert whole == pytest.approx(wafer.core.outline.mm2, rel=1e-4)


def test_corners_leave_the_wafer(wafer):
    # Half the diagonal of a 215 mm square is 152.03 mm; the array is a little smaller.
    assert math.hypot(107.5, 107.5) > 150
    assert wafer.corner_overhang_mm == pytest.approx(
        math.hypot(214.912 / 2, 214.918 / 2) - 150, abs=1e-9)
    lost = set(wafer.keep_out)
    for core in range(wafer.machine.mesh.cores):
        rect = wafer.core_on_wafer(core)
        corners = [(x, y) for x in (rect.x, rect.right) for y in (rect.y, rect.top)]
        assert (core in lost) == any(math.hypot(x, y) > 147e6 for x, y in corners)
    assert {0, 116, 118 * 117, 119 * 117 - 1} < lost
    assert len(lost) == 40
    # Alike at all four corners.
    assert {116 - one % 117 + 117 * (one // 117) for one in lost} == lost
    assert {one % 117 + 117 * (118 - one // 117) for one in lost} == lost
    assert len(wafer.cores_outside(150_000_000)) == 12


def test_cores_lie_as_the_mesh_numbers_them(small):
    # y of the mesh grows to the south, y of the layout to the north.
    first, east, south = (small.core_on_wafer(core) for core in (0, 1, 6))
    assert (east.x, east.y) == (first.right, first.y)
    assert (south.x, south.top) == (first.x, first.y)
    # Over a die border: two corridors and a scribe.
    third, fourth = small.core_on_wafer(2), small.core_on_wafer(3)
    assert fourth.x - third.right == 280_000
    assert small.core_on_wafer(6).y - small.core_on_wafer(12).top == 280_000
    assert small.core_on_wafer(35).right == small.array.right - 100_000


def test_htree_of_the_core_has_the_lengths_that_assignments_are_costed_with(wafer):
    tree = wafer.core.tree
    assert len(tree) == 32 + 16 + 8 + 4 + 2
    leaf = tree[0].length
    for level, length in enumerate(HTree().lengths):
        found = {round(wire.length / leaf, 2) for wire in tree if wire.level == level}
        assert len(found) == 1
        assert found.pop() == pytest.approx(length, rel=0.1)
    for wire in tree:   # an H-tree: every wire runs along one axis
        assert (wire.start[0] == wire.end[0]) != (wire.start[1] == wire.end[1])


def test_every_rule_is_checked_and_passes(wafer, small):
    for plan in (wafer, small):
        assert all(one.passed for one in check(plan)), [one for one in check(plan)
                                                        if not one.passed]
    assert {one.name for one in check(wafer)} == {one.name for one in check(small)}


def test_check_sees_what_is_wrong(small, monkeypatch):
    core = small.core
    shifted = (core.macros[0].moved(3, 0), *core.macros[1:])
    broken = replace(small, core=replace(core, macros=shifted))
    failed = {one.name for one in check(broken) if not one.passed}
    assert failed == {"overlapping parts of a core", "coordinates off the grid"}
    outside = (core.macros[0].moved(-5, 0), *core.macros[1:])
    failed = {one.name for one in check(replace(small, core=replace(core, macros=outside)))
              if not one.passed}
    assert failed == {"parts outside their core"}
    wide = replace(small, core=replace(core, width=core.width + 5))
    assert "cores in a corridor" in {one.name for one in check(wide) if not one.passed}


BROKEN_PINS = [
    lambda pin: replace(pin, output=True),
    lambda pin: replace(pin, name=pin.name.replace("valid", "head")) if pin.name[0] == "e" else pin,
    lambda pin: replace(pin, name=pin.name.replace("_o_", "_i_")),
    lambda pin: replace(pin, slot=pin.slot + (pin.name[0] == "e")),
]


@pytest.mark.parametrize("change", BROKEN_PINS)
def test_check_sees_pins_that_do_not_match(change, small, monkeypatch):
    monkeypatch.setattr(core_plan, "side_pins",
                        lambda noc, side: tuple(map(change, side_pins(noc, side))))
    assert [one.name for one in check(small) if not one.passed] == ["link pins that meet no pin"]


@pytest.mark.parametrize(("macros", "grid"), [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (8, (4, 2)),
                                              (16, (4, 4)), (32, (8, 4))])
def test_any_number_of_macros(macros, grid, small_machine, small_rules):
    machine = replace(small_machine, core=replace(small_machine.core, macros=macros))
    rules = replace(small_rules, core=replace(
        small_rules.core, macro_density_min=replace(small_rules.core.macro_density_min,
                                                    mid=0.1)))
    plan = plan_floor(machine, rules)
    assert all(one.passed for one in check(plan))
    assert len(set(plan.core.macros)) == macros
    assert (len({one.x for one in plan.core.macros}),
            len({one.y for one in plan.core.macros})) == grid


def changed(rules, path, **value):
    """Rules with one value replaced; path ``die.scribe``."""
    part, name = path.split(".")
    table = getattr(rules, part)
    return replace(rules, **{part: replace(table, **{
        name: replace(getattr(table, name), **value)})})


REFUSED = [
    ("die.pitch_x", {"mid": 26001}, ("die.pitch_x must be at most the exposure field "
                                    "(die.field_x, 26000 um), not 26001 um")),
    ("die.pitch_x", {"mid": 24000}, ("9 dies at die.pitch_x take 215.920 mm, but wafer.square is "
                                    "215 mm: lower the pitch, or take fewer dies")),
    ("die.pitch_y", {"mid": 30714.001}, ("die.pitch_y must be a multiple of die.grid (0.005 um), "
                                        "not 30714 um")),
    ("die.scribe", {"mid": 23800}, ("die.pitch_x (23888 um) must leave room for 13 cores beside "
                                   "scribe and two corridors (24000 um)")),
    ("die.grid", {"mid": 0}, "die.grid must be at least 0.001 um, not 0"),
    ("wafer.diameter", {"mid": 200000}, ("9 dies take 214.912 mm, more than the usable 194 mm of "
                                        "the wafer (wafer.diameter, wafer.edge_exclusion)")),
    ("wafer.edge_exclusion", {"mid": 150000}, ("wafer.edge_exclusion must be below the wafer's "
                                              "radius (150 mm), not 150 mm")),
    ("core.control", {"mid": 220_000_000}, (
        "core of 3.251 mm2 must be larger than its blocks without macros (4.185 mm2): enlarge "
        "die.pitch_x or die.pitch_y, or lower the areas under [core]")),
    ("core.control", {"mid": 110_000_000}, (
        "macros come to 31.2 Mb/mm2 (0.0336 mm2 each), but core.macro_density_max is 29.2: enlarge "
        "die.pitch_x or die.pitch_y, or lower the areas under [core]")),
    ("core.macro_density_min", {"mid": 20.0}, (
        "macros come to 10.96 Mb/mm2, but core.macro_density_min is 20: rules were made for "
        "another machine than 'wafer': give die.pitch_x and die.pitch_y that fit")),
    ("core.macro_aspect_max", {"mid": 1.5}, (
        "macros come to 227 x 421.59 um, longer than core.macro_aspect_max (1.5) allows: bring "
        "the core closer to a square")),
    ("core.pin_pitch", {"mid": 4.0}, ("534 pins of a link at core.pin_pitch 4 um take 2136 um, but "
                                     "a side of the core has 1816 um: lower pin_pitch or "
                                     "noc.flit_bits")),
    ("core.pin_width", {"mid": 0.64}, ("core.pin_width must be above 0 and below core.pin_pitch "
                                      "(0.64 um), not 0.64 um")),
    ("core.pin_depth", {"mid": 1000.0}, ("core.pin_depth must be above 0 and at most half a core, "
                                        "not 1000 um")),
]


@pytest.mark.parametrize(("path", "value", "message"), REFUSED)
def test_impossible_rules(path, value, message, rules):
    with pytest.raises(FloorplanError) as caught:
        plan_floor(load_machine("wafer"), changed(rules, path, **value))
    assert str(caught.value) == message


def test_a_die_outside_the_wafer(small_machine, small_rules):
    # Four dies of one core, 4.1 mm in all, on a wafer of 4.2 mm: every die has a corner outside.
    machine = replace(small_machine, mesh=MeshParams(width=2, height=2, die_width=1, die_height=1))
    rules = small_rules
    for path, um in (("die.pitch_x", 2096), ("die.pitch_y", 2070), ("wafer.diameter", 4200),
                     ("wafer.edge_exclusion", 0)):
        rules = changed(rules, path, mid=um)
    with pytest.raises(FloorplanError, match=r"^die \(1, 1\) must have a core inside the usable "
                                             r"4.2 mm of the wafer: lower wafer.edge_exclusion, "
                                             r"or take fewer dies$"):
        plan_floor(machine, rules)


def test_rules_of_another_machine(rules):
    with pytest.raises(FloorplanError, match=r"^macros come to 0.03 Mb/mm2, but .* another machine "
                                             "than 'small'"):
        plan_floor(load_machine("small"), rules)
