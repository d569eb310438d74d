"""Rotations are orthogonal, Hadamard's where there is one, and change nothing that a model does."""

import dataclasses

import numpy as np
import pytest

from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.quantise.calibrate import calibrate, rotary_pairs
from ouroboros.sw.quantise.equivalent import balanced, rotated
from ouroboros.sw.quantise.rotation import hadamard_factors, rotation

TOKENS = np.random.default_rng(0).integers(0, 23, (5, 24))


def test_hadamard_matrices():
    # By Paley's first (12, 20, 24), his second (28, 36, 76), and products.
    for n in (1, 2, 4, 8, 12, 20, 24, 28, 36, 40, 48, 64, 76, 80, 144, 176, 576, 1536, 2048):
        found = np.ones((1, 1))
        for factor in hadamard_factors(n):
            found = np.kron(found, factor)
        assert np.array_equal(found @ found.T, n * np.eye(n)), n
        assert set(np.abs(found).ravel()) == {1.0}, n
    for n in (3, 6, 14, 92, 172):       # 92 has one, of neither kind
        assert hadamard_factors(n) is None, n


@pytest.mark.parametrize("dim", [1, 2, 7, 16, 18, 60, 100, 576])
@pytest.mark.parametrize("seed", [None, 0])
def test_rotations_are_orthogonal(dim, seed):
    turn = rotation(dim, seed)
    matrix = turn.apply(np.eye(dim))
    assert np.abs(matrix @ matrix.T - np.eye(dim)).max() < 1e-12
    rows = np.random.default_rng(1).standard_normal((4, 3, dim))
    assert np.allclose(turn.apply(rows), rows @ matrix)
    assert np.allclose(turn.apply_left(rows[0].T), matrix.T @ rows[0].T)
    if hadamard_factors(dim):
        assert np.abs(np.abs(matrix) * dim**0.5 - 1).max() < 1e-12
    # A single outlier is spread over the channels.
    assert np.abs(matrix).max() <= 2**0.5 / max(1, dim / 25)**0.5


@pytest.mark.parametrize("changes", [
    {}, {"n_kv_heads": 1}, {"n_kv_heads": 4}, {"tied": False},
    {"dim": 18, "n_heads": 3, "n_kv_heads": 3}])
def test_the_same_function(changes, make_checkpoint):
    checkpoint = make_checkpoint(**changes)
    turned = rotated(checkpoint)
    even = balanced(turned, rotary_pairs(turned, TOKENS))
    expected = FloatLlama(checkpoint, batch=5).forward(TOKENS)
    for equal in (turned, even):
        found = FloatLlama(equal, batch=5).forward(TOKENS)
        assert np.abs(found - expected).max() < 3e-5
    assert even.name == checkpoint.name
    assert not np.allclose(even.layers[0].wq, turned.layers[0].wq)


def test_outliers_are_spread(make_checkpoint):
    checkpoint = make_checkpoint(dim=64, tied=False)
    loud = dataclasses.replace(checkpoint, embedding=checkpoint.embedding.copy())
    loud.embedding[:, 5] *= 100
    before, after = (calibrate(made, TOKENS).residual_max.max() for made in (loud, rotated(loud)))
    assert after < before / 3


def test_pairs_reach_the_same(make_checkpoint):
    checkpoint = make_checkpoint()
    layer = checkpoint.layers[0]
    loud = layer.wk.copy()
    loud[2:4] *= 50
    checkpoint = dataclasses.replace(
        checkpoint, layers=(dataclasses.replace(layer, wk=loud), checkpoint.layers[1]))
    before = rotary_pairs(checkpoint, TOKENS)
    assert before.k.shape == before.q.shape == (2, 2, 2)
    assert before.k[0, 0, 1] > 10 * before.q[0, 0, 1]
    after = rotary_pairs(balanced(checkpoint, before), TOKENS)
    assert after.k == pytest.approx(after.q, rel=1e-5)


def test_pairs_by_hand(make_checkpoint):
    checkpoint = make_checkpoint()
    seen = {}
    model = FloatLlama(checkpoint, batch=5, observer=lambda layer, name, value: seen.setdefault(
        (layer, name), value))
    model.forward(TOKENS)
    found = rotary_pairs(checkpoint, TOKENS)
    for layer in range(2):
        for head in range(2):
            for pair in range(2):
                elements = slice(2 * pair, 2 * pair + 2)
                q = seen[layer, "q"][:, :, 2 * head:2 * head + 2, elements]
                k = seen[layer, "k"][:, :, head, elements]
                assert found.q[layer, head, pair] == pytest.approx(np.percentile(abs(q), 99.9))
                assert found.k[layer, head, pair] == pytest.approx(np.percentile(abs(k), 99.9))


def test_dead_pairs_stay(make_checkpoint):
    checkpoint = make_checkpoint()
    dead = dataclasses.replace(checkpoint, layers=tuple(
        dataclasses.replace(layer, wq=layer.wq * np.float32(0)) for layer in checkpoint.layers))
    even = balanced(dead, rotary_pairs(dead, TOKENS))
    assert (even.layers[0].wk == dead.layers[0].wk).all()
