"""KV book and credits, by hand."""

import random
from collections import Counter

import pytest

from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.credits import Credits


@pytest.mark.parametrize(("tokens", "members", "blocks"), [
    (0, 1, 0), (1, 1, 1), (16, 1, 1), (17, 1, 2), (16, 4, 1), (64, 4, 1), (65, 4, 2)])
def test_blocks_of_a_sequence(tokens, members, blocks):
    """Blocks go to the members in turn; the first of them is the fullest."""
    book = KvBook(block_tokens=16, members=members, blocks=9, sequence_blocks=9)
    assert book.need(tokens) == blocks


def test_room_of_one_and_of_all():
    book = KvBook(block_tokens=16, members=1, blocks=5, sequence_blocks=3)
    assert book.holds(48) and not book.holds(49)
    assert [book.free(enumerate(lengths)) for lengths in ([], [16, 17], [48, 48])] == [5, 2, -1]


@pytest.mark.parametrize("ring", [False, True])
def test_the_fullest_of_several_members(ring):
    """Block by block, as the members count them."""
    rng = random.Random(3)
    for _ in range(50):
        members = rng.randrange(1, 7)
        book = KvBook(block_tokens=16, members=members, blocks=20, sequence_blocks=20, ring=ring)
        alive = [(number, rng.randrange(200)) for number in rng.sample(range(40), 5)]
        held = Counter((token // 16 + (number if ring else 0)) % members
                       for number, tokens in alive for token in range(0, tokens, 16))
        assert book.free(alive) == 20 - max(held.values(), default=0)


def test_a_ring_makes_room():
    """Sequences of one block: without a ring all lie in the first member."""
    alive = [(number, 16) for number in range(6)]
    for ring, free in ((False, 3), (True, 7)):
        assert KvBook(block_tokens=16, members=3, blocks=9, sequence_blocks=9,
                      ring=ring).free(alive) == free


def test_a_token_takes_one_credit_of_each_counter():
    credits = Credits({2: 1, 7: 2})
    assert credits.ready and credits.home
    credits.take()
    assert not credits.ready and not credits.home
    credits.give(2)
    assert credits.ready and not credits.home
    credits.take()
    for counter in (7, 7, 2):
        assert not credits.home
        credits.give(counter)
    assert credits.home


def test_credits_that_are_not_there():
    credits = Credits({2: 1})
    for counter in (2, 3):
        with pytest.raises(ValueError, match=f"^a credit of counter {counter} must have been "
                                             f"taken before it is given back$"):
            credits.give(counter)
    credits.take()
    with pytest.raises(ValueError, match=r"^a token must find a credit of every counter, not "
                                         r"\{2: 0\}$"):
        credits.take()
