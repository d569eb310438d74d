"""Relief of the busiest link: it falls, within the stated share of the cost, and stays legal."""

import numpy as np
import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Instance, Net
from ouroboros.sw.place.links import link_loads
from ouroboros.sw.place.relieve import relieve


@pytest.fixture
def crowded(make_grid):
    """Pairs that talk across one row, whose links carry all of it."""
    grid = make_grid(width=8, height=6, die_width=8, die_height=6, defects=(40,))
    edges = np.array([[n, n + 4, 10] for n in range(4)])
    instance = Instance(name="row", grid=grid, tiles=8, edges=edges)
    return instance, np.arange(8)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_busiest_link_falls(crowded, share):
    instance, core = crowded
    before = link_loads(instance, core).busiest_bytes
    found = relieve(instance, core, share=share)
    assert found.busiest_bytes == link_loads(instance, found.core).busiest_bytes < before
    assert found.cost == cost(instance, found.core) <= (1 + share) * cost(instance, core)
    assert len(set(found.core)) == 8 and set(found.core) <= set(instance.grid.live)
    again = relieve(instance, core, share=share)
    assert again.core.tolist() == found.core.tolist()


def test_it_stops_at_the_target(crowded):
    instance, core = crowded
    before = link_loads(instance, core).busiest_bytes
    assert relieve(instance, core, share=1.0, target_bytes=before).core.tolist() == core.tolist()
    found = relieve(instance, core, share=1.0, target_bytes=before / 2)
    assert found.busiest_bytes <= before / 2


def test_multicasts_and_fixed_tiles(make_grid):
    rng = np.random.default_rng(3)
    nets = tuple(Net(source=int(tiles[0]), sinks=tuple(tiles[1:].tolist()), volume_bytes=64)
                 for tiles in (rng.permutation(20)[:6] for _ in range(25)))
    edges = np.array([[net.source, sink, 64] for net in nets for sink in net.sinks])
    instance = Instance(name="nets", grid=make_grid(defects=(3,)), tiles=20, edges=edges, nets=nets)
    core = instance.grid.live[:20]
    movable = np.arange(20) >= 5
    found = relieve(instance, core, share=0.2, movable=movable)
    assert (found.core[:5] == core[:5]).all()
    assert len(set(found.core)) == 20 and set(found.core) <= set(instance.grid.live)
    assert found.busiest_bytes == link_loads(instance, found.core).busiest_bytes
    assert found.busiest_bytes < link_loads(instance, core).busiest_bytes
    assert found.cost <= 1.2 * cost(instance, core)


def test_a_full_grid_is_only_exchanged(make_instance):
    instance = make_instance(35, density=0.15)
    core = np.random.default_rng(0).permutation(instance.grid.live)
    found = relieve(instance, core, share=0.5)
    assert found.busiest_bytes < link_loads(instance, core).busiest_bytes
    assert sorted(found.core) == instance.grid.live.tolist()


def test_refusal(crowded):
    with pytest.raises(OuroborosError, match=r"^share of the cost must be at least 0, not -0.1$"):
        relieve(*crowded, share=-0.1)
