"""A pool's rank: K and V come back as they went in, scores and sums are the definition's."""

from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.pim import PimParams
from ouroboros.sw.golden.numerics import exp_weights
from ouroboros.sw.golden.pim import attend, key_places, scores_of, value_places
from ouroboros.sw.golden.pool import Rank

RANKS = {
    "one_chip": PimParams(head_chips=1, head_dim=8, columns=4, rows=32, context=64),
    "four_chips": PimParams(head_chips=4, head_dim=32, columns=4, rows=32, context=64),
    "spread": PimParams(head_chips=1, head_dim=64, columns=16, rows=64, context=48),
}


@pytest.fixture(params=sorted(RANKS))
def pim(request):
    return RANKS[request.param]


def filled(pim, tokens, owner=(0, 0, 0), seed=0, rank=None):
    rng = np.random.default_rng(seed)
    k, v = (rng.integers(-127, 128, (tokens, pim.head_dim)).astype(np.int8) for _ in "kv")
    rank = rank or Rank(pim)
    for token in rng.permutation(tokens):
        assert rank.append(owner, int(token), k[token], v[token])
    return rank, k, v


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 48])
def test_scores_and_sums_are_the_definitions(pim, tokens):
    rank, k, v = filled(pim, tokens)
    rng = np.random.default_rng(1)
    q = rng.integers(-127, 128, pim.head_dim).astype(np.int8)
    scores, there = rank.scores((0, 0, 0), q, tokens)
    assert there.all()
    assert (scores == scores_of(q, k)).all()
    weights = rng.integers(0, 128, tokens).astype(np.int8)
    assert (rank.sums((0, 0, 0), weights) == weights.astype(int) @ v.astype(int)).all()


def test_the_whole_of_a_head_is_that_of_a_rank(pim):
    """With the weights that the rank's own softmax makes."""
    rank, k, v = filled(pim, 40)
    q = np.random.default_rng(2).integers(-127, 128, pim.head_dim).astype(np.int8)
    scores, _ = rank.scores((0, 0, 0), q, 40)
    found = attend(q, k, v, 20000, 20)
    e = exp_weights(scores, np.asarray(found.top), 20000, 20, None, 7)
    assert (rank.sums((0, 0, 0), e.astype(np.int8)) == found.sums).all()


def test_cells_are_where_the_rank_has_them(pim):
    """By the places that benches of the RTL write and read."""
    rank, k, v = filled(pim, 33)
    for token in (0, 7, 32):
        for places, row, vectors in ((key_places, 0, k), (value_places, rank.value_row, v)):
            for n, place in enumerate(places(pim, row, token)):
                for chip in range(pim.head_chips):
                    dims = [pim.head_chips * (8 * n + i) + chip for i in range(8)]
                    cells = rank.cells[chip, place.bank, place.row, place.column]
                    assert (cells == vectors[token][dims]).all()


def test_heads_do_not_touch_each_other(pim):
    rank = Rank(pim)
    owners = [(stage, sequence, head) for stage in (0, 3) for sequence in (0, 9)
              for head in (0, 1)][:rank.heads]
    kept = {owner: filled(pim, 20, owner, seed=n, rank=rank)[1:]
            for n, owner in enumerate(owners)}
    q = np.full(pim.head_dim, 3, np.int8)
    for owner, (k, _) in kept.items():
        assert (rank.scores(owner, q, 20)[0] == scores_of(q, k)).all()


def test_a_token_that_is_not_there_counts_nothing(pim):
    rank, *_ = filled(pim, 16, seed=5)
    rank.free(0, 0)     # but what was there is still in the cells
    rank, k, v = filled(pim, 8, rank=rank)
    assert rank.append((0, 0, 0), 9, k[0], v[0])
    q = k[0]
    scores, there = rank.scores((0, 0, 0), q, 10)
    assert list(there) == [True] * 8 + [False, True]
    assert scores[8] == 0
    weights = np.ones(10, np.int8)
    assert (rank.sums((0, 0, 0), weights) == v[:8].astype(int).sum(0) + v[0]).all()


def test_full_changes_nothing(pim):
    rank = Rank(pim)
    vector = np.ones(pim.head_dim, np.int8)
    for n in range(rank.heads):
        assert rank.append((0, n, 0), 0, vector, vector)
    before = rank.cells.copy()
    assert not rank.append((0, rank.heads, 0), 0, 2 * vector, 2 * vector)
    assert rank.used == rank.heads
    assert (rank.cells == before).all()
    assert not rank.append((0, 0, 0), pim.context, vector, vector)
    rank.free(0, 0)
    assert rank.append((0, rank.heads, 0), 0, vector, vector)


def test_freed_tokens_are_gone(pim):
    rank, _, _ = filled(pim, 12)
    assert rank.tokens(0, 0) == 12
    assert rank.sequences(0) == [0]
    rank.free(0, 0)
    assert rank.tokens(0, 0) == 0
    assert rank.append((0, 1, 0), 3, np.ones(pim.head_dim, np.int8),
                       np.ones(pim.head_dim, np.int8))
    assert rank.tokens(0, 1) == 1


def test_more_tokens_take_more_clocks(pim):
    q = np.ones(pim.head_dim, np.int8)
    taken = []
    for tokens in (16, 48):
        rank, _, _ = filled(pim, tokens)
        rank.scores((0, 0, 0), q, tokens)
        taken.append(rank.clocks)
    assert 0 < taken[0] < taken[1]


def test_rows_bound_the_heads():
    pim = RANKS["one_chip"]
    rank = Rank(pim)
    assert rank.heads == pim.slots * (pim.rows // rank.head_rows)
    assert Rank(replace(pim, rows=2 * pim.rows)).heads == 2 * rank.heads
