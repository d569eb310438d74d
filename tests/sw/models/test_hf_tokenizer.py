"""tokenizer.json: where BOS comes from, text that has no tokens, files that do not fit."""

import json
import pickle

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors

from ouroboros.sw.models import hf_tokenizer
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.special import SpecialTokens

SPECIAL = SpecialTokens(bos_id=0, stop_ids=(1,))


@pytest.fixture
def write(tmp_path):
    """Writer of a byte-level tokenizer.json without the letters ``without``."""
    def make(*, bos=None, without="", config=None, more=()):
        letters = [one for one in sorted(pre_tokenizers.ByteLevel.alphabet())
                   if one not in without]
        words = ["<s>", "</s>", *letters, "ab", "abc"]
        core = tokenizers.Tokenizer(models.BPE(
            vocab={word: n for n, word in enumerate(words)}, merges=[("a", "b"), ("ab", "c")]))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        core.add_special_tokens(["<s>", "</s>", *more])
        core.enable_truncation(2)
        core.enable_padding(length=9, pad_id=1)
        if bos is not None:
            core.post_processor = processors.TemplateProcessing(
                single=bos, special_tokens=[("<s>", 0), ("</s>", 1)])
        core.save(str(tmp_path / "tokenizer.json"))
        if config is not None:
            (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        return tmp_path / "tokenizer.json"

    return make


def read(path, vocab_size=260, special=SPECIAL):
    return hf_tokenizer.read(path, vocab_size, special)


def test_text_and_back(write):
    coder = read(write())
    assert [coder.pieces[n] for n in coder.encode("abcab")] == [b"abc", b"ab"]
    text = "abc Zürich </s>\N{SNOWMAN}\n"
    tokens = coder.encode(text)
    assert 1 in tokens and coder.decode([0, *tokens]) == text.replace("</s>", "")
    assert len(coder.pieces) == 260
    again = pickle.loads(pickle.dumps(coder))
    assert again.encode(text) == tokens and again.digest == coder.digest


@pytest.mark.parametrize(("bos", "config", "expected"), [
    (None, None, None), ("<s> $A", None, 0), ("<s> $A", {}, 0), (None, {}, None),
    # What tokenizer_config.json says is what the checkpoint's reader has gone by.
    (None, {"add_bos_token": True}, 0), ("<s> $A", {"add_bos_token": None}, 0)])
def test_bos(bos, config, expected, write):
    coder = read(write(bos=bos, config=config))
    assert coder.special == SpecialTokens(bos_id=expected, stop_ids=(1,))
    assert coder.encode("abc") == ([] if expected is None else [expected]) + [259]
    assert coder.encode("abc", bos=False) == [259]


def test_no_bos_by_the_configuration(write):
    none = SpecialTokens(bos_id=None, stop_ids=(1,))
    path = write(bos="<s> $A", config={"add_bos_token": False})
    assert read(path, special=none).encode("abc") == [259]


def test_a_post_processor_that_does_more(write):
    path = write(bos="<s> $A </s>")
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: post_processor must add at most one token, before the text, not make "
        "[0, 66, 1] of [66]")


def test_what_has_no_token_is_refused(write):
    coder = read(write(without="ÃZ"))
    assert coder.decode(coder.encode("abc X")) == "abc X"
    for text, message in [("aZ", "'Z' (character 2"), ("abé", "'é' (character 3")]:
        with pytest.raises(CheckpointError) as caught:
            coder.encode(text)
        assert f"vocabulary must have a token for {message} of the text)" in str(caught.value)
    with pytest.raises(CheckpointError, match="no half of a surrogate pair"):
        coder.encode("a\ud800")


def test_what_a_plain_vocabulary_has_no_token_for(tmp_path):
    def made(**options):
        core = tokenizers.Tokenizer(models.BPE(
            vocab={"a": 0, "b": 1, "<unk>": 2}, merges=[], **options))
        core.save(str(tmp_path / "tokenizer.json"))
        return read(tmp_path / "tokenizer.json", 3)

    assert made(unk_token="<unk>").encode("az") == [0, 2]
    with pytest.raises(CheckpointError, match=r"a token for 'z' \(character 2 of the text\)"):
        made().encode("az")
    assert made().encode("ab") == [0, 1]


def test_refusals(write, tmp_path):
    path = write()
    with pytest.raises(CheckpointError) as caught:
        read(path, 259)
    assert str(caught.value) == (
        f"{path}: ids must be below the checkpoint's vocabulary of 259, not 259")
    assert len(read(path, 1000).pieces) == 260      # a padded embedding
    with pytest.raises(CheckpointError, match="ids must be below"):
        read(write(more=["<extra>"]))
    path = write()
    with pytest.raises(CheckpointError) as caught:
        read(path).decode([2**40])
    assert str(caught.value) == f"{path}: token must be below 260, not {2**40}"
    for content, message in [
            ("{}", f"{path}: corrupt, or not a tokenizer.json: "),
            ('{"version": "1.0", "model": {"type": "Nonsense"}}',
             f"{path}: corrupt, or not a tokenizer.json: "),
            ("PK\3\4", f"{path}: must be a tokenizer.json, not a PyTorch checkpoint")]:
        path.write_text(content)
        with pytest.raises(CheckpointError) as caught:
            read(path)
        assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path / "none.json")
    assert str(caught.value) == (
        f"{tmp_path / 'none.json'}: cannot be read: No such file or directory")
