"""The tokenizer against a literal transcription of run.c, and against damaged files."""

import random
import struct

import pytest

from ouroboros.sw.models import tokenizer
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.special import SpecialTokens
from ouroboros.sw.models.tokenizer import Tokenizer


def toy():
    pieces = [(b"<unk>", 0.0), (b"\n<s>\n", 0.0), (b"\n</s>\n", 0.0)]
    pieces += [(b"<0x%02X>" % n, 0.0) for n in range(256)]
    words = [b" ", b"a", b"b", b"c", b"ab", b"bc", b" a", b"abc", b" ab", b"aa", "é".encode(),
             "éa".encode(), b"aaa", b"cc",
             b"cbc"]
    # Equal scores for ab and bc: the leftmost pair wins.
    scores = [0.0, 0.0, 0.0, 0.0, -2.0, -2.0, -1.0, -3.0, -2.5, -1.5, 0.0, -9.0, -1e10, -4.0, -5.0]
    return Tokenizer(pieces + list(zip(words, scores, strict=True)))


def encode_as_run_c(t, text):
    """The loops of run.c ``encode``."""
    lookup = {}
    for n, piece in enumerate(t.pieces):
        lookup.setdefault(piece, n)
    tokens = [1]
    if text:
        tokens.append(lookup[b" "])
    for character in text:
        coded = character.encode()
        tokens += [lookup[coded]] if coded in lookup else [byte + 3 for byte in coded]
    while True:
        best_score, best_id, best_at = -1e10, -1, -1
        for n in range(len(tokens) - 1):
            merged = lookup.get(t.pieces[tokens[n]] + t.pieces[tokens[n + 1]], -1)
            if merged != -1 and t.scores[merged] > best_score:
                best_score, best_id, best_at = t.scores[merged], merged, n
        if best_at == -1:
            return tokens
        tokens[best_at:best_at + 2] = [best_id]


def test_encode_equals_run_c():
    t, rng = toy(), random.Random(1)
    for _ in range(400):
        text = "".join(rng.choices("aaabbbccé \nZ☃", k=rng.randint(0, 30)))
        assert t.encode(text) == encode_as_run_c(t, text)


def test_decode_gives_the_text_back():
    t, rng = toy(), random.Random(2)
    for _ in range(100):
        text = "".join(rng.choices("abcé \nZ☃😀", k=rng.randint(0, 30)))
        assert t.decode([*t.encode(text), 2]) == text


def test_special_tokens_and_bytes():
    t = toy()
    assert t.encode("") == [1]
    assert t.encode("Z", bos=False) == [259, 3 + ord("Z")]
    assert t.piece(1, 265) == b"a"
    assert t.piece(260, 265) == b" a"
    assert t.piece(None, 3 + 0xC3) == b"\xc3"
    assert t.decode([3 + 0xC3]) == "\N{REPLACEMENT CHARACTER}"


def test_begin_and_end_are_the_models():
    pieces = list(zip(toy().pieces, toy().scores, strict=True))
    t = Tokenizer(pieces, special=SpecialTokens(bos_id=0, stop_ids=(2, 260)))
    assert t.encode("b") == [0, 259, 261]
    assert t.decode([0, 265, 265, 260, 2]) == "a a"
    none = Tokenizer(pieces, special=SpecialTokens(bos_id=None, stop_ids=()))
    assert none.encode("b") == [259, 261]
    assert none.encode("") == []
    # The space before a text, where no BOS tells that one begins; <s> is text like any other.
    assert none.decode([265, 265, 1]) == "a a\n<s>\n"


def test_bytes_are_found_by_their_pieces():
    byte_pieces = [b"<0x%02X>" % n for n in range(256)]
    # Last, in reverse, and one of them in lower case.
    mixed = [b"<unk>", b"<s>", b"</s>", b" ", b"a", b"<0x5b>x", *byte_pieces[::-1]]
    mixed[mixed.index(b"<0x5A>")] = b"<0x5a>"
    t = Tokenizer([(piece, 0.0) for piece in mixed])
    assert [t.pieces[token] for token in t.encode("aZ\N{SNOWMAN}")] == [
        b"<s>", b" ", b"a", b"<0x5a>", b"<0xE2>", b"<0x98>", b"<0x83>"]
    assert t.decode(t.encode("aZ\N{SNOWMAN}[")) == "aZ\N{SNOWMAN}["
    assert t.piece(4, 5) == b"<0x5b>x"


