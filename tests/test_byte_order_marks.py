"""A byte order mark before a text changes nothing, whoever reads it."""

import json
from pathlib import Path

import pytest

from ouroboros.floorplan import link_load
from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.hw.params.values import read_values
from ouroboros.sw.lib.csv_file import read_rows
from ouroboros.sw.models.shape import ShapeError, load_shape
from ouroboros.sw.noc.experiment.trace import read_trace
from ouroboros.sw.noc.experiment.traffic_file import read_volumes
from ouroboros.sw.noc.routes.faults import read_faults
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.wafer.busiest_link import read_busiest_link

MARK = b"\xef\xbb\xbf"
MESH = MeshParams(width=4, height=3, die_width=4, die_height=3)
SHAPE = ('name = "x"\nsource = "y"\ndim = 8\nhidden_dim = 8\nn_layers = 1\nn_heads = 1\n'
         "n_kv_heads = 1\nvocab_size = 5\n")
INSTANCE = {"W": 2, "H": 2, "die_w": 2, "die_h": 2, "lam": 1, "defects": [], "tiles": 2,
            "edges": [[0, 1, 5]]}
SMALL = Path(__file__).parents[1] / "hw" / "configs" / "small.toml"

READERS = {
    "machine.toml": (lambda path: load_machine(str(path)), SMALL.read_text()),
    "shape.toml": (lambda path: load_shape(str(path)), SHAPE),
    "values.toml": (read_values, '[a]\nmid = 1.0\nunit = "m"\nsource = "measured"\n'),
    "instance.json": (lambda path: read_instance(path).edges.tolist(), json.dumps(INSTANCE)),
    "faults.json": (lambda path: read_faults(path, MESH), '{"dead": [3]}'),
    "dead.json": (lambda path: dead_cores(str(path), MESH),
                  '{"width": 4, "height": 3, "dead": [3]}'),
    "trace.csv": (read_trace, "cycle,source,destination,flits\n3,0,1,2\n"),
    "flows.csv": (lambda path: read_volumes(path, MESH).volume_bytes.tolist(),
                  "source,destination,bytes\n0,1,5\n"),
    "reference.csv": (lambda path: [row.cells for row in read_rows(path, ("a",))], "a\n1\n"),
    "link.json": (lambda path: read_busiest_link(path).load_bytes,
                  '{"instance": "a", "digest": "b", "busiest_bytes": 3}'),
    "load.json": (lambda path: link_load.read_load(path, 1, 1)[0].tolist(),
                  '{"unit": "a", "load": [[[1]], [[2]], [[3]], [[4]]]}'),
}


@pytest.mark.parametrize("name", READERS)
def test_text_with_a_mark_reads_the_same(name, tmp_path):
    read, text = READERS[name]
    path = tmp_path / name
    path.write_text(text)
    plain = read(path)
    path.write_bytes(MARK + path.read_bytes())
    assert read(path) == plain


def test_a_mark_of_another_encoding_is_named(tmp_path):
    path = tmp_path / "shape.toml"
    path.write_bytes(SHAPE.encode("utf-16"))
    with pytest.raises(ShapeError) as caught:
        load_shape(str(path))
    assert str(caught.value) == ("shape.toml: not TOML: must be UTF-8, not UTF-16, whose byte "
                                 "order mark it begins with")


def test_reported_shape(case):
    assert load_shape(str(case("shape_bom") / "model.toml")).name == "x"
