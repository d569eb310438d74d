"""What counts as bit exact: every token, every vector, and none missing."""

import numpy as np
import pytest

from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.request import Request
from ouroboros.sw.runtime.service import compare, expected_positions

SHAPE = {"dim": 16, "hidden_dim": 20, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1,
         "vocab_size": 23, "seq_len": 24}


@pytest.fixture
def model(make_checkpoint):
    return quantise(make_checkpoint(**SHAPE))


def served(model, logits, *, prompt=(1, 5, 9), limit=4):
    """A request as a faultless machine would leave it."""
    decoder = IntegerDecoder(model)
    tokens = decoder.generate(0, list(prompt), limit) if limit else []
    request = Request(prompt=tuple(prompt), limit=limit, logits=logits, tokens=[*tokens])
    golden = np.asarray(decoder.prefill(1, [*prompt, *tokens[:-1]]))
    for position in expected_positions(request):
        request.vectors[position] = golden[position].astype(np.int32)
    return request


@pytest.mark.parametrize(("logits", "vectors"), [("none", 0), ("last", 4), ("all", 6)])
def test_a_faultless_run_is_exact(model, logits, vectors):
    assert compare(model, [served(model, logits)]) == (True, vectors)


def test_one_wrong_logit_is_seen(model):
    request = served(model, "last")
    request.vectors[3][7] += 1
    assert compare(model, [served(model, "last"), request]) == (False, 8)


def test_one_wrong_token_is_seen_without_logits(model):
    request = served(model, "none")
    request.tokens[-1] = (request.tokens[-1] + 1) % SHAPE["vocab_size"]
    assert compare(model, [request]) == (False, 0)


@pytest.mark.parametrize("logits", ["last", "all"])
def test_a_missing_vector_is_seen(model, logits):
    request = served(model, logits)
    del request.vectors[3]
    exact, _ = compare(model, [request])
    assert not exact


def test_nothing_generated_is_nothing_to_compare(model):
    assert compare(model, [served(model, "none", prompt=(1,), limit=0)]) == (True, 0)
