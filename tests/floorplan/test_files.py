"""GDSII, LEF and DEF read back by KLayout, which had no part in writing them."""

import re

import klayout.db as kdb
import pytest

from ouroboros.floorplan.write_def import write_die_def, write_wafer_def
from ouroboros.floorplan.write_gds import LAYERS, write_gds
from ouroboros.floorplan.write_lef import write_lef


def places(layout, parent, child):
    """(x, y) of each instance of one cell in another, arrays taken apart, sorted."""
    found = []
    for instance in layout.cell(parent).each_inst():
        if instance.cell.name == child:
            found += [((trans := instance.trans).disp + instance.a * i + instance.b * j)
                      for i in range(max(instance.na, 1)) for j in range(max(instance.nb, 1))]
            assert trans.rot == 0
    return sorted((at.x, at.y) for at in found)


def boxes(layout, cell, name):
    shapes = layout.cell(cell).shapes(layout.find_layer(*LAYERS[name]))
    return sorted((s.bbox().left, s.bbox().bottom, s.bbox().width(), s.bbox().height())
                  for s in shapes.each())


@pytest.fixture(scope="module")
def gds(wafer, tmp_path_factory):
    path = tmp_path_factory.mktemp("gds") / "wafer.gds"
    write_gds(wafer, (5, 700), path)
    layout = kdb.Layout()
    layout.read(str(path))
    return path, layout


def test_gds_of_the_wafer(gds, wafer):
    path, layout = gds
    assert path.stat().st_size <= 2e6
    assert layout.dbu == 0.001
    assert [cell.name for cell in layout.top_cells()] == ["WAFER"]
    assert {cell.name for cell in layout.each_cell()} == {
        "WAFER", "DIE", "CORE", "MACRO", "LINK_N", "LINK_E", "LINK_S", "LINK_W"}
    dies, cores = places(layout, "WAFER", "DIE"), places(layout, "DIE", "CORE")
    assert (len(dies), len(cores)) == (63, 221)
    assert dies == sorted((wafer.die_on_wafer(x, y).x, wafer.die_on_wafer(x, y).y)
                          for x in range(9) for y in range(7))
    assert cores == sorted((wafer.core_in_die(x, y).x, wafer.core_in_die(x, y).y)
                           for x in range(13) for y in range(17))
    for side, dx, dy in (("W", -100_000, 0), ("S", 0, -100_000), ("E", 100_000, 0),
                         ("N", 0, 100_005)):
        # Through the corridor, to the die's border; 5 nm of rounding lie in the north.
        at_border = [wafer.core_in_die(*place) for place in {
            "W": [(0, n) for n in range(17)], "E": [(12, n) for n in range(17)],
            "S": [(n, 16) for n in range(13)], "N": [(n, 0) for n in range(13)]}[side]]
        assert places(layout, "DIE", f"LINK_{side}") == sorted((r.x + dx, r.y + dy)
                                                               for r in at_border)
    assert layout.cell("DIE").bbox() == kdb.Box(0, 0, 23_808_000, 30_634_000)
    assert places(layout, "CORE", "MACRO") == sorted((m.x, m.y) for m in wafer.core.macros)
    # One array each, not 63 or 221 references.
    assert sum(1 for _ in layout.cell("WAFER").each_inst()) == 1
    # Cores in the tree of instances, counted by KLayout.
    iterator = kdb.RecursiveShapeIterator(layout, layout.cell("WAFER"),
                                          layout.find_layer(*LAYERS["core"]))
    assert sum(1 for _ in iterator.each()) == 13_923


def test_gds_marks_dead_cores(gds, wafer):
    _, layout = gds
    for name, cores in (("dead", (5, 700)), ("keep-out", wafer.keep_out)):
        assert boxes(layout, "WAFER", name) == sorted(
            (r.x, r.y, r.width, r.height) for r in map(wafer.core_on_wafer, cores))
    [circle] = boxes(layout, "WAFER", "wafer")
    assert circle == (-150_000_000, -150_000_000, 300_000_000, 300_000_000)
    assert boxes(layout, "CORE", "core") == [(0, 0, wafer.core.width, wafer.core.height)]
    assert len(boxes(layout, "CORE", "tree")) == 62


def test_equal_plans_are_equal_files(gds, wafer, tmp_path):
    write_gds(wafer, (5, 700), tmp_path / "again.gds")
    assert (tmp_path / "again.gds").read_bytes() == gds[0].read_bytes()


def read_def(path, *lefs):
    options = kdb.LoadLayoutOptions()
    config = options.lefdef_config
    config.lef_files = [str(lef) for lef in lefs]
    config.read_lef_with_def = False
    config.dbu = 0.001
    options.lefdef_config = config
    layout = kdb.Layout()
    layout.read(str(path), options)
    return layout


