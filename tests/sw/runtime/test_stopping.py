"""Texts that end a text, over several tokens."""

import pickle

import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.special import SpecialTokens
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.runtime.stopping import StopTexts

BYTES = Tokenizer([*((b"<0x%02X>" % n, 0.0) for n in range(256)), (b" ", 0.0)],
                  special=SpecialTokens(bos_id=None, stop_ids=()))


def test_a_stop_text_over_several_tokens():
    stops = pickle.loads(pickle.dumps(StopTexts(coder=BYTES, texts=("END", "\n\n"))))
    text = b"an END\n"
    assert [stops.reached((), text[:n]) for n in range(1, 8)] == [False] * 5 + [True] * 2
    # Not in the prompt, nor across its end.
    assert not stops.reached(b"END E", b"ND")
    assert stops.reached(b"x", b"\n\n")


def test_an_empty_one():
    with pytest.raises(OuroborosError) as caught:
        StopTexts(coder=BYTES, texts=("a", ""))
    assert str(caught.value) == "stop text must not be empty"
