"""A wafer's life: cumulative figures add up, and it ends when the spares do."""

import numpy as np
import pytest

from ouroboros.sw.place.lifetime import live_through
from ouroboros.sw.place.place import Options, place


@pytest.fixture
def placed(make_instance):
    instance = make_instance(24)
    return instance, place(instance, Options(moves=5000)).placement


def test_figures_add_up(placed):
    instance, placement = placed
    life = live_through(instance, placement, 6, seed=1)
    found = life.as_dict()
    assert (found["faults"], found["refusal"]) == (6, None)
    assert [row["faults"] for row in found["after"]] == [1, 6]
    assert found["after"][-1]["cost_change"] == pytest.approx(found["cost_change"])
    assert life.placement.cost - placement.cost == sum(one.cost_change for one in life.repairs)
    assert life.spares == 36 - 1 - 24 - 6
    again = live_through(instance, placement, 6, seed=1)
    assert again.placement.core.tolist() == life.placement.core.tolist()
    other = live_through(instance, placement, 6, seed=2)
    assert [one.failed for one in other.repairs] != [one.failed for one in life.repairs]


def test_the_end_is_said(placed):
    instance, placement = placed
    life = live_through(instance, placement, 100)
    assert len(life.repairs) == 11 and life.spares == 0
    assert life.refusal.startswith("core ") and "no spare is left" in life.refusal
    assert np.isin(life.placement.core, life.placement.grid.live).all()


def test_no_fault_survived(make_instance):
    instance = make_instance(35)
    placement = place(instance, Options(moves=1000)).placement
    found = live_through(instance, placement, 3).as_dict()
    assert found["faults"] == 0 and found["after"] == [] and found["refusal"]
