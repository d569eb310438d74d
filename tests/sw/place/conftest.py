"""Small instances: random ones, and a ring on a grid of four dies."""

import numpy as np
import pytest

from ouroboros.sw.place.instance import Grid, Instance


@pytest.fixture
def make_grid():
    def make(**changes):
        sizes = {"width": 6, "height": 6, "die_width": 3, "die_height": 3, "die_penalty_hops": 3}
        return Grid(**(sizes | changes))
    return make


@pytest.fixture
def make_instance(make_grid):
    """Random traffic: every pair of tiles is joined with probability ``density``."""
    def make(tiles, *, seed=0, density=0.4, grid=None, defects=(16,), **others):
        rng = np.random.default_rng(seed)
        pairs = np.array([(a, b) for a in range(tiles) for b in range(a)
                          if rng.random() < density or a == b + 1])
        edges = np.column_stack([pairs, rng.integers(1, 9, len(pairs))])
        return Instance(name=f"random{tiles}", tiles=tiles, edges=edges,
                        grid=grid or make_grid(defects=defects), **others)
    return make
