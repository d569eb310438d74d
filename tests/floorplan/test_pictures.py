"""Pictures: well-formed, nothing off the paper, and showing what is there."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.floorplan.die_picture import core_picture, die_picture
from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.occupancy import ENDS, IDLE, occupancy
from ouroboros.floorplan.picture import HEAT, heat_colour, layer_colour
from ouroboros.floorplan.plan import plan_floor
from ouroboros.floorplan.wafer_picture import load_picture, wafer_picture
from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Grid, Instance
from ouroboros.sw.place.placement import Placement

SVG = "{http://www.w3.org/2000/svg}"
PER_LETTER = {"title": 13.6, "lead": 7.6, "head": 8.8, "small": 6.4, "tiny": 6.0}
"""Mean width of a letter by style, generous; 7.4 without one."""


def parse(text):
    """Root of a picture whose words all lie on the paper."""
    root = ElementTree.fromstring(text)
    width, height = float(root.get("width")), float(root.get("height"))
    for one in root.iter(f"{SVG}text"):
        words = one.text
        assert words
        if one.get("transform"):
            continue
        length = len(words) * PER_LETTER.get(one.get("class"), 7.4)
        left = float(one.get("x")) - {"start": 0, "middle": length / 2, "end": length}[
            one.get("text-anchor")]
        assert left >= 0
        assert left + length <= width, words
        assert 0 < float(one.get("y")) < height
    return root


def words(root):
    return [one.text for one in root.iter(f"{SVG}text")]


def squares(root, **look):
    """Rectangles in the paths of a look."""
    return sum(len(re.findall("M", one.get("d"))) for one in root.iter(f"{SVG}path")
               if all(one.get(key) == value for key, value in look.items()))


@pytest.fixture
def placed(small):
    grid = Grid(width=6, height=6, die_width=3, die_height=2, die_penalty_hops=3, defects=(9,))
    names = (*((layer, kind, 0) for layer in range(3) for kind in ("qkv", "kv", "down")),
             (-1, "embed", 0), (3, "lm", 0))
    instance = Instance(name="three <layers> & ends", grid=grid, tiles=11,
                        edges=np.array([[0, 1, 5]]), tile_names=names)
    core = grid.live[:11]
    return instance, Placement(instance_name=instance.name, instance_digest=instance.digest,
                               grid=grid, core=core, cost=cost(instance, core))


def test_occupancy(placed):
    instance, placement = placed
    found = occupancy(placement, instance)
    assert found.layers == 3
    assert found.layer[:12].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, IDLE, ENDS, ENDS]
    assert np.flatnonzero(found.kv).tolist() == [1, 4, 7]
    plain = occupancy(placement)
    assert not plain.named
    assert (plain.layer == ENDS).sum() == 11


def test_wafer_with_a_placement(small, placed):
    instance, placement = placed
    lost = len(small.keep_out)
    assert lost == 0
    root = parse(wafer_picture(small, (9,), "Lead", occupancy(placement, instance)))
    for layer in range(3):
        assert squares(root, fill=layer_colour(layer, 3, pale=False)) == 2
        assert squares(root, fill=layer_colour(layer, 3, pale=True)) == 1
    assert squares(root, **{"class": "dead"}) == 1
    assert squares(root, **{"class": "die"}) == 6
    shown = words(root)
    assert "weights, by layer: 6" in shown
    assert "KV cache, by layer: 3" in shown
    assert "embedding and LM head: 2" in shown
    assert f"free: {36 - 1 - 11}" in shown
    assert "dead by defects: 1" in shown
    assert any("three <layers> & ends" in one for one in shown)


def test_wafer_without(wafer):
    root = parse(wafer_picture(wafer, (0, 7000), "Lead"))
    assert squares(root, **{"class": "core"}) == 13923 - 40 - 1
    assert squares(root, **{"class": "gone"}) == 40
    assert "dead by defects: 1" in words(root)      # core 0 is lost at the edge anyway


def test_tiles_on_lost_cores_are_pointed_out(small, placed):
    _, placement = placed
    shown = words(parse(wafer_picture(small, (3, 4, 9), "Lead", occupancy(placement))))
    assert "! 2 tiles of the placement lie on dead or lost cores" in shown
    assert "hold a tile: 9" in shown


def test_load(small):
    load = np.zeros((4, 6, 6))
    load[Port.EAST, 2, 1] = 900
    load[Port.WEST, 2, 2] = 100     # the other direction of the same link
    load[Port.NORTH, 3, 0] = 300
    load[Port.WEST, 0, 0] = 5000    # leaves the mesh
    root = parse(load_picture(small, load, "flits/token", "Lead"))
    shown = words(root)
    assert "busiest: 900 flits/token, core (2, 3) to (3, 3) (ring)" in shown
    assert "links without load: 58" in shown
    assert squares(root, stroke=HEAT[0]) == 58
    assert squares(root, stroke=HEAT[-1]) == 1
    assert squares(root, stroke=heat_colour(1 / 3)) == 1


def test_no_load(small):
    shown = words(parse(load_picture(small, np.zeros((4, 6, 6)), "flits/token", "Lead")))
    assert not any("busiest" in one for one in shown)


def test_wrong_loads(small):
    with pytest.raises(FloorplanError, match=r"^link load must be an array of \(4, 6, 6\) "
                                             r"\(ports, rows, columns\), not \(4, 6, 5\)$"):
        load_picture(small, np.zeros((4, 6, 5)), "", "")
    for value in (-1, np.inf, np.nan):
        with pytest.raises(FloorplanError, match="must be finite and at least 0"):
            load_picture(small, np.full((4, 6, 6), value), "", "")


def test_die_and_core(wafer):
    root = parse(die_picture(wafer))
    assert squares(root, **{"class": "core"}) == 221 + 4        # and the corner, enlarged
    root = parse(core_picture(wafer))
    assert squares(root, **{"class": "macro"}) == 32
    assert squares(root, **{"class": "pin"}) == 4 * 534
    shown = " ".join(words(root))
    for block in wafer.core.blocks:
        assert block.name in shown
        assert block.source in shown


def test_sheet_of_one_die(small_machine, small_rules):
    for picture in (die_picture, core_picture):
        parse(picture(_one_die(small_machine, small_rules)))


def _one_die(machine, rules):
    mesh = MeshParams(width=3, height=2, die_width=3, die_height=2)
    return plan_floor(replace(machine, name="one", mesh=mesh), rules)


def test_colours():
    weights = [layer_colour(n, 40, pale=False) for n in range(40)]
    pale = [layer_colour(n, 40, pale=True) for n in range(40)]
    assert len({*weights, *pale}) == 80
    assert heat_colour(0) == HEAT[0]
    assert [heat_colour(share) for share in (0.001, 1.0)] == [HEAT[1], HEAT[-1]]
