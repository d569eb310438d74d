"""The published model SmolLM2 as float: its texts have sense, and its figures are those of it."""

import numpy as np
import pytest

from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.quantise.source import open_model


@pytest.fixture(scope="module")
def source(smollm2):
    return open_model(smollm2)


@pytest.fixture(scope="module")
def model(source):
    return FloatLlama(source.checkpoint, dtype=np.float32)


def test_what_the_file_says(source):
    shape, coder = source.checkpoint.shape, source.coder
    assert (shape.dim, shape.n_layers, shape.n_heads, shape.n_kv_heads, shape.head_dim,
            shape.vocab_size, shape.seq_len) == (576, 30, 9, 3, 64, 49152, 8192)
    assert (shape.norm_eps, shape.rope_theta, source.checkpoint.tied) == (1e-5, 1e5, True)
    assert (coder.special.bos_id, coder.special.stop_ids) == (None, (2,))
    assert source.checkpoint.parameter_count == 134_515_008
    text = "In 1969, Zürich's  \N{SNOWMAN}\n\n<|im_start|>user"
    assert coder.decode(coder.encode(text)) == text.replace("<|im_start|>", "")
    assert coder.encode("<|im_start|>") == [1]


@pytest.mark.slow
def test_an_answer(source, model):
    model.reset()
    prompt = source.chat.render([{"role": "user", "content": "What is the capital of France?"}])
    tokens = model.greedy(source.coder.encode(prompt, bos=False), 16)
    assert source.coder.decode(tokens) == "The capital of France is Paris."
    assert tokens[-1] in source.coder.special.stop_ids


@pytest.mark.slow
def test_perplexity(source, model, shared_file):
    """On WikiText-2; with rows of q and k in another order it is beyond 1000."""
    text = shared_file("text/wikitext2_valid.txt").read_text()
    tokens = np.array(source.coder.encode(text[:20_000])[:1024]).reshape(2, 512)
    losses = []
    for row in tokens:
        model.reset()
        logits = model.forward(row[None, :-1])[0].astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        losses.append(-logs[np.arange(511), row[1:]].mean())
    assert 15 < np.exp(np.mean(losses)) < 35
