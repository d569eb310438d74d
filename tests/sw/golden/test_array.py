import re
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.array import ArrayGolden, CoreError, Issue, local_tokens
from ouroboros.sw.golden.kv import KvSettings

TINY = load_machine("tiny")     # 4 macros of 64 x 16; blocks of 16 tokens
SETTINGS = KvSettings(k_macros=0b0011, v_macros=0b1100, k_groups=1, k_blocks=8, v_slots=2,
                      head_dim=8, heads=2, members=1, member=0)
RNG = np.random.default_rng(5)
K, V, Q, E = 0, 1, 2, 3
"""Buffer words of the vectors."""


@pytest.fixture
def array():
    return ArrayGolden(TINY, name="core (2, 1)")


@pytest.fixture
def attention(array):
    array.configure(SETTINGS)
    return array


def vectors(count):
    return RNG.integers(-127, 128, (count, 8))


def put(array, word, vector):
    array.buffer[word:].reshape(-1)[:len(vector)] = vector


def run(array, op, slot=0, sequence=0, position=0, **fields):
    tokens = local_tokens(TINY, array.kv.settings, position) if array.kv else 0
    return array.run(Issue(instruction=assemble(op, **fields), slot=slot, sequence=sequence,
                           position=position, tokens=tokens))


def append(array, sequence, head, keys, values, first=0):
    for position, (k, v) in enumerate(zip(keys, values, strict=True), first):
        put(array, K, k)
        put(array, V, v)
        assert not run(array, Op.APPEND, sequence=sequence, position=position, head=head, k=K,
                       v=V).poison


def scores(array, sequence, position, head, q):
    put(array, Q, q)
    return run(array, Op.SCORE, sequence=sequence, position=position, head=head, src=Q).sums


def test_products_of_a_matrix_in_two_row_tiles(array):
    x, weights = RNG.integers(-127, 128, 32), RNG.integers(-127, 128, (32, 16))
    array.weights[1, 8:24], array.weights[2, 8:24] = weights[:16], weights[16:]
    array.steps[3] = 0b0110
    put(array, 0, x)
    for round_ in range(2):     # the second finds no operands of the first
        run(array, Op.LOAD, length=16, macros=0b0010)
        if not round_:
            run(array, Op.LOAD, src=1, length=16, macros=0b0100)
        values, valid = run(array, Op.MVM, macros=0b0110, first_group=1, step=3, steps=1).sums
        assert valid.all()
        assert (values == (x @ weights if not round_ else x[:16] @ weights[:16])).all()


def test_operands_past_a_length_are_none(array):
    """The last word counts as far as the length, and takes the place of what was there."""
    array.weights[0], array.steps[0] = 1, 1
    put(array, 0, np.ones(64, int))
    for lengths, total in (([64], 64), ([20], 20), ([64, 20], 52), ([64, 0], 48)):
        for length in lengths:
            run(array, Op.LOAD, length=length, macros=1)
        assert (run(array, Op.MVM, macros=1, steps=1).sums[0] == total).all()


def test_products_are_exact_at_the_extremes():
    machine = load_machine("die")
    array = ArrayGolden(machine)
    array.weights[0], array.steps[0] = -128, 1
    array.buffer[:] = -128
    rows = machine.cim.rows
    run(array, Op.LOAD, length=rows, macros=1)
    assert (run(array, Op.MVM, macros=1, steps=1).sums[0] == 2**14 * rows).all()


def test_locked_from_load_to_mvm(array):
    """Nobody else between a slot's LOAD and its MVM, and nothing else of its own."""
    array.steps[0] = 1
    assert array.takes(1, Op.LOAD) and array.takes(1, Op.SCORE)
    run(array, Op.LOAD, slot=1, length=4, macros=1)
    assert [op for op in (Op.LOAD, Op.MVM, Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE)
            if array.takes(1, op)] == [Op.LOAD, Op.MVM]
    assert not array.takes(2, Op.LOAD) and not array.takes(2, Op.FREE)
    run(array, Op.MVM, slot=1, macros=1, steps=1)
    assert array.takes(2, Op.LOAD)


