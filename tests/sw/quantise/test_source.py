"""Opening models by path, and the cache of quantisations."""

import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.quantise import source


@pytest.fixture
def files(make_checkpoint, tmp_path):
    pieces = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % n for n in range(256)), b" "]
    tokenizer.write(tmp_path / "tok.bin", Tokenizer([(piece, 0.0) for piece in pieces]))
    llama2c.write(tmp_path / "model.bin", make_checkpoint(vocab_size=260, n_layers=1))
    return tmp_path


def test_cache_is_used_and_keyed(files, monkeypatch):
    made = []
    quantise = source.quantiser.quantise
    monkeypatch.setattr(source.quantiser, "quantise",
                        lambda *args, **kw: made.append(1) or quantise(*args, **kw))
    cache, text = files / "cache", files / "text.txt"
    text.write_text("Hello, this is a text for calibration. " * 5)

    def digest(**options):
        opened = source.open_model(files / "model.bin", files / "tok.bin")
        return opened.quantised(cache=cache, **options).digest

    first = digest()
    assert digest() == first
    assert len(made) == 1
    others = [digest(seed=1), digest(residual_fraction_bits=6), digest(calibration=text)]
    assert len({first, *others}) == 4
    assert len(made) == 4
    assert [digest(seed=1), digest(residual_fraction_bits=6), digest(calibration=text)] == others
    assert len(made) == 4

    # A damaged entry is made again; another checkpoint is another entry.
    for entry in cache.iterdir():
        entry.write_bytes(b"broken")
    assert digest() == first
    assert len(made) == 5
    content = bytearray((files / "model.bin").read_bytes())
    content[30] ^= 64
    (files / "model.bin").write_bytes(content)
    assert digest() != first
    assert not list(cache.glob("*.part"))


def test_no_cache_and_an_unwritable_one(files):
    opened = source.open_model(files / "model.bin")
    (files / "file").write_text("")
    assert opened.quantised(cache=None).digest == opened.quantised(cache=files / "file").digest


def test_refusals(files):
    text = files / "text.txt"
    text.write_bytes(b"\xff\xfe")
    with_tokens = source.open_model(files / "model.bin", files / "tok.bin")
    none, odd = files / "none.txt", files / "model.txt"
    odd.write_text("")
    (files / "empty.txt").write_text(" \n")
    cases = [
        (lambda: source.open_model(files / "model.bin").quantised(calibration=text),
         f"{text}: a calibration text needs a tokenizer, which is missing"),
        (lambda: with_tokens.quantised(calibration=text),
         f"{text}: calibration text must be UTF-8"),
        (lambda: with_tokens.quantised(calibration=none),
         f"{none}: cannot be read: No such file or directory"),
        (lambda: with_tokens.quantised(calibration=files / "empty.txt", cache=None),
         "calibration text must not be empty"),
        (lambda: source.open_model(odd), (
            f"{odd}: checkpoint must be a llama2.c .bin, a .safetensors file or a Hugging Face "
            "folder, not .txt")),
        (lambda: source.open_model(files / "absent"),
         f"{files / 'absent'}: cannot be read: No such file or directory"),
    ]
    for call, message in cases:
        with pytest.raises(OuroborosError) as caught:
            call()
        assert str(caught.value) == message


def test_tokenizer_of_another_model(files, make_checkpoint):
    llama2c.write(files / "other.bin", make_checkpoint())
    with pytest.raises(CheckpointError) as caught:
        source.open_model(files / "other.bin", files / "tok.bin")
    assert str(caught.value) == (
        f"{files / 'tok.bin'}: vocabulary must have the checkpoint's 23 tokens, not 260")
