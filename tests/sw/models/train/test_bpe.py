"""The tokenizer is llama2.c's, learns the frequent pairs, and loses no text."""

from itertools import islice

import pytest

from ouroboros.sw.models import tokenizer
from ouroboros.sw.models.train.bpe import SPECIAL, train
from ouroboros.sw.models.train.text import tales


@pytest.fixture(scope="module")
def trained():
    return train(islice(tales(1), 300), 420)


def test_worked_example():
    # Words: 3 times " ab", once " ac". The pair (space, a) occurs 4 times, then (" a", b) 3 times.
    found = train(["ab ab ab ac"], len(SPECIAL) + 6)
    assert found.pieces == (*SPECIAL, b" a", b" ab", b" ", b"a", b"b", b"c")
    assert found.scores == (0.0,) * 259 + (0.0, -1.0, -2.0, -3.0, -4.0, -5.0)


def test_special_tokens_are_those_of_llama2c(trained):
    assert trained.pieces[:4] == (b"<unk>", b"\n<s>\n", b"\n</s>\n", b"<0x00>")
    assert trained.pieces[258] == b"<0xFF>"
    assert trained.vocab_size == 420


def test_generated_text_comes_back(trained):
    for tale in islice(tales(2), 200):
        assert trained.decode(trained.encode(tale)) == tale


def test_unseen_text_comes_back(trained):
    assert trained.decode(trained.encode("Zürich, 5€\n")) == "Zürich, 5€\n"


def test_merges_stay_inside_words(trained):
    assert not [piece for piece in trained.pieces[259:] if b" " in piece[1:]]


def test_training_is_repeatable(trained):
    assert train(islice(tales(1), 300), 420).pieces == trained.pieces


def test_file_comes_back(trained, tmp_path):
    tokenizer.write(tmp_path / "tokenizer.bin", trained)
    found = tokenizer.read(tmp_path / "tokenizer.bin", 420)
    assert (found.pieces, found.scores) == (trained.pieces, trained.scores)


def test_vocabulary_without_room_is_refused():
    with pytest.raises(ValueError, match=r"^vocab_size must be at least 262, not 261$"):
        train(["ab"], 261)


def test_vocabulary_with_too_much_room_is_refused():
    with pytest.raises(ValueError, match=r"^vocab_size must be at most 264, not 300$"):
        train(["ab"], 300)
