"""The shipped checkpoint is the file docs/training.md describes, and tells tales."""

import hashlib
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ouroboros.sw.models import checkpoints, llama2c, tokenizer
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.train.text import tales
from ouroboros.sw.models.train.train import SHAPE

FOLDER = Path(str(checkpoints.__file__)).parent
PAGE = (Path(__file__).parents[4] / "docs" / "training.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"\*\*(.+?)\*\*(.+)", "\n".join(
    " ".join(line.removeprefix("> ") for line in quote.splitlines())
    for quote in PAGE[PAGE.index("> "):].split("\n>\n")))
PROMPTS = ["Once upon a time", "The dog wanted to", "One day", "There was a little girl",
           "In the forest", "The old king"]


@pytest.fixture(scope="module")
def checkpoint():
    return llama2c.read(FOLDER / "tales.bin")


@pytest.fixture(scope="module")
def coder():
    return tokenizer.read(FOLDER / "tales_tokenizer.bin", SHAPE.vocab_size)


@pytest.mark.parametrize("name", ["tales.bin", "tales_tokenizer.bin"])
def test_page_has_size_and_hash(name):
    content = (FOLDER / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert f"- `{name}`: {len(content):,} bytes, sha256\n  `{digest}`" in PAGE


def test_checkpoint_is_small_and_of_the_shape_it_should_be(checkpoint):
    assert (FOLDER / "tales.bin").stat().st_size < 700_000
    assert checkpoint.shape == SHAPE
    assert checkpoint.tied
    assert checkpoint.parameter_count == 162_240


def test_no_weight_is_nan_or_stuck_at_zero(checkpoint):
    matrices = [checkpoint.embedding] + [
        getattr(layer, name) for layer in checkpoint.layers for name in SHAPE.layer_shapes()]
    for matrix in matrices:
        assert np.isfinite(matrix).all()
        assert (matrix != 0).mean() > 0.99


def test_tales_come_back_from_their_tokens(coder):
    sizes = []
    for tale in islice(tales(11), 200):
        tokens = coder.encode(tale)
        assert coder.decode(tokens) == tale
        sizes.append(len(tokens))
    assert 60 <= min(sizes)
    assert max(sizes) <= 170
    assert 100 <= np.mean(sizes) <= 120


def test_tales_are_likely(checkpoint, coder):
    # Pairs of tales the model was not trained on, cut to one length.
    stream = tales(12)
    batch = np.array([
        (coder.encode(next(stream)) + coder.encode(next(stream)))[:128] for _ in range(4)])
    logits = FloatLlama(checkpoint, batch=4).forward(batch)[:, :-1]
    likely = np.take_along_axis(logits, batch[:, 1:, None], -1)[..., 0]
    loss = (np.log(np.exp(logits).sum(-1)) - likely).mean()
    assert loss < 0.25


def test_page_has_a_sample_for_each_prompt():
    assert [prompt for prompt, _ in SAMPLES] == PROMPTS


@pytest.mark.parametrize(("prompt", "rest"), SAMPLES)
def test_greedy_text_is_that_of_the_page(checkpoint, coder, prompt, rest):
    tokens = coder.encode(prompt)
    found = FloatLlama(checkpoint).greedy(tokens, 200)
    assert found[-1] in checkpoint.special.stop_ids
    assert coder.decode([*tokens, *found]) == prompt + rest
