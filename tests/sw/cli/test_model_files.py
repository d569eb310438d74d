"""Files of models as ``ouroboros run`` and ``quantise`` meet them: right answers or refusals.

Every input of a public bug report is tried where it lies beside this checkout; small ones of the
same kinds are made here.
"""

import dataclasses
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from ouroboros.sw.cli.main import cli
from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.quantise import source

WORDS = [b" ", *(bytes([c]) for c in b"abcdefghijklmnopqrstuvwxyzHT.,!"), b"\x1b[2J"]


@pytest.fixture
def ouroboros(monkeypatch, tmp_path):
    """The command in a cache of its own: exit code, output and what --json wrote."""
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "cache"))

    def call(*arguments):
        found = tmp_path / f"{arguments[0]}.json"
        result = CliRunner().invoke(cli, [*map(str, arguments), "--json", str(found)])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result, json.loads(found.read_text()) if result.exit_code == 0 else None

    return call


@pytest.fixture
def run(ouroboros):
    def call(model, coder, prompt="Hi", tokens=8):
        return ouroboros("run", "--checkpoint", model, "--tokenizer", coder, "--prompt", prompt,
                         "--tokens", tokens, "--verify", "all", "--logits")
    return call


@pytest.fixture
def coder(tmp_path):
    def write(byte_pieces=True, words=WORDS):
        pieces = [b"<unk>", b"<s>", b"</s>"]
        pieces += [b"<0x%02X>" % n for n in range(256)] if byte_pieces else []
        pieces += words
        pieces += [b"<%d>" % n for n in range(len(pieces), 320)]
        tokenizer.write(tmp_path / "tok.bin", Tokenizer([(piece, 0.0) for piece in pieces]))
        return tmp_path / "tok.bin"
    return write


@pytest.fixture
def writing(make_checkpoint):
    """A model of the small machine that writes one token always: channel 0 is constant."""
    def make(token):
        made = make_checkpoint(tied=False, dim=64, hidden_dim=96, vocab_size=320, seq_len=32)
        made.embedding[:, 0] = 8
        for layer in made.layers:
            layer.wo[0] = layer.w2[0] = 0
        made.head[token] = 0
        made.head[token, 0] = 8
        return made
    return make


@pytest.mark.parametrize(("config", "begin", "stops"), [
    ({"bos_token_id": 0, "eos_token_id": 300}, [0], True),
    ({"bos_token_id": 1, "eos_token_id": [299, 300]}, [1], True),
    ({"bos_token_id": 5, "eos_token_id": 2}, [5], False),
    ({"bos_token_id": None, "eos_token_id": None}, [], False),
    ({}, [1], False),
])
def test_begin_and_end_of_texts(config, begin, stops, writing, write_hf, coder, run, tmp_path):
    model, found = write_hf(tmp_path / "hf", writing(300), **config), coder()
    result, answer = run(model, found)
    assert result.exit_code == 0, result.output
    words = 3 + 256 + np.array([WORDS.index(piece) for piece in (b" ", b"H", b"i")])
    assert answer["prompt_tokens"] == [[*begin, *words]]
    assert answer["tokens"] == [[300] * (1 if stops else 8)]
    assert answer["finished"] == ["stop" if stops else "length"]
    # What a model's generation_config.json says comes first.
    (model / "generation_config.json").write_text('{"bos_token_id": 3, "eos_token_id": 300}')
    _, answer = run(model, found)
    assert (answer["prompt_tokens"][0][0], answer["tokens"]) == (3, [[300]])


def test_bos_alone_ends_a_text_of_llama2c(writing, coder, run, tmp_path):
    for token in (1, 2):
        llama2c.write(tmp_path / "model.bin", writing(token))
        assert run(tmp_path / "model.bin", coder())[1]["tokens"] == [[token]]


def test_an_empty_prompt_without_bos(writing, write_hf, coder, run, tmp_path):
    model = write_hf(tmp_path / "hf", writing(300), bos_token_id=None)
    result, _ = run(model, coder(), prompt="")
    assert (result.exit_code, result.output) == (2, (
        f"Error: prompt '' must be at least one token, as {model} begins texts without BOS\n"))