@pytest.fixture(scope="module")
def defs(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("def")
    lefs = write_lef(small, folder)
    write_die_def(small, folder / "die.def")
    write_wafer_def(small, folder / "wafer.def", nets=True)
    return folder, lefs


def pins(layout, cell, purpose="PIN"):
    """Boxes of the pins of a cell, by layer name."""
    return {layer: sorted((s.bbox().left, s.bbox().bottom, s.bbox().width(), s.bbox().height())
                          for s in layout.cell(cell).shapes(layout.layer(info)).each())
            for info in layout.layer_infos() if info.name.endswith(purpose)
            for layer in [info.name.split(".")[0]]}


def test_die(defs, small):
    folder, (tech, core, _) = defs
    layout = read_def(folder / "die.def", tech, core)
    assert places(layout, "die", "CORE") == sorted(
        (small.core_in_die(x, y).x, small.core_in_die(x, y).y) for x in range(3) for y in range(2))
    assert layout.cell("die").bbox() == kdb.Box(0, 0, small.die.width, small.die.height)
    found = pins(layout, "CORE")
    for layer, sides in (("LINK_H", "ew"), ("LINK_V", "ns")):
        assert found[layer] == sorted((r.x, r.y, r.width, r.height)
                                      for side in sides for _, r in small.core.pins(side))
    # Die-link pins: one link for each core at a border, at the die's border.
    count = len(list(small.core.pins("e")))
    found = pins(layout, "die")
    assert len(found["LINK_H"]) == 2 * 2 * count
    assert len(found["LINK_V"]) == 2 * 3 * count
    assert {x for x, _, _, _ in found["LINK_H"]} == {0, small.die.width - 2000}
    assert {y for _, y, _, _ in found["LINK_V"]} == {0, small.die.height - 2000}


def test_pins_abut_when_cores_are_placed(defs):
    """Flattened, the facing pins of two cores merge into one shape of twice the depth."""
    folder, (tech, core, _) = defs
    layout = read_def(folder / "die.def", tech, core)
    top = layout.cell("die")
    [info] = [one for one in layout.layer_infos() if one.name == "LINK_H.PIN"]
    shapes = kdb.Region(top.begin_shapes_rec(layout.layer(info))).merged()
    wide = [polygon for polygon in shapes.each() if polygon.bbox().width() == 4000]
    count = len(list(kdb.Region(layout.cell("CORE").begin_shapes_rec(layout.layer(info))).each()))
    # 2 rows, 2 inner borders, half of a core's east and west pins each.
    assert len(wide) == 2 * 2 * count // 2


def test_wafer(defs, small):
    folder, (tech, _, die) = defs
    layout = read_def(folder / "wafer.def", tech, die)
    assert places(layout, "wafer", "DIE") == sorted(
        (small.die_on_wafer(x, y).x, small.die_on_wafer(x, y).y)
        for x in range(2) for y in range(3))
    assert layout.cell("DIE").bbox() == kdb.Box(0, 0, small.die.width, small.die.height)
    # Pins face each other across the scribe: equal places along it at both borders.
    found = pins(layout, "DIE")["LINK_H"]
    west = [box[1] for box in found if box[0] == 0]
    assert west == [box[1] for box in found if box[0] != 0]


NET = re.compile(r"^- (\S+) \( (\S+) (\S+) \) \( (\S+) (\S+) \) ;$")


def nets_of(path):
    lines = path.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("NETS"))
    count = int(lines[start].split()[1])
    found = [NET.match(line).groups() for line in lines[start + 1:start + 1 + count]]
    assert lines[start + 1 + count:] == ["END NETS", "END DESIGN"]
    return found


def test_nets_of_the_die_join_every_pin_once(defs, small):
    folder, _ = defs
    nets = nets_of(folder / "die.def")
    assert len({net[0] for net in nets}) == len(nets)
    ends = [(net[n], net[n + 1]) for net in nets for n in (1, 3)]
    assert len(set(ends)) == len(ends)
    cores = {f"core_x{x}_y{y}" for x in (1, 2, 3) for y in (1, 2)}
    names = [pin.name for pin, _ in small.core.all_pins]
    border = {line.split()[1] for line in (folder / "die.def").read_text().splitlines()
              if line.startswith("- ") and " DIRECTION " in line}
    assert len(border) == 10 * len(names) // 4
    assert set(ends) == ({(core, name) for core in cores for name in names}
                         | {("PIN", name) for name in border})
    # North is row 1; a link to the east meets one from the west.
    joined = {(a, b): (c, d) for _, a, b, c, d in nets}
    assert joined["core_x1_y1", "e_o_data[3]"] == ("core_x2_y1", "w_i_data[3]")
    assert joined["core_x2_y1", "s_i_head"] == ("core_x2_y2", "n_o_head")
    assert joined["PIN", "n2_o_valid"] == ("core_x2_y1", "n_o_valid")
    assert joined["PIN", "e1_o_valid"] == ("core_x3_y1", "e_o_valid")


def test_nets_of_the_wafer(defs, small):
    nets = nets_of(defs[0] / "wafer.def")
    count = len(list(small.core.pins("e")))
    # 3 rows of dies with one inner border of 2 cores, 2 columns with two of 3.
    assert len(nets) == len({net[0] for net in nets}) == (3 * 1 * 2 + 2 * 2 * 3) * count
    joined = {(a, b): (c, d) for _, a, b, c, d in nets}
    assert joined["die_x1_y2", "e2_o_tail"] == ("die_x2_y2", "w2_i_tail")
    assert joined["die_x2_y1", "s3_i_vc[0]"] == ("die_x2_y2", "n3_o_vc[0]")


def test_lef_says_who_drives(defs):
    text = defs[1][1].read_text()
    assert "PIN e_o_data[0]\n    DIRECTION OUTPUT ; USE SIGNAL ; SHAPE ABUTMENT" in text
    assert "PIN e_o_credit[0]\n    DIRECTION INPUT" in text
    assert text.startswith("# ouroboros floorplan\nVERSION 5.8 ;")
