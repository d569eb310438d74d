import re
from dataclasses import replace

import pytest

from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.wafer import define_machine, tile_path, top_name
from ouroboros.hw.params.machine import load_machine

TINY = load_machine("tiny")


def test_tables_must_name_all_cores_of_a_die():
    machine = replace(TINY, noc=replace(TINY.noc, class2_vcs=2), mesh=replace(
        TINY.mesh, width=40, height=20, die_width=20, die_height=20))
    with pytest.raises(ValueError, match=re.escape(
            "mesh must have at most 64 dies of 256 cores, which tables of class 2 can name, not "
            "2 of 400: set noc.class2_vcs to 0 or change die_width and die_height")):
        define_machine(Library(), machine)


def test_where_a_tile_is():
    wafer = load_machine("wafer")
    assert (top_name(TINY), tile_path(TINY, (3, 2))) == ("die", "tile_3_2")
    assert (top_name(wafer), tile_path(wafer, (14, 35))) == ("wafer", "die_2_3.tile_1_1")


def test_a_die_is_written_once_and_placed_by_the_floorplan():
    machine = replace(TINY, mesh=replace(TINY.mesh, width=8, height=6))
    library = Library()
    library.add_source("tile", "module tile();\nendmodule\n")
    define_machine(library, machine)
    sources = library.sources()
    assert list(sources)[-1] == "wafer"
    assert len(re.findall(r"^  tile tile_", sources["die"], re.MULTILINE)) == 12
    assert re.findall(r"^  die (\S+) .*?first_x\((\S+)\),.*?first_y\((\S+)\)", sources["wafer"],
                      re.MULTILINE | re.DOTALL) == [
        ("die_1_1", "7'd1", "7'd1"), ("die_2_1", "7'd5", "7'd1"),
        ("die_1_2", "7'd1", "7'd4"), ("die_2_2", "7'd5", "7'd4")]
    assert len(re.findall(r"^  die_link link_", sources["wafer"], re.MULTILINE)) == 2 * (8 + 6)
