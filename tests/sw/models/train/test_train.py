"""Training is repeatable, learns, and writes what the float decoder reads."""

import sys
from itertools import islice

import numpy as np
import pytest

from ouroboros.sw.models import llama2c
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.train.bpe import train as train_tokenizer
from ouroboros.sw.models.train.text import tales
from ouroboros.sw.models.train.train import fit, forward, import_torch, initial, to_checkpoint

SMALL = DecoderShape(dim=16, hidden_dim=24, n_layers=2, n_heads=4, n_kv_heads=2, vocab_size=320,
              seq_len=32)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="training needs torch: pip install -e .[train]")


@pytest.fixture(scope="module")
def encoder():
    return train_tokenizer(islice(tales(1), 100), SMALL.vocab_size)


def run(encoder, steps):
    return fit(SMALL, encoder, seed=1, steps=steps, batch=4, row_count=40)


def test_missing_torch_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match=(
            r"^torch must be installed to train: pip install -e \.\[train\]$")):
        import_torch()


@pytest.mark.parametrize("batch", [0, 41])
def test_impossible_batch_is_refused(encoder, batch):
    with pytest.raises(ValueError, match=f"^batch must be between 1 and row_count = 40, "
                                         f"not {batch}$"):
        fit(SMALL, encoder, seed=1, steps=1, batch=batch, row_count=40)


def test_twenty_steps_learn_something(torch, encoder):
    result = run(encoder, 20)
    assert result.steps == 20
    # The rate is still warming up, so that 20 steps only make a start.
    assert result.held_out_loss < run(encoder, 1).held_out_loss - 0.03


def test_same_seed_same_weights(torch, encoder):
    first, second = run(encoder, 3), run(encoder, 3)
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_time_limit_ends_training(torch, encoder):
    result = fit(SMALL, encoder, seed=1, steps=10**9, batch=4, row_count=40, minutes=0.001)
    assert 1 <= result.steps < 10**4


def test_float_decoder_agrees_with_torch(torch, tmp_path):
    torch.manual_seed(5)
    weights = {name: weight.detach() * (1 if "norm" in name else 8)
               for name, weight in initial(SMALL).items()}
    llama2c.write(tmp_path / "small.bin", to_checkpoint(SMALL, weights))
    tokens = np.random.default_rng(5).integers(0, SMALL.vocab_size, (2, SMALL.seq_len))
    expected = forward(SMALL, weights, torch.from_numpy(tokens)).numpy()
    found = FloatLlama(llama2c.read(tmp_path / "small.bin"), batch=2).forward(tokens)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(expected).max() > 1
