"""Tokenizers inside GGUF files: against splits by hand, and against llama2.c's own algorithm."""

import random
from pathlib import Path

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from ouroboros.sw.models import gguf_tokenizer
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.gguf_header import Header
from ouroboros.sw.models.tokenizer import Tokenizer

LETTERS = sorted(ByteLevel.alphabet())
MERGES = ["a b", "ab c", "Ġ a", "1 2", "12 3", "Ã ©"]
WORDS = [rule.replace(" ", "") for rule in MERGES]


def header(**changes):
    """A byte-level tokenizer with two special tokens and one of a user's."""
    tokens = [*LETTERS, *WORDS, "<s>", "</s>", "[USER]"]
    values = {"model": "gpt2", "pre": "gpt-2", "tokens": tokens, "merges": MERGES,
              "token_type": [1] * (len(tokens) - 3) + [3, 3, 4], "bos_token_id": len(tokens) - 3,
              "eos_token_id": len(tokens) - 2} | changes
    return Header(path=Path("m.gguf"), tensors={}, size=0, values={
        f"tokenizer.ggml.{name}": value for name, value in values.items() if value is not None})


def read(vocab_size=300, **changes):
    return gguf_tokenizer.read(header(**changes), vocab_size)


SPLITS = {
    "gpt-2": ["Hello", " ", " world", "'s", " 12345", "\n\n", " it", "'", "S"],
    "default": ["Hello", " ", " world", "'", "s", " ", "123", "45", "\n\n", " it", "'", "S"],
    "smollm": ["Hello", " ", " world", "'s", " ", *"12345", "\n\n", " it", "'", "S"],
    "llama-bpe": ["Hello", " ", " world", "'s", " ", "123", "45", "\n\n", " it", "'S"],
    "qwen2": ["Hello", " ", " world", "'s", " ", *"12345", "\n\n", " it", "'S"],
}


@pytest.mark.parametrize("name", gguf_tokenizer.PRE)
def test_words_of_each_pre_tokeniser(name):
    text = "Hello  world's 12345\n\n it'S"
    core = read(pre=name)._core
    cut = [text[slice(*span)] for _, span in core.pre_tokenizer.pre_tokenize_str(text)]
    assert cut == SPLITS["llama-bpe" if name in gguf_tokenizer.LLAMA3 else name]


def test_byte_level():
    coder = read()
    assert [coder.pieces[n].decode() for n in coder.encode("abc ab12é\n[USER]")] == [
        "abc", "Ġ", "ab", "12", "Ã©", "Ċ", "[USER]"]
    text = "abc  12345 Zürich \N{SNOWMAN}\0\n"
    assert coder.decode(coder.encode(text)) == text
    assert coder.special.bos_id is None and coder.special.stop_ids == (len(LETTERS) + 7,)
    assert coder.decode([len(LETTERS) + 6, *coder.encode("ab</s>")]) == "ab"
    assert coder.decode(coder.encode("é")[:1]) == "é"
    assert coder.decode([LETTERS.index("Ã")]) == "\N{REPLACEMENT CHARACTER}"


def test_bos_and_whole_words():
    coder = read(pre="llama-bpe", merges=["1 2", "12 3", "a b"])
    # "abc" is a piece that no merge makes.
    assert [coder.pieces[n].decode() for n in coder.encode("abc")] == ["<s>", "abc"]
    assert [coder.pieces[n].decode() for n in read(merges=["1 2", "12 3", "a b"]).encode("abc")] \
        == ["ab", "c"]
    assert coder.encode("", bos=False) == []


def sentencepiece(rng, byte_pieces=True):
    """A random vocabulary of merges, as pieces of GGUF, kinds, and scores."""
    pieces = ["<unk>", "<s>", "</s>"]
    kinds = [2, 3, 3]
    if byte_pieces:
        pieces += [f"<0x{n:02X}>" for n in range(256)]
        kinds += [6] * 256
    words = ["\u2581", *"abcé", "<"]
    while len(words) < 60:
        made = rng.choice(words) + rng.choice(words)
        if made not in words and len(made) < 7:
            words.append(made)
    pieces += words
    kinds += [1] * len(words)
    return pieces, kinds, [0.0] * (len(pieces) - 54) + [float(-n) for n in range(54)]


@pytest.mark.parametrize("seed", range(5))
def test_sentencepiece_is_llama2c(seed):
    """The same vocabulary in llama2.c's form, whose encoder merges by scores: the same tokens."""
    rng = random.Random(seed)
    pieces, kinds, scores = sentencepiece(rng)
    ours = read(400, model="llama", tokens=pieces, token_type=kinds, scores=scores, merges=None,
                bos_token_id=None, eos_token_id=None)
    theirs = Tokenizer([(piece.replace("\u2581", " ").encode(), score)
                        for piece, score in zip(pieces, scores, strict=True)])
    for _ in range(200):
        text = "".join(rng.choices("aaabbbccé< \nZ\N{SNOWMAN}", k=rng.randint(1, 30)))
        assert ours.encode(text) == theirs.encode(text), text
        assert ours.decode(ours.encode(text)) == text == theirs.decode(theirs.encode(text))


def test_sentencepiece_without_bytes_and_without_prefix():
    pieces, kinds, scores = sentencepiece(random.Random(1), byte_pieces=False)
    given = {"model": "llama", "tokens": pieces, "token_type": kinds, "scores": scores,
             "merges": None, "bos_token_id": None, "eos_token_id": None}
    coder = read(**given)
    assert coder.encode("aZ")[-1] == 0              # unknown, which is a token of its own
    assert read(**given, add_space_prefix=False).encode("a") == [1, pieces.index("a")]
    none = read(**given | {"token_type": [1, 3, 3, *kinds[3:]]})
    with pytest.raises(CheckpointError) as caught:
        none.encode("aZ")
    assert str(caught.value) == ("m.gguf: vocabulary must have a token for 'Z' (character 2 of "
                                 "the text), or for each of its bytes")


REFUSED = {
    "kind": ({"model": "bert"}, "tokenizer.ggml.model must be gpt2 or llama, not 'bert'"),
    "no kind": ({"model": None}, "key tokenizer.ggml.model must be present"),
    "pre": ({"pre": "superbpe"}, ("tokenizer.ggml.pre must be one of default, gpt-2, smollm, "
                                  "qwen2, llama-bpe, llama3, llama-v3, not 'superbpe'")),
    "no pre": ({"pre": None}, "key tokenizer.ggml.pre must be present"),
    "merges": ({"merges": ["a b", "a q"]}, ("tokenizer.ggml.merges must be of two tokens that make "
                                            "one, not 'a q' (number 1)")),
    "kinds": ({"token_type": [1]}, ("tokenizer.ggml.token_type must have a kind for each of 265 "
                                    "tokens, not 1")),
    "tokens": ({"tokens": None}, "key tokenizer.ggml.tokens must be present"),
    "large": ({"vocab_size": 264}, ("tokenizer.ggml.tokens must be at most the checkpoint's "
                                    "vocabulary of 264, not 265")),
    "scores": ({"model": "llama", "scores": [0.0]}, (
        "tokenizer.ggml.scores must have a score for each of 265 tokens, not 1")),
    "NaN": ({"model": "llama", "scores": [float("nan")] * 265},
            "tokenizer.ggml.scores must be numbers, not NaN"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    changes, message = REFUSED[name]
    with pytest.raises(CheckpointError) as caught:
        read(**changes)
    assert str(caught.value) == f"m.gguf: {message}"
