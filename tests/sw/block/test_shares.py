"""Shares of channels and heads."""

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.block.qkv import QkvShare, qkv_shares
from ouroboros.sw.block.sizes import Sizes, overlap

SIZES = Sizes(load_machine("tiny"))     # words of 16 int8


@pytest.mark.parametrize(("size", "count", "wanted"), [
    (96, 3, [32, 32, 32]), (88, 3, [32, 32, 24]), (43, 2, [32, 11]), (59, 4, [16, 16, 16, 11]),
    (88, 5, [32, 32, 24, 0, 0])])
def test_shares_begin_at_words(size, count, wanted):
    found = SIZES.shares(size, count)
    assert [len(share) for share in found] == wanted
    assert [n for share in found for n in share] == [*range(size)]


@pytest.mark.parametrize(("size", "count", "wanted"), [
    (64, 3, [16, 16, 32]), (96, 2, [48, 48]), (160, 4, [32, 48, 32, 48]), (40, 2, [16, 24])])
def test_parts_differ_by_a_word(size, count, wanted):
    found = SIZES.parts(size, count)
    assert [len(part) for part in found] == wanted
    assert [n for part in found for n in part] == [*range(size)]


def test_overlap():
    assert overlap(range(3, 9), range(5, 20)) == range(5, 9)
    assert not overlap(range(3, 5), range(5, 9)) and not overlap(range(8, 9), range(1, 3))


def test_whole_heads_where_they_fit():
    # Three KV heads of two queries: four vectors each.
    assert qkv_shares(3, 2, 2, room=8) == [
        QkvShare(range(0, 2), range(0, 1), range(0, 1)),
        QkvShare(range(2, 6), range(1, 3), range(1, 3))]


def test_vectors_where_heads_do_not_fit():
    # Twelve vectors q q k v, q q k v, q q k v in three cores of four; in four cores of three.
    assert qkv_shares(3, 2, 4, room=3) == [
        QkvShare(range(0, 2), range(0, 1), range(0, 0)),        # q q k
        QkvShare(range(2, 4), range(1, 1), range(0, 1)),        # v q q
        QkvShare(range(4, 5), range(1, 2), range(1, 2)),        # k v q
        QkvShare(range(5, 6), range(2, 3), range(2, 3))]        # q k v


@pytest.mark.parametrize(("heads", "per_kv", "cores", "room"), [
    (8, 4, 6, 8), (8, 5, 10, 6), (52, 1, 39, 4), (40, 1, 20, 6), (2, 3, 7, 2)])
def test_every_vector_is_made_once(heads, per_kv, cores, room):
    found = qkv_shares(heads, per_kv, cores, room)
    for name, number in (("q", heads * per_kv), ("k", heads), ("v", heads)):
        assert [n for share in found for n in getattr(share, name)] == [*range(number)]
    assert all(len(s.q) + len(s.k) + len(s.v) <= room for s in found)