def test_a_character_without_a_token(writing, write_hf, coder, run, tmp_path):
    model, found = write_hf(tmp_path / "hf", writing(300)), coder(byte_pieces=False)
    assert run(model, found, prompt="Hi Ti")[0].exit_code == 0
    result, _ = run(model, found, prompt="Hi Zi")
    assert (result.exit_code, result.output) == (2, (
        f"Error: {found}: vocabulary must have a token for 'Z' (character 4 of the text), or for "
        "each of its bytes\n"))


@pytest.mark.parametrize(("token", "shown"), [
    (3 + 0x1B, "\\x1b"), (3 + ord("\n"), "\n"), (3 + 0x9B, "\N{REPLACEMENT CHARACTER}"),
    (3 + 256 + WORDS.index(b"\x1b[2J"), "\\x1b[2J")])
def test_control_characters_are_shown_not_sent(token, shown, writing, write_hf, coder, run,
                                               tmp_path):
    model = write_hf(tmp_path / "hf", writing(token))
    result, answer = run(model, coder(), tokens=2)
    assert f"\nHi{shown}{shown}\n" in result.output
    assert "\x1b" not in result.output
    assert answer["text"][0].startswith("Hi")


def test_a_loss_is_told_before_the_run(make_checkpoint, write_hf, coder, run, caplog, tmp_path):
    made = make_checkpoint(tied=False, dim=64, hidden_dim=96, vocab_size=320, seq_len=32)
    made.embedding[1, 3] = 3000
    model = write_hf(tmp_path / "hf", made)
    answer = run(model, coder())[1]
    assert answer["loss"]["kl_nats"] > 0.05
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(
        f"Warning: {model}: the integer model is far from the float model: ")


@pytest.mark.parametrize("measured", [True, False])
def test_every_command_that_places_tells_the_loss(measured, make_checkpoint, write_hf, coder,
                                                  ouroboros, caplog, tmp_path, monkeypatch):
    """A large loss with its figure, and that there is none where it was never measured."""
    made = make_checkpoint(tied=False, dim=64, hidden_dim=96, vocab_size=320, seq_len=32)
    made.embedding[1, 3] = 3000
    if not measured:
        plain = source.quantise_with_loss
        monkeypatch.setattr(source, "quantise_with_loss", lambda *given, **named:
                            dataclasses.replace(plain(*given, **named), loss=None))
    model = write_hf(tmp_path / "hf", made)
    for command, options in (
            ("run", ["--prompt", "Hi", "--tokens", 1, "--tokenizer", coder()]),
            ("predict", ["--prompt-tokens", 2, "--context", 4]), ("map", ["--moves", 10])):
        caplog.clear()
        result, _ = ouroboros(command, "--machine", "small", "--checkpoint", model, *options)
        assert result.exit_code == 0, result.output
        [told] = caplog.messages
        assert told.startswith(f"Warning: {model}: " + (
            "the integer model is far from the float model: " if measured
            else "its loss was not measured"))
        assert not measured or re.search(r": [0-9.]+ % more perplexity", told)


def test_positions_beyond_any_machine(make_checkpoint, write_hf, coder, run, tmp_path):
    made = make_checkpoint(tied=False, dim=64, hidden_dim=96, vocab_size=320, seq_len=32)
    model = write_hf(tmp_path / "hf", made, max_position_embeddings=2**31 - 1)
    assert run(model, coder())[0].exit_code == 0
    (entry,) = (tmp_path / "cache" / "quant").iterdir()
    assert entry.stat().st_size < 5e6


# The inputs of public bug reports.

@pytest.mark.parametrize(("name", "prompt", "tokens", "finished"), [
    ("hf_bos0_eos300", [0, 259, 293, 268], [300], "stop"),
    ("hf_eos_list", [1, 259, 293, 268], [301], "stop")])
def test_reported_special_tokens(name, prompt, tokens, finished, case, run):
    _, found = run(case(name) / "model", case(name) / "tok.bin")
    assert (found["prompt_tokens"], found["tokens"], found["finished"]) == (
        [prompt], [tokens], [finished])


