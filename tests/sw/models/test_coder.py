"""Texts as they come: nothing is given out that later tokens change, and nothing is lost."""

import random

import pytest

from ouroboros.sw.models.coder import TextStream
from ouroboros.sw.models.special import SpecialTokens
from ouroboros.sw.models.tokenizer import Tokenizer

PROMPT = "xé".encode()
BYTES = Tokenizer([*((b"<0x%02X>" % n, 0.0) for n in range(256)), (b" ", 0.0)],
                  special=SpecialTokens(bos_id=None, stop_ids=()))


def test_half_a_character_waits():
    stream = TextStream(BYTES, b"prompt ")
    assert [stream.feed(byte) for byte in "aé☃".encode()] == ["a", "", "é", "", "", "☃"]
    assert [stream.feed(0xC3), stream.end(), stream.text] == [
        "", "\N{REPLACEMENT CHARACTER}", "aé☃\N{REPLACEMENT CHARACTER}"]


def test_what_may_begin_a_stop_text_waits():
    stream = TextStream(BYTES, (), ["END", "\n\n"])
    given = [stream.feed(byte) for byte in b"aENxE\nEN"]
    assert given == ["a", "", "", "ENx", "", "E\n"[:1], "\n", ""]
    assert (stream.feed(ord("D")), stream.stopped, stream.text) == ("", True, "aENxE\n")
    assert (stream.feed(ord("q")), stream.end()) == ("", "")


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost(seed):
    rng = random.Random(seed)
    text = "".join(rng.choices("ab\nEND é☃\N{GRINNING FACE}", k=60)).encode()
    for stops in ((), ("END",), ("ab", "b\n")):
        stream = TextStream(BYTES, PROMPT, stops)
        given = "".join(stream.feed(byte) for byte in text) + stream.end()
        found = [at for stop in stops if (at := text.decode().find(stop)) >= 0]
        assert given == text.decode()[:min(found, default=None)] == stream.text
        assert stream.stopped == bool(found)
        assert TextStream(BYTES, PROMPT, stops, text).text == given
