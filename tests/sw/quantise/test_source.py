"""Opening models by path, and the cache of quantisations."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tokenizers
from safetensors import safe_open
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.integer import QuantModelError
from ouroboros.sw.models.special import SpecialTokens
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.quantise import choose, source


@pytest.fixture
def files(make_checkpoint, tmp_path):
    pieces = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % n for n in range(256)), b" "]
    tokenizer.write(tmp_path / "tok.bin", Tokenizer([(piece, 0.0) for piece in pieces]))
    llama2c.write(tmp_path / "model.bin", make_checkpoint(vocab_size=260, n_layers=1))
    return tmp_path


def test_cache_is_used_and_keyed(files, monkeypatch):
    made = []
    quantise = choose.quantiser.quantise
    monkeypatch.setattr(choose.quantiser, "quantise",
                        lambda *args, **kw: made.append(1) or quantise(*args, **kw))
    cache, text = files / "cache", files / "text.txt"
    text.write_text("Hello, this is a text for calibration. " * 5)

    def digest(**options):
        opened = source.open_model(files / "model.bin", files / "tok.bin")
        return opened.quantised(cache=cache, **options).digest

    first = digest()
    assert digest() == first
    assert len(made) == 1
    changes = ({"seed": 1}, {"residual_fraction_bits": 6}, {"calibration": text},
               {"positions": 12})
    others = [digest(**change) for change in changes]
    assert len({first, *others}) == 5
    assert len(made) == 5
    assert [digest(**change) for change in changes] == others
    assert len(made) == 5

    # A damaged entry is made again; another checkpoint is another entry.
    for entry in cache.iterdir():
        entry.write_bytes(b"broken")
    assert digest() == first
    assert len(made) == 6
    content = bytearray((files / "model.bin").read_bytes())
    content[30] ^= 64
    (files / "model.bin").write_bytes(content)
    assert digest() != first
    assert not list(cache.glob("*.part"))


def test_no_cache_and_an_unwritable_one(files):
    opened = source.open_model(files / "model.bin")
    (files / "file").write_text("")
    assert opened.quantised(cache=files / "new").digest == opened.quantised(
        cache=files / "file").digest


def test_default_cache_is_the_projects(files, monkeypatch):
    monkeypatch.setenv("OUROBOROS_CACHE", str(files / "mine"))
    source.open_model(files / "model.bin").quantised()
    assert len(list((files / "mine" / "quant").glob("*.npz"))) == 1


def test_the_key_is_what_was_read(files, make_checkpoint, write_hf, monkeypatch):
    """One folder, whose files are changed one after the other: no entry is taken for another."""
    one, two = make_checkpoint(tied=False), make_checkpoint(tied=False, seed=1)
    folder, cache = files / "hf", files / "cache"
    write_hf(folder, one, file="one.bin")
    write_hf(folder, two, file="two.weights")
    names = list(safetensors_names(folder / "one.bin"))
    index = folder / "model.safetensors.index.json"

    def digest(which, **files_):
        index.write_text(json.dumps({"weight_map": dict.fromkeys(names, which)}))
        for name, table in files_.items():
            (folder / f"{name}.json").write_text(json.dumps(table))
        return source.open_model(folder).quantised(cache=cache).digest

    first, second = digest("one.bin"), digest("two.weights")
    assert first != second
    assert digest("one.bin") == first
    # Another end of texts is another model, though no weight differs.
    assert digest("one.bin", generation_config={"eos_token_id": [2, 3]}) != first
    assert digest("one.bin", generation_config={"eos_token_id": 2}) == first


def safetensors_names(path):
    with safe_open(path, "np") as file:
        return file.keys()


def test_a_change_of_the_code_makes_new_entries(files, monkeypatch):
    opened = source.open_model(files / "model.bin")
    before = opened._key(None, "R", 0, None, None)
    assert opened._key(None, "R", 0, None, None) == before
    read = Path.read_bytes
    for name in ("quantise.py", "numerics.py", "float_llama.py", "evaluate.py", "rope.py",
                 "equivalent.py", "wide.py"):
        monkeypatch.setattr(Path, "read_bytes",
                            lambda path, name=name: read(path) + b"#" * (path.name == name))
        assert opened._key(None, "R", 0, None, None) != before
        monkeypatch.undo()


def test_loss_is_kept_with_the_model_and_told(make_checkpoint, tmp_path, caplog):
    llama2c.write(tmp_path / "good.bin", make_checkpoint(tied=False, gain=0.5))
    bad = make_checkpoint(tied=False, gain=0.5)
    bad.embedding[1, 3] = 3000.0     # a step of the residual that no other value reaches
    llama2c.write(tmp_path / "bad.bin", bad)
    good = source.open_model(tmp_path / "good.bin").quantised(cache=tmp_path / "cache")
    assert good.loss.expected_change_percent < 1
    assert not caplog.records
    opened = source.open_model(tmp_path / "bad.bin")
    for _ in range(2):              # made, and from the cache
        found = opened.quantised(cache=tmp_path / "cache").loss
        assert found.expected_change_percent > 5
        assert caplog.messages == [f"Warning: {tmp_path / 'bad.bin'}: {found.warning()}"]
        caplog.clear()


def test_a_text_too_short_to_measure_a_loss(files, caplog):
    model = source.open_model(files / "model.bin", files / "tok.bin")
    (files / "text.txt").write_text("a")
    long = replace(model, checkpoint=replace(model.checkpoint, special=SpecialTokens(
        bos_id=None, stop_ids=())))
    long.tokenizer.special = long.checkpoint.special
    # One token, the space before a text, and one for its byte: one prediction.
    assert long.quantised(calibration=files / "text.txt", cache=files / "c").loss.tokens == 1


def test_refusals(files):
    text = files / "text.txt"
    text.write_bytes(b"\xff\xfe")
    with_tokens = source.open_model(files / "model.bin", files / "tok.bin")
    none, odd = files / "none.txt", files / "model.txt"
    odd.write_text("")
    gguf = files / "model.gguf"
    gguf.write_bytes(b"GGUF\3\0\0\0")
    (files / "empty.txt").write_text(" \n")
    cases = [
        (lambda: source.open_model(files / "model.bin").quantised(calibration=text),
         (f"{text}: a calibration text needs a tokenizer: {files / 'model.bin'}: --tokenizer must "
          "be given to turn text into tokens")),
        (lambda: with_tokens.quantised(calibration=text),
         f"{text}: must be UTF-8, not UTF-16, whose byte order mark it begins with"),
        (lambda: with_tokens.quantised(calibration=none),
         f"{none}: cannot be read: No such file or directory"),
        (lambda: with_tokens.quantised(calibration=files / "empty.txt"),
         f"{files / 'empty.txt'}: calibration text must not be empty"),
        (lambda: source.open_model(gguf), (
            f"{gguf}: truncated or corrupt: number of tensors needs 8 bytes at 8, but the file "
            "ends at 8")),
        (lambda: source.open_model(odd), (
            f"{odd}: checkpoint must be a llama2.c .bin, a .gguf or .safetensors file or a Hugging "
            "Face folder, not .txt")),
        (lambda: source.open_model(files / "absent"),
         f"{files / 'absent'}: cannot be read: No such file or directory"),
    ]
    for call, message in cases:
        with pytest.raises(OuroborosError) as caught:
            call()
        assert str(caught.value) == message


def test_a_folder_with_a_gguf_file(files, make_checkpoint, write_gguf):
    folder = files / "folder"
    folder.mkdir()
    path = write_gguf(folder / "model.gguf", make_checkpoint(n_layers=1))
    assert source.open_model(folder).path == path
    # By its first bytes, whatever its name.
    path = path.rename(folder / "model.bin")
    assert source.open_model(path).checkpoint.shape.n_layers == 1


def test_a_folder_of_pytorch(files, make_checkpoint, write_hf):
    folder = write_hf(files / "hf", make_checkpoint())
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError) as caught:
        source.open_model(folder)
    assert str(caught.value) == (f"{folder}: must hold model.safetensors, not pytorch_model.bin "
                                 "alone: save the model as safetensors")


def test_bos_is_the_tokenizers(files, make_checkpoint, write_gguf):
    """A tokenizer that begins texts otherwise than the checkpoint says has its way."""
    letters = sorted(ByteLevel.alphabet())
    core = tokenizers.Tokenizer(BPE(vocab={one: n for n, one in enumerate(letters)}, merges=[]))
    core.save(str(files / "tokenizer.json"))
    opened = source.open_model(files / "model.bin", files / "tokenizer.json")
    assert opened.checkpoint.special == opened.coder.special
    assert opened.coder.special.bos_id is None
    assert source.open_model(files / "model.bin").checkpoint.special.bos_id == 1


def test_what_the_integer_model_has_not(files, make_checkpoint, write_gguf):
    made = make_checkpoint(head_dim=6)
    path = write_gguf(files / "m.gguf", made)
    with pytest.raises(QuantModelError) as caught:
        source.open_model(path).quantised(cache=files / "cache")
    assert str(caught.value) == (
        f"{path}: llama.attention.key_length must be llama.embedding_length / "
        "llama.attention.head_count = 4 for the integer model, not 6")
    made = make_checkpoint()
    biased = tuple(replace(layer, bk=layer.wk[:, 0].copy()) for layer in made.layers)
    path = write_gguf(files / "b.gguf", replace(made, layers=biased))
    with pytest.raises(QuantModelError) as caught:
        source.open_model(path).quantised(cache=files / "cache")
    assert str(caught.value) == (f"{path}: attention must have no bias (q, k or v), as the integer "
                                 "model adds none")


def test_a_text_for_a_model_of_one_position(files, make_checkpoint, write_hf):
    folder = write_hf(files / "hf", make_checkpoint(tied=False, vocab_size=260, n_layers=1),
                      max_position_embeddings=1)
    (files / "text.txt").write_text("Hello")
    with pytest.raises(QuantModelError) as caught:
        source.open_model(folder, files / "tok.bin").quantised(
            calibration=files / "text.txt", cache=files / "cache")
    assert str(caught.value) == (
        f"{folder}: max_position_embeddings must be at least 2 for a calibration text, not 1")


def test_tokenizer_of_another_model(files, make_checkpoint):
    llama2c.write(files / "other.bin", make_checkpoint())
    with pytest.raises(CheckpointError) as caught:
        source.open_model(files / "other.bin", files / "tok.bin")
    assert str(caught.value) == (
        f"{files / 'tok.bin'}: vocabulary must have the checkpoint's 23 tokens, not 260")