def test_a_character_without_tokens_is_refused():
    # As sentencepiece without byte fallback: token 3 + ord("Z") is there and something else.
    words = [(b"word%d" % n, 0.0) for n in range(100)]
    t = Tokenizer([(b"<unk>", 0.0), (b"<s>", 0.0), (b"</s>", 0.0), (b" ", 0.0), *words], "tok.bin")
    with pytest.raises(CheckpointError) as caught:
        t.encode(" Z")
    assert str(caught.value) == ("tok.bin: vocabulary must have a token for 'Z' (character 2 of "
                                 "the text), or for each of its bytes")
    some = Tokenizer([(b" ", 0.0), (b"<0xE2>", 0.0), (b"<0x98>", 0.0)])
    with pytest.raises(CheckpointError, match="a token for '\N{SNOWMAN}'"):
        some.encode("\N{SNOWMAN}", bos=False)
    with pytest.raises(CheckpointError) as caught:
        toy().encode("a\ud800")
    assert str(caught.value) == ("tokenizer: text must have no half of a surrogate pair, not "
                                 "'\\ud800' (character 2 of the text)")


def test_file_round_trip(tmp_path):
    path = tmp_path / "tok.bin"
    tokenizer.write(path, toy())
    again = tokenizer.read(path, 274)
    assert again.pieces == toy().pieces
    assert again.scores == toy().scores


def test_published_tokenizer(shared_file):
    t = tokenizer.read(shared_file("checkpoints/tok512.bin"), 512)
    text = "Once upon a time, there was a little girl named Lily."
    tokens = t.encode(text)
    assert tokens == encode_as_run_c(t, text)
    assert t.decode(tokens) == text


ENTRY = struct.pack("<fi", 0.0, 1) + b"a"
DAMAGED = [
    (b"", "truncated: header must be 4 bytes, not 0"),
    (b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02",
     "must be a llama2.c tokenizer .bin, not a sentencepiece model: convert it first"),
    (b'{\n "version": "1.0"}',
     "must be a llama2.c tokenizer .bin, not JSON text: convert it first"),
    (struct.pack("<i", 0), "corrupt: max_token_length must be positive, not 0"),
    (struct.pack("<i", 4), "vocabulary must not be empty"),
    (struct.pack("<i", 4) + ENTRY + b"xy", "token 1: truncated: the file ends inside its header"),
    (struct.pack("<i", 4) + ENTRY[:-1], "token 0: truncated: the file ends inside its text"),
    (struct.pack("<ifi", 4, 0.0, 5) + b"abcde",
     "token 0: corrupt: length must be between 0 and max_token_length = 4, not 5"),
    (struct.pack("<ifi", 4, 0.0, -1),
     "token 0: corrupt: length must be between 0 and max_token_length = 4, not -1"),
    (struct.pack("<ifi", 4, float("nan"), 1) + b"a", "token 0: corrupt: score must be a number"),
    (struct.pack("<i", 4) + ENTRY, "vocabulary must have the checkpoint's 3 tokens, not 1"),
]


@pytest.mark.parametrize(("content", "message"), DAMAGED)
def test_damaged_files(content, message, tmp_path):
    path = tmp_path / "tok.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        tokenizer.read(path, 3)
    assert str(caught.value) == f"{path}: {message}"


def test_other_formats_and_wrong_tokens(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        tokenizer.read(tmp_path / "none.bin")
    assert str(caught.value) == (
        f"{tmp_path / 'none.bin'}: cannot be read: No such file or directory")
    with pytest.raises(CheckpointError) as caught:
        toy().decode([274])
    assert str(caught.value) == "tokenizer: token must be below 274, not 274"
    with pytest.raises(CheckpointError) as caught:
        Tokenizer([(b"a", 0.0), (b"b", 0.0)]).encode("a")
    assert str(caught.value) == "tokenizer: vocabulary must hold the piece b' '"
    with pytest.raises(CheckpointError) as caught:
        Tokenizer([(b" ", 0.0), (b"b", 0.0)]).encode("z")
    assert str(caught.value) == ("tokenizer: vocabulary must have a token for 'z' (character 1 of "
                                 "the text), or for each of its bytes")
