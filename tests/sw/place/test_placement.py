"""Placements: files, and the refusal of everything that does not fit."""

import json
import re

import numpy as np
import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.placement import SCHEMA, Placement, check, load, save


@pytest.fixture
def instance(make_instance):
    return make_instance(5)


@pytest.fixture
def placement(instance):
    core = np.array([0, 1, 8, 7, 6])
    return Placement(instance_name=instance.name, instance_digest=instance.digest,
                     grid=instance.grid, core=core, cost=cost(instance, core), lower_bound=3,
                     seed=9)


def test_round_trip(tmp_path, placement, instance):
    for name in ("p.json", "p.json.gz"):
        save(placement, tmp_path / name)
        again = load(tmp_path / name)
        check(again, instance)
        check(again, instance.grid)
        assert again.core.tolist() == placement.core.tolist()
        for field in ("instance_name", "instance_digest", "grid", "cost", "lower_bound", "seed"):
            assert getattr(again, field) == getattr(placement, field)


def edit(path, placement, change):
    save(placement, path)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    return path


@pytest.mark.parametrize("change, message", [
    (lambda p: p.update(schema="other"), f"key 'schema' must be '{SCHEMA}', not \"other\""),
    (lambda p: p.pop("schema"), "key 'schema' is missing"),
    (lambda p: p.pop("core"), "key 'core' is missing"),
    (lambda p: p.update(core="x"), "key 'core' must be a list, not \"x\""),
    (lambda p: p.update(core=[0, 1, None, 7, 6]),
     "core[2] must be a whole number below 2**63, not null"),
    (lambda p: p.update(core=[0, 1, 0, 7, 6]),
     "tiles must have a core each, but tiles 0 and 2 are both on core 0"),
    (lambda p: p.update(core=[0, 1, 36, 7, 6]), "core of tile 2 must be 0 to 35, not 36"),
    (lambda p: p.update(core=[0, 1, -1, 7, 6]), "core of tile 2 must be 0 to 35, not -1"),
    (lambda p: p.update(core=[0, 1, 16, 7, 6]),
     "core of tile 2 must be alive, not the dead core 16"),
    (lambda p: p.update(grid=[]), "key 'grid' must be an object, not []"),
    (lambda p: p["grid"].pop("height"), "key 'height' is missing"),
    (lambda p: p["grid"].update(defects=[16, 3]),
     "defects must be ascending core ids, each once"),
    (lambda p: p.update(cost=1.5), "key 'cost' must be a whole number below 2**63, not 1.5"),
])
def test_corrupt_files(tmp_path, placement, change, message):
    path = edit(tmp_path / "p.json", placement, change)
    with pytest.raises(OuroborosError, match="^" + re.escape(f"{path}: {message}") + "$"):
        load(path)


def test_truncated_file(tmp_path, placement):
    path = tmp_path / "p.json"
    save(placement, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(OuroborosError, match=f"^{path}: not JSON"):
        load(path)


def test_other_machine(placement, make_grid):
    with pytest.raises(OuroborosError, match=r"^p: made for another machine: width is 6, "
                                         r"this machine's 9: place again$"):
        check(placement, make_grid(width=9, defects=(16,)), "p")


def test_other_defect_map(placement, make_grid):
    with pytest.raises(OuroborosError, match=r"^placement: made for another defect map: 2 cores "
                                         r"differ, first core 16: repair or place again$"):
        check(placement, make_grid(defects=(17,)))


def test_other_traffic(placement, make_instance, instance):
    with pytest.raises(OuroborosError, match=(
            r"^placement: made for other traffic \(instance random5\) "
            r"than instance random5: place again$")):
        check(placement, make_instance(5, seed=1))
    with pytest.raises(OuroborosError, match=r"^placement: has 5 tiles, instance random6 6"):
        check(placement, make_instance(6))


def test_a_false_cost(placement, instance):
    lie = Placement(instance_name="x", instance_digest=instance.digest, grid=instance.grid,
                    core=placement.core, cost=placement.cost - 1)
    with pytest.raises(OuroborosError, match=f"key 'cost' must be {placement.cost}, what its cores "
                                         f"cost, not {placement.cost - 1}$"):
        check(lie, instance)
