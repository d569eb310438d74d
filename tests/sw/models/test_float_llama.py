"""The float decoder: cache, batches, sampling, and sensible English from the published model."""

import numpy as np
import pytest

from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.float_llama import FloatLlama


def test_any_split_and_batch_gives_the_same_logits(make_checkpoint):
    checkpoint = make_checkpoint()
    tokens = np.random.default_rng(1).integers(0, 23, (3, 24))
    whole = FloatLlama(checkpoint, batch=3).forward(tokens)
    stepped = FloatLlama(checkpoint, batch=3)
    parts = [stepped.forward(tokens[:, :7])]
    parts += [stepped.forward(tokens[:, n:n + 1]) for n in range(7, 24)]
    assert np.abs(np.concatenate(parts, axis=1) - whole).max() < 1e-12
    assert np.abs(FloatLlama(checkpoint).forward(tokens[1:2]) - whole[1:2]).max() < 1e-12
    single = FloatLlama(checkpoint, batch=3, dtype=np.float32).forward(tokens)
    assert single.dtype == np.float32
    assert np.abs(single - whole).max() < 1e-4


def test_samples_follow_the_distribution(make_checkpoint):
    checkpoint = make_checkpoint(gain=0.5)
    model = FloatLlama(checkpoint, batch=4000)
    sampled = model.sample(2, 5)
    assert (sampled == FloatLlama(checkpoint, batch=4000).sample(2, 5)).all()
    assert (sampled[:, 0] == 1).all()
    logits = FloatLlama(checkpoint).forward(np.array([[1]]))[0, 0]
    p = np.exp(logits - logits.max())
    counts = np.bincount(sampled[:, 1], minlength=23)
    expected = 4000 * p / p.sum()
    # Chi-square of 22 degrees of freedom: 48.3 is exceeded once in a thousand.
    assert ((counts - expected)**2 / expected).sum() < 48.3


def test_greedy_text_of_the_published_model(shared_file):
    checkpoint = llama2c.read(shared_file("checkpoints/stories260K.bin"))
    words = tokenizer.read(shared_file("checkpoints/tok512.bin"), checkpoint.shape.vocab_size)
    text = words.decode([1, *FloatLlama(checkpoint).greedy([1], 80)])
    assert text.startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the "
        "park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.")


def test_refusals(make_checkpoint):
    model = FloatLlama(make_checkpoint())
    cases = [(np.zeros((2, 1), int), "tokens must have 1 sequences, not 2"),
             (np.zeros((1, 25), int), "sequence must be at most seq_len = 24 tokens, not 25"),
             (np.array([[3, 23]]), "tokens must be between 0 and 22, not 23"),
             (np.array([[-1, 3]]), "tokens must be between 0 and 22, not -1")]
    for tokens, message in cases:
        with pytest.raises(CheckpointError) as caught:
            model.forward(tokens)
        assert str(caught.value) == message
    with pytest.raises(ValueError, match=r"^batch must be 1 for greedy text, not 2$"):
        FloatLlama(make_checkpoint(), batch=2).greedy([1], 3)
