"""Defect maps of a plan and their file."""

import json

import numpy as np
import pytest

from ouroboros.floorplan.defects import DefectMap, make_map, nominal_process, read_map, write_map
from ouroboros.floorplan.errors import FloorplanError


def test_nominal(wafer):
    process = nominal_process(wafer)
    assert process.expected_dead(13923) == pytest.approx(41.5, abs=0.1)
    numbers = [len(make_map(wafer, "nominal", seed).random) for seed in range(60)]
    assert np.mean(numbers) == pytest.approx(41.5, abs=5 * 6.5 / 60 ** 0.5)
    found = make_map(wafer, "nominal", 3)
    assert found.edge == wafer.keep_out
    assert found == make_map(wafer, "nominal", 3)
    assert set(found.dead) == set(found.random) | set(found.edge)


def test_stress_and_none(wafer, small):
    stress = make_map(wafer, "stress", 4)
    assert len(stress.random) == 209
    assert len(stress.dead) == 209 + 40
    assert make_map(wafer, "none", 4).random == ()
    assert len(make_map(small, "stress", 4).random) == round(209 * 36 / 13923) == 1


def test_file(wafer, tmp_path):
    found = make_map(wafer, "stress", 4)
    write_map(found, wafer, tmp_path / "map.json")
    assert read_map(tmp_path / "map.json", wafer) == found
    assert json.loads((tmp_path / "map.json").read_text())["dead"] == list(found.dead)


BAD = [
    ({"schema": "other"}, "key 'schema' must be 'ouroboros-defects-1'"),
    ({"width": 7}, "key 'width' must be 6 (machine '2 x 3 dies'), not 7: made for another machine"),
    ({"random": [36]}, "key 'random' must be a list of core ids from 0 to 35"),
    ({"edge": "none"}, "key 'edge' must be a list of core ids from 0 to 35"),
    ({"random": [True]}, "key 'random' must be a list of core ids from 0 to 35"),
    ({"seed": None}, "keys 'seed' and 'kind' must be a whole number and a text"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_wrong_files(change, message, small, tmp_path):
    path = tmp_path / "map.json"
    write_map(DefectMap(kind="x", seed=1, random=(3,), edge=()), small, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FloorplanError) as caught:
        read_map(path, small)
    assert str(caught.value) == f"{path}: {message}"


def test_no_json(small, tmp_path):
    (tmp_path / "map.json").write_bytes(b"\xff{")
    with pytest.raises(FloorplanError, match="not JSON \\("):
        read_map(tmp_path / "map.json", small)


def test_unknown_kind(small):
    with pytest.raises(FloorplanError, match=r"^defects must be one of .* not 'bad'$"):
        make_map(small, "bad", 1)
