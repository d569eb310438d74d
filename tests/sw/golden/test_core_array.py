import numpy as np
import pytest

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.core_array import CoreArray, CoreError
from ouroboros.sw.golden.kv import KvSettings

TINY = load_machine("tiny")     # 4 macros of 64 x 16; blocks of 16 tokens
SETTINGS = KvSettings(k_macros=0b0011, v_macros=0b1100, k_groups=1, k_blocks=8, v_slots=2,
                      head_dim=8, heads=2, members_log2=0, member=0)
RNG = np.random.default_rng(5)


@pytest.fixture
def array():
    return CoreArray(TINY, (2, 1))


@pytest.fixture
def attention(array):
    array.configure(SETTINGS)
    return array


def vectors(count):
    return RNG.integers(-127, 128, (count, 8))


def append(array, sequence, head, keys, values):
    for position, (k, v) in enumerate(zip(keys, values, strict=True)):
        assert array.append(sequence, position, head, k, v)


def scores(array, sequence, position, head, q):
    array.score(0, sequence, position, head, q)
    values, valid = array.take(0, -(-(position + 1) // 16) * 16)
    array.release(0)
    return values, valid


def test_products_of_a_matrix_in_two_row_tiles(array):
    x, weights = RNG.integers(-127, 128, 32), RNG.integers(-127, 128, (32, 16))
    array.weights[1, 8:24], array.weights[2, 8:24] = weights[:16], weights[16:]
    array.steps[3] = 0b0110
    for round_ in range(2):     # the second finds no operands of the first
        array.load(5, {"macros": 0b0010, "offset": 0}, x[:16])
        if not round_:
            array.load(5, {"macros": 0b0100, "offset": 0}, x[16:])
        array.multiply(5, {"macros": 0b0110, "first_group": 1, "step": 3, "steps": 1})
        values, valid = array.take(5, 16)
        assert valid.all()
        assert (values == (x @ weights if not round_ else x[:16] @ weights[:16])).all()
        array.release(5)


def test_who_may_use_the_array(array):
    """Nobody else between a slot's LOAD and its MVM; no product while sums wait."""
    array.steps[0] = 1
    assert array.can(1, Op.LOAD) and array.can(1, Op.SCORE)
    array.load(1, {"macros": 1, "offset": 0}, np.ones(4, int))
    assert array.can(1, Op.LOAD) and array.can(1, Op.MVM) and array.can(2, Op.SFU)
    assert not array.can(2, Op.LOAD) and not array.can(2, Op.SCORE) and not array.can(2, Op.FREE)
    array.multiply(1, {"macros": 1, "first_group": 0, "step": 0, "steps": 1})
    assert array.can(2, Op.LOAD) and not array.can(2, Op.MVM) and not array.can(1, Op.CONTEXT)
    with pytest.raises(CoreError, match=r"^core \(2, 1\): slot 2 takes the sums of slot 1$"):
        array.take(2, 4)
    with pytest.raises(CoreError, match="slot 2 takes the sums of slot 1"):
        array.release(2)
    array.take(1, 12)
    with pytest.raises(CoreError, match=r"the drain stream has 4 elements, not 8$"):
        array.take(1, 8)
    array.release(1)
    assert array.can(2, Op.MVM)


def test_scores_and_contexts(attention):
    keys, values, q = vectors(21), vectors(21), vectors(1)[0]
    append(attention, 3, 1, keys, values)
    for position in (0, 15, 16, 20):
        found, valid = scores(attention, 3, position, 1, q)
        live = np.arange(len(found)) <= position
        assert (valid == live).all() and (found[live] == keys[:position + 1] @ q).all()
        assert not found[~live].any()
        e = RNG.integers(0, 128, len(found))
        attention.context(0, 3, position, 1, e)
        total, _ = attention.take(0, 8)
        assert (total == e[:position + 1] @ values[:position + 1]).all()
        attention.release(0)


def test_free_gives_back_one_sequence_and_no_other(attention):
    keys, values, q = vectors(3), vectors(3), vectors(1)[0]
    for sequence in (1, 2):
        for head in (0, 1):
            append(attention, sequence, head, keys, values)
    attention.free(1)
    assert attention.kv.used == 2
    for head in (0, 1):
        found, valid = scores(attention, 2, 2, head, q)
        assert valid[:3].all() and (found[:3] == keys @ q).all()
        assert not scores(attention, 1, 2, head, q)[1].any()
    # Blocks that are given out again hold nothing of their last user.
    assert attention.append(1, 1, 0, keys[1], values[1])
    found, valid = scores(attention, 1, 2, 0, q)
    assert valid[:3].tolist() == [False, True, False] and found[:3].tolist() == [
        0, int(keys[1] @ q), 0]


@pytest.mark.parametrize("member", range(4))
def test_tokens_of_a_member(array, member):
    array.configure(KvSettings(**{name: getattr(SETTINGS, name) for name in SETTINGS.__slots__
                                  if name not in ("members_log2", "member")},
                               members_log2=2, member=member))
    for position in (0, 15, 16, 31, 47, 48, 63, 64, 130):
        mine = [t for t in range(position + 1) if t // 16 % 4 == member]
        assert array.tokens(position) == len(mine)
    assert array.append(0, 16 * member, 0, *vectors(2)) and array.kv.used == 1
    assert array.append(0, 16 * member + 16, 0, *vectors(2)) and array.kv.used == 1


def test_never_configured(array):
    assert array.tokens(9) == 0
    for call in (lambda: array.free(1), lambda: array.head_dim,
                 lambda: array.append(0, 0, 0, *vectors(2))):
        with pytest.raises(CoreError, match=r"^core \(2, 1\): KV was never configured$"):
            call()
    with pytest.raises(CoreError, match=r"^core \(2, 1\): STEP entry 7 was never written$"):
        array.multiply(1, {"macros": 1, "first_group": 0, "step": 7, "steps": 1})
