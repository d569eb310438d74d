"""Tokenizers and chat templates where they lie: inside a checkpoint, beside it, or named."""

import json

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from ouroboros.sw.models import tokenizer, words
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.hf_tokenizer import LibraryTokenizer
from ouroboros.sw.models.tokenizer import Tokenizer

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())


@pytest.fixture
def model(make_checkpoint):
    return make_checkpoint(vocab_size=262, n_layers=1)


def write_json(folder, more=()):
    core = tokenizers.Tokenizer(models.BPE(
        vocab={word: n for n, word in enumerate(["<s>", "</s>", *LETTERS])}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<s>", "</s>", *more])
    core.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def write_bin(path, count=262):
    pieces = [b"<unk>", b"<s>", b"</s>", b" ", *(b"<0x%02X>" % n for n in range(256))]
    pieces += [b"w%d" % n for n in range(count - len(pieces))]
    tokenizer.write(path, Tokenizer([(piece, 0.0) for piece in pieces]))
    return path


GGUF_WORDS = {
    "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": ["<s>", "</s>", *LETTERS], "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.token_type": [3, 3] + [1] * 256, "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.eos_token_id": 1,
    "tokenizer.chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"}
USER = [{"role": "user", "content": "Hi"}]


def test_inside_a_gguf_file(model, write_gguf, tmp_path):
    keys = GGUF_WORDS | {"tokenizer.ggml.tokens": ["<s>", "</s>", *LETTERS, "ab"],
                         "tokenizer.ggml.token_type": [3, 3] + [1] * 257}
    path = write_gguf(tmp_path / "m.gguf", model, extra=keys)
    found = words.find(path, model)
    assert found.coder.decode(found.coder.encode("abc")) == "abc"
    assert found.chat.render(USER) == "<s>Hi</s>"
    assert found.chat.name == f"{path}: tokenizer.chat_template"
    # Another tokenizer, where one is named.
    other = words.find(path, model, write_bin(tmp_path / "t.bin"))
    assert isinstance(other.coder, Tokenizer) and other.chat is None
    # The tokenizer of a GGUF file for a checkpoint of another kind.
    assert words.find(tmp_path / "x.bin", model, path).coder.encode("ab") == [258]


def test_a_gguf_file_by_its_first_bytes(model, write_gguf, tmp_path):
    path = write_gguf(tmp_path / "sha256-0123", model, extra=GGUF_WORDS)
    assert words.is_gguf(path)
    found = words.find(path, model)         # "ab" has no token
    assert found.coder is None
    assert found.fault == (f"{path}: tokenizer.ggml.merges must be of two tokens that make one, "
                           "not 'a b' (number 0)")


def test_beside_a_folder(model, tmp_path):
    write_json(tmp_path)
    for path in (tmp_path, tmp_path / "model.safetensors"):
        found = words.find(path, model)
        assert isinstance(found.coder, LibraryTokenizer) and found.chat is None
    config = tmp_path / "tokenizer_config.json"
    token = {"content": "<s>", "special": True}
    config.write_text(json.dumps({"bos_token": token, "eos_token": "</s>", "chat_template":
                                  "{{ bos_token }}1{{ eos_token }}"}))
    found = words.find(tmp_path, model).chat
    assert (found.render(USER), found.name) == ("<s>1</s>", f"{config}: chat_template")
    config.write_text(json.dumps({"chat_template": [{"name": "tools", "template": "t"},
                                                    {"name": "default", "template": "2"}]}))
    assert words.find(tmp_path, model).chat.render(USER) == "2"
    (tmp_path / "chat_template.jinja").write_text("3")
    assert words.find(tmp_path, model).chat.render(USER) == "3"


def test_beside_a_file(model, tmp_path):
    path = tmp_path / "m.bin"
    assert words.find(path, model).fault == (
        f"{path}: --tokenizer must be given to turn text into tokens")
    write_bin(tmp_path / "tokenizer.bin")
    assert words.find(path, model).coder.name == str(tmp_path / "tokenizer.bin")
    write_bin(tmp_path / "m_tokenizer.bin")
    assert words.find(path, model).coder.name == str(tmp_path / "m_tokenizer.bin")


def test_one_that_was_found_and_does_not_fit_is_no_error_yet(model, tmp_path):
    write_bin(tmp_path / "tokenizer.bin", 300)
    found = words.find(tmp_path / "m.bin", model)
    assert found.coder is None
    assert found.fault == (f"{tmp_path / 'tokenizer.bin'}: vocabulary must have the checkpoint's "
                           "262 tokens, not 300")
    path = write_json(tmp_path, ["<a>", "<b>", "<c>", "<d>", "<e>"])
    found = words.find(tmp_path, model)
    assert found.fault == f"{path}: ids must be below the checkpoint's vocabulary of 262, not 262"


def test_one_that_was_named_and_does_not_fit(model, tmp_path):
    path = write_json(tmp_path, ["<a>", "<b>", "<c>", "<d>", "<e>"])
    for named in (path, tmp_path):
        with pytest.raises(CheckpointError, match="ids must be below the checkpoint's vocabulary"):
            words.find(tmp_path / "m.bin", model, named)
    path.rename(tmp_path / "other")         # told by its first bytes
    with pytest.raises(CheckpointError, match="ids must be below the checkpoint's vocabulary"):
        words.find(tmp_path / "m.bin", model, tmp_path / "other")
    with pytest.raises(CheckpointError) as caught:
        words.find(tmp_path, model, tmp_path / "none")
    assert str(caught.value) == f"{tmp_path / 'none'}: cannot be read: No such file or directory"


def test_a_sentencepiece_model_alone(model, tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02")
    assert words.find(tmp_path, model).fault == (
        f"{tmp_path}: must hold tokenizer.json, not tokenizer.model alone, a sentencepiece model: "
        "save the tokenizer as tokenizer.json")


@pytest.mark.parametrize("value", [7, [{"name": "tools", "template": "t"}]])
def test_a_chat_template_of_another_form(value, model, tmp_path):
    write_json(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"chat_template": value}))
    assert words.find(tmp_path, model).fault == (
        f"{config}: chat_template must be a template, or a list with one whose name is default, "
        f"not {json.dumps(value)}")