@pytest.mark.parametrize(("name", "model", "coder_name", "message"), [
    ("tok_no_bytes", "model", "tok.bin",
     ("tok.bin: vocabulary must have a token for 'Z' (character 5 of the text), or for each of its "
      "bytes")),
    ("tokenizer_model", "model", "tokenizer.model",
     ("tokenizer.model: must be a llama2.c tokenizer .bin, not a sentencepiece model: convert it "
      "first")),
    ("pytorch_model_bin", "pytorch_model.bin", "pytorch_model.bin",
     ("pytorch_model.bin: must be a llama2.c checkpoint, not a PyTorch checkpoint or another zip "
      "archive: take the model's safetensors instead")),
    ("rope_scaling_beside_parameters", "model", "tok.bin",
     ("model/config.json: rope_scaling must say the same as rope_parameters, not {'type': 'linear',"
      " 'factor': 4.0} beside {'rope_theta': 10000.0, 'rope_type': 'default'}")),
    ("cfg_hidden_size_float", "model", "none.bin",
     "model/config.json: hidden_size must be a whole number, not 64.0"),
])
def test_reported_refusals(name, model, coder_name, message, case, run):
    result, _ = run(case(name) / model, case(name) / coder_name, prompt="the Z")
    assert (result.exit_code, result.output) == (2, f"Error: {case(name)}/{message}\n")


def test_reported_weights_that_overflow(case, ouroboros):
    model = case("weights_all_ones") / "model"
    result, _ = ouroboros("quantise", "--checkpoint", model, "--tokens", 0, "--scheme", "R")
    assert (result.exit_code, result.output) == (2, (
        f"Error: {model}: residual stream must be at most 4096 in text of the calibration, an "
        "int16 with room for 8 times that, not 7.95e+05 after "
        "model.layers.1.mlp.down_proj.weight: weights are too large\n"))


def test_reported_switch_of_the_index(case, run, tmp_path):
    folder = case("index_switch_cache")
    model = tmp_path / "model"
    model.mkdir()
    for file in (folder / "model").iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    index = model / "model.safetensors.index.json"
    answers = []
    for name in ("index_old.json", "index_new.json", "index_old.json"):
        index.write_bytes((folder / name).read_bytes())
        answers.append(run(model, folder / "tok.bin", prompt="Hello")[1]["tokens"])
    assert answers[0] == answers[2] != answers[1]
    assert answers[0] == [[101, 146, 73, 159, 218, 284, 191, 205]]


def test_reported_rope_tables(case, run):
    """Tables of base 1e6: the float model of that base, not that of 1e4, is met."""
    folder = case("llama2c_rope_table")
    _, found = run(folder / "model.bin", folder / "tok.bin", prompt="Hello there.")
    read = llama2c.read(folder / "model.bin")
    text = [*found["prompt_tokens"][0], *found["tokens"][0]][:-1]
    logits = np.array([found["logits"][0][str(n)] for n in range(len(text))]) / 4096

    def correlation(theta):
        shape = dataclasses.replace(read.shape, rope_theta=theta)
        floats = FloatLlama(dataclasses.replace(read, shape=shape)).forward(np.array([text]))
        return np.corrcoef(floats.ravel(), logits.ravel())[0, 1]

    assert correlation(1e6) > 0.99 > 0.9 > correlation(1e4)


def test_reported_massive_activation(case, run, caplog):
    folder = case("massive_activation_1000")
    run(folder / "model", folder / "tok.bin", prompt="Hello there.")
    assert len(caplog.messages) == 1
    assert "far from the float model: 693.3 % more perplexity (limit 5 %)" in caplog.messages[0]


def test_reported_control_characters(case, run):
    folder = case("control_characters")
    result, _ = run(folder / "model", folder / "tok.bin", tokens=3)
    assert "\nHi\\x1b\\x1b\\x1b\n" in result.output
    assert "\x1b" not in result.output


def test_reported_positions(case, run, tmp_path):
    folder = case("positions_4194304")
    assert run(folder / "model", folder / "tok.bin", tokens=2)[0].exit_code == 0
    (entry,) = (tmp_path / "cache" / "quant").iterdir()
    assert entry.stat().st_size < 5e6
