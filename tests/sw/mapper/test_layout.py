from itertools import pairwise

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.block.layout import layout, snake
from ouroboros.sw.block.plans import plan_layout
from ouroboros.sw.models.shape import ModelShape

TINY, SMALL = load_machine("tiny"), load_machine("small")


def test_neighbours_along_the_snake():
    cores = [*snake(SMALL)]
    assert sorted(cores) == sorted(SMALL.mesh.coordinates) and cores[0] == (1, 1)
    assert all(abs(x - u) + abs(y - v) == 1 for (x, y), (u, v) in pairwise(cores))


@pytest.mark.parametrize(("cores", "groups"), [(14, 6), (9, 3), (10, 3), (11, 6), (7, 2), (6, 1)])
def test_kv_groups_divide_the_heads(cores, groups):
    """As many as the cores suffice for: one head of tokens, four stages, the rest for KV."""
    shape = ModelShape(name="x", source="here", dim=48, hidden_dim=44, n_layers=1, n_heads=6,
                       n_kv_heads=6, vocab_size=16)
    live = [*snake(SMALL)][:cores]
    [block] = layout(SMALL, shape, plan_layout(SMALL, shape, "plain", cores), live=live).blocks
    assert len(block.kv) == groups


def test_every_role_has_its_cores():
    shape = ModelShape(name="x", source="here", dim=32, hidden_dim=44, n_layers=1, n_heads=4,
                       n_kv_heads=2, vocab_size=59)
    plain, split = (layout(TINY, shape, plan_layout(TINY, shape, name, 12))
                    for name in ("plain", "split"))
    assert plain.embed.cores == plain.lm == ((1, 1),)
    [block] = plain.blocks
    assert (block.qkv, block.kv, block.proj.cores, block.up, block.down.cores) == (
        ((2, 1),), (((3, 1),), ((4, 1),)), ((4, 2),), ((3, 2),), ((2, 2),))
    assert split.embed.cores == split.lm == ((1, 1), (2, 1))
    [block] = split.blocks
    assert block.qkv == block.proj.cores == ((3, 1), (4, 1))
    assert block.kv == (((4, 2), (3, 2)), ((2, 2), (1, 2)))
    assert block.up == block.down.cores == ((1, 3), (2, 3))
    assert split.cores == (*snake(TINY),)[:10]
