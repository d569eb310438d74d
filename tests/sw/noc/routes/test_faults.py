import json

import pytest

from ouroboros.hw.params.machine import MeshParams
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.routes.faults import Faults, random_faults, read_faults

MESH = MeshParams(width=4, height=3, die_width=4, die_height=3)


def test_random():
    faults = random_faults(MESH, 2, 3, seed=5)
    assert (len(faults.routers), len(faults.links)) == (2, 3)
    assert not {end for link in faults.links for end in link} & faults.routers
    assert faults == random_faults(MESH, 2, 3, seed=5) != random_faults(MESH, 2, 3, seed=6)


def test_read(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text(json.dumps({"routers": [[2, 3]], "links": [[[1, 1], [2, 1]]]}))
    assert read_faults(path, MESH) == Faults(
        mesh=MESH, routers=frozenset({(2, 3)}), links=frozenset({((1, 1), (2, 1))}))
    path.write_text(json.dumps({"defects": [0, 5], "W": 4}))
    assert read_faults(path, MESH).routers == {(1, 1), (2, 2)}
    path.write_text(json.dumps({"width": 4, "height": 3, "dead": [11]}))
    assert read_faults(path, MESH).routers == {(4, 3)}


@pytest.mark.parametrize("text, message", [
    ("{", ("faults.json: not JSON (Expecting property name enclosed in double quotes: line 1 "
          "column 2 (char 1))")),
    ("[]", "faults.json: must be an object with routers, links, dead or defects"),
    ('{"routers": 3}', "faults.json: routers must be a list, not 3"),
    ('{"routers": [[1]]}', "faults.json: routers must have positions [x, y], not [1]"),
    ('{"routers": [[5, 1]]}', ("faults.json: dead router must be a core of the 4 x 3 mesh, "
                              "not (5, 1)")),
    ('{"defects": [12]}', "faults.json: defects must be core ids 0 to 11, not 12"),
    ('{"dead": [], "width": 5}', "faults.json: width must be 4, not 5: made for another machine"),
    ('{"links": [[1, 1]]}', "faults.json: links must have positions [x, y], not 1"),
    ('{"links": [[[1, 1]]]}', "faults.json: links must be pairs of [x, y], not [[1, 1]]"),
    ('{"links": [[[1, 1], [2, 2]]]}', ("faults.json: dead link must join two neighbours in the "
                                      "4 x 3 mesh, not (1, 1) and (2, 2)")),
])
def test_files_refused(tmp_path, text, message):
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(NocError) as error:
        read_faults(path, MESH)
    assert str(error.value).removeprefix(f"{tmp_path}/") == message


def test_no_file(tmp_path):
    with pytest.raises(NocError, match=r"none\.json: cannot be read: No such file or directory$"):
        read_faults(tmp_path / "none.json", MESH)


@pytest.mark.parametrize("routers, links, message", [
    (13, 0, "dead routers must be 0 to 12, not 13"), (0, 18, "dead links must be 0 to 17, not 18")])
def test_too_many(routers, links, message):
    with pytest.raises(NocError) as error:
        random_faults(MESH, routers, links, 1)
    assert str(error.value) == message
