"""Pictures of the mesh."""

import re

from ouroboros.sw.report import mesh_map


def test_roles_name_every_core(program):
    picture = mesh_map.role_map(program)
    assert "core (1, 1): embed, lm.0; 3 of 4 macros" in picture
    assert "core (2, 1): l0.qkv; 4 of 4 macros" in picture
    assert picture.count(": unused") == 4 * 3 - 2
    assert picture.count('class="macro"') == 7
    assert picture.count('class="macro-free"') == 1
    assert "the host&#x27;s port" in picture
    assert "KV cache" not in picture


def test_way_runs_in_rows_and_gaps(program):
    picture = mesh_map.role_map(program)
    [way] = re.findall(r'<path class="way" d="([^"]*)"', picture)
    assert re.fullmatch(r"M\d+ \d+([HV]\d+)+", way)


def test_heat_is_relative_to_the_largest(program):
    picture = mesh_map.heat_map(program, {(1, 1): 2000, (2, 1): 500}, "flit hops")
    assert picture.count('style="--share:100%"') == 1
    assert picture.count('style="--share:25%"') == 1
    assert "core (1, 1): 2,000 flit hops" in picture
    assert "--share:0%" in mesh_map.heat_map(program, {(1, 1): 0}, "flit hops")


def test_way_uses_a_gap_only_where_cores_are_no_neighbours():
    # Cells are 122 x 66, gaps 18, the first cell's corner at (96, 36).
    assert mesh_map._way([(1, 1), (2, 1), (2, 2), (1, 3), (1, 1)]) == (
        "M157 69V69H297V153H297"   # straight to neighbours
        "H227V237H157"             # down the gap between the columns
        "H87V69H157")              # down the gap left of the column