def test_scores_and_contexts(attention):
    keys, values, q = vectors(21), vectors(21), vectors(1)[0]
    append(attention, 3, 1, keys, values)
    for position in (0, 15, 16, 20):
        found, valid = scores(attention, 3, position, 1, q)
        live = np.arange(len(found)) <= position
        assert len(found) == -(-(position + 1) // 16) * 16
        assert (valid == live).all() and (found[live] == keys[:position + 1] @ q).all()
        assert not found[~live].any()
        e = RNG.integers(0, 128, len(found))
        put(attention, E, e)
        total, _ = run(attention, Op.CONTEXT, sequence=3, position=position, head=1, src=E).sums
        assert (total == e[:position + 1] @ values[:position + 1]).all()


def test_free_gives_back_one_sequence_and_no_other(attention):
    keys, values, q = vectors(3), vectors(3), vectors(1)[0]
    for sequence in (1, 2):
        for head in (0, 1):
            append(attention, sequence, head, keys, values)
    run(attention, Op.FREE, sequence=1)
    assert attention.kv.used == 2
    for head in (0, 1):
        found, valid = scores(attention, 2, 2, head, q)
        assert valid[:3].all() and (found[:3] == keys @ q).all()
        assert not scores(attention, 1, 2, head, q)[1].any()
    # Blocks that are given out again hold nothing of their last user.
    append(attention, 1, 0, keys[1:2], values[1:2], first=1)
    found, valid = scores(attention, 1, 2, 0, q)
    assert valid[:3].tolist() == [False, True, False] and found[:3].tolist() == [
        0, int(keys[1] @ q), 0]


def test_a_full_core_poisons(array):
    array.configure(replace(SETTINGS, k_macros=1, k_blocks=1))
    append(array, 0, 0, vectors(1), vectors(1))
    assert run(array, Op.APPEND, sequence=1).poison


@pytest.mark.parametrize("member", range(4))
def test_tokens_of_a_member(array, member):
    settings = replace(SETTINGS, members=4, member=member)
    array.configure(settings)
    for position in (0, 15, 16, 31, 47, 48, 63, 64, 130):
        mine = [t for t in range(position + 1) if t // 16 % 4 == member]
        assert local_tokens(TINY, settings, position) == len(mine)
    append(array, 0, 0, vectors(2), vectors(2), first=16 * member + 15)  # the second is not here
    assert array.kv.used == 1


@pytest.mark.parametrize("sequence", range(4))
def test_on_a_ring_sequences_begin_at_different_members(array, sequence):
    for member in range(3):
        settings = replace(SETTINGS, members=3, member=member, ring=1)
        array.configure(settings)
        for position in (0, 15, 16, 31, 47, 48, 63, 64, 130):
            mine = [t for t in range(position + 1) if (t // 16 + sequence) % 3 == member]
            assert local_tokens(TINY, settings, position, sequence) == len(mine)
        run(array, Op.APPEND, sequence=sequence, position=16)
        assert array.kv.used == (member == (1 + sequence) % 3)


@pytest.mark.parametrize(("op", "message"), [
    (Op.FREE, "KV was never configured"), (Op.APPEND, "KV was never configured"),
    (Op.MVM, "STEP entry 7 was never written")])
def test_never_configured(array, op, message):
    fields = {"step": 7, "steps": 1, "macros": 1} if op == Op.MVM else {}
    with pytest.raises(CoreError, match=rf"^core \(2, 1\): {message}$"):
        run(array, op, **fields)


def test_a_step_adds_macros_of_its_mvm_only(array):
    array.steps[0] = 0b110
    message = "core (2, 1): STEP entry 0 adds macro 2, which must be one of the MVM's"
    with pytest.raises(CoreError, match=f"^{re.escape(message)}$"):
        run(array, Op.MVM, macros=0b011, steps=1)


def test_other_instructions_are_refused(array):
    with pytest.raises(ValueError, match=r"^instruction must be one of the array's, not "):
        run(array, Op.SFU)
