"""The protocol of a comparison: which tokens, and that it is in the result."""

import dataclasses

import numpy as np
import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.special import SpecialTokens
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.quantise import measure as protocol
from ouroboros.sw.quantise.evaluate import evaluate, sample_evaluation
from ouroboros.sw.quantise.measure import MeasureOptions, measure
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.source import open_model

PIECES = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % n for n in range(256)), b" "]


@pytest.fixture
def opened(make_checkpoint, tmp_path):
    tokenizer.write(tmp_path / "tok.bin", Tokenizer([(piece, 0.0) for piece in PIECES]))
    llama2c.write(tmp_path / "model.bin", make_checkpoint(vocab_size=260, n_layers=1))
    (tmp_path / "text.txt").write_text("abcdefghijklmnop")
    return open_model(tmp_path / "model.bin", tmp_path / "tok.bin")


@pytest.fixture
def model(opened):
    return quantise(opened.checkpoint)


def ids(text):
    return [3 + ord(letter) for letter in text]


def test_a_text_is_cut_into_sequences_with_bos(opened, model, tmp_path):
    path = tmp_path / "text.txt"
    found = measure(opened, model, MeasureOptions(text=path, tokens=8, sequence_tokens=5))
    rows = [[1, 259, *ids("abc")], [1, *ids("defg")]]
    assert found.loss == evaluate(opened.checkpoint, model, [*map(np.array, rows)])
    assert dataclasses.replace(found, loss=None) == protocol.Measured(
        text=str(path), seed=None, first_token=0, sequences=2, sequence_tokens=5, bos=True,
        loss=None)
    assert found.place == "text.txt from token 0, BOS and 4 a sequence"
    record = found.as_dict()
    assert record["protocol"] == {"text": str(path), "seed": None, "first_token": 0,
                                  "sequences": 2, "sequence_tokens": 5, "bos": True}
    assert record["kl_nats"] == found.loss.kl_nats


def test_without_bos_the_first_token_is_not_predicted(opened, model, tmp_path):
    special = SpecialTokens(bos_id=None, stop_ids=())
    opened.tokenizer.special = special
    plain = dataclasses.replace(
        opened, checkpoint=dataclasses.replace(opened.checkpoint, special=special))
    found = measure(plain, model, MeasureOptions(
        text=tmp_path / "text.txt", tokens=8, sequence_tokens=5))
    rows = [[259, *ids("abcd")], ids("efghi")]
    assert found.loss == evaluate(opened.checkpoint, model, [*map(np.array, rows)])
    assert (found.bos, found.loss.tokens) == (False, 8)


def test_what_the_calibration_saw_is_left_out(opened, model, tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "CALIBRATION_TOKENS", 6)
    path, other, copy = (tmp_path / name for name in ("text.txt", "other.txt", "copy.txt"))
    other.write_text("something else")
    copy.write_bytes(path.read_bytes())
    for calibration, first in ((None, 0), (other, 0), (path, 6), (copy, 6)):
        found = measure(opened, model, MeasureOptions(
            text=path, calibration=calibration, tokens=4, sequence_tokens=5))
        assert found.first_token == first
        rows = [[1, *([259, *ids("abcdefghi")][first:first + 4])]]
        assert found.loss == evaluate(opened.checkpoint, model, [*map(np.array, rows)])


def test_a_short_text_and_the_models_limits(opened, model, tmp_path):
    path = tmp_path / "text.txt"
    found = measure(opened, model, MeasureOptions(text=path, tokens=1000))
    assert (found.loss.tokens, found.sequences, found.sequence_tokens) == (17, 1, 18)
    path.write_text("x" * 100)
    found = measure(opened, model, MeasureOptions(text=path, tokens=1000))
    assert (found.sequences, found.sequence_tokens) == (5, 24)


def test_the_models_own_text(opened, model):
    found = measure(opened, model, MeasureOptions(tokens=30, seed=3))
    rows = sample_evaluation(opened.checkpoint, 30, 3, 24)
    assert found.loss == evaluate(opened.checkpoint, model, rows)
    assert (found.text, found.seed, found.sequences) == (None, 3, 2)
    assert found.place == "the model's own text, seed 3, BOS and 15 a sequence"


def test_refusals(opened, model, tmp_path):
    path, empty = tmp_path / "text.txt", tmp_path / "empty.txt"
    empty.write_text("")
    mute = dataclasses.replace(opened, tokenizer=None)
    cases = [
        (opened, MeasureOptions(tokens=0), "tokens must be between 1 and 10000000, not 0"),
        (opened, MeasureOptions(sequence_tokens=1),
         "sequences must have at least 2 tokens to predict any, not 1"),
        (mute, MeasureOptions(text=path),
         (f"{path}: a text to compare on needs a tokenizer: --tokenizer must be given to turn text "
          "into tokens")),
        (opened, MeasureOptions(text=path, calibration=path),
         (f"{path}: must have at least one token to predict after the first 2048, which the "
          "calibration saw, not 0 tokens")),
        (opened, MeasureOptions(text=empty),
         f"{empty}: must have at least one token to predict, not 0 tokens"),
    ]
    for source, options, message in cases:
        with pytest.raises(OuroborosError) as caught:
            measure(source, model, options)
        assert str(caught.value) == message
