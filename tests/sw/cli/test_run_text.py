"""``ouroboros run``: chat, drawn tokens, stop texts, and what is shown while it goes on."""

import json
import re

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli.main import cli


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command with the shipped model: its result, and what --json wrote."""
    def call(*arguments, checkpoint=("--checkpoint", "tales")):
        path = tmp_path / "run.json"
        result = CliRunner().invoke(cli, ["run", *checkpoint, "--tokens", "8", "--json", str(path),
                                          *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result, json.loads(path.read_text()) if result.exit_code == 0 else None
    return call


@pytest.fixture
def folder(tmp_path, make_checkpoint, write_hf):
    """A Hugging Face folder with byte-level tokenizer and chat template, for the machine small."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = tokenizers.Tokenizer(models.BPE(
        vocab={word: n for n, word in enumerate(["<u>", "<s>", "</s>", *letters])}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<s>", "</s>"])
    made = make_checkpoint(tied=False, dim=64, hidden_dim=96, vocab_size=320, seq_len=32)
    path = write_hf(tmp_path / "hf", made)
    core.save(str(path / "tokenizer.json"))
    (path / "chat_template.jinja").write_text(
        "<s>{% for one in messages %}{{ one.role[0] }}{{ one.content }}|{% endfor %}")
    return path


@pytest.mark.long
def test_drawn_tokens_can_be_repeated(run):
    drawn = ("--prompt", "Once", "--prompt", "The dog", "--temperature", 1.5)
    first = run(*drawn, "--seed", 1)[1]
    assert run(*drawn, "--seed", 1, "--window", 1)[1]["tokens"] == first["tokens"]
    assert run(*drawn, "--seed", 2)[1]["tokens"] != first["tokens"]
    greedy = run("--prompt", "Once")[1]["tokens"]
    for narrow in (("--top-k", 1), ("--top-p", 1e-9)):
        assert run("--prompt", "Once", "--temperature", 5, *narrow)[1]["tokens"] == greedy


def test_a_stop_text_is_left_out(run):
    free = run("--prompt", "Once upon")[1]
    assert free["answer"] == [" a time, there was "[:len(free["answer"][0])]]
    assert free["text"] == ["Once upon" + free["answer"][0]]
    _, found = run("--prompt", "Once upon", "--stop", "zzz", "--stop", "me, ")
    assert (found["text"], found["answer"]) == (["Once upon a ti"], [" a ti"])
    assert found["finished"] == ["stop"]
    assert found["tokens"][0] == free["tokens"][0][:len(found["tokens"][0])]
    assert run("--prompt", "x", "--stop", "")[0].output.endswith(
        "Error: stop text must not be empty\n")


def test_logits_are_written_where_asked_for(run):
    assert "logits" not in run("--prompt", "One")[1]
    assert len(run("--prompt", "One", "--logits")[1]["logits"][0]) == 8


def test_lines_with_times_where_there_is_no_terminal(run):
    result, found = run("--prompt", "Once upon", "--stop", "zzz")
    lines = [line for line in result.stderr.splitlines() if "token" in line]
    assert len(lines) == len(found["tokens"][0]) == 8
    assert all(re.fullmatch(r" *\d+\.\d s  token \d of 8 at most(, \d+ s left)?  \[0\] .*", line)
               for line in lines)
    assert "".join(re.split(r"\[0\] ", line)[1] for line in lines) == found["answer"][0]
    assert "token 1 of" not in result.stdout


def test_chat(run, folder):
    options = ("--prompt", "Hi", "--chat", "--logits")
    _, found = run(*options, "--system", "Be.", checkpoint=("--checkpoint", folder))
    assert found["text"] == ["sBe.|uHi|" + found["answer"][0]]
    assert found["prompt_tokens"][0][0] == 1 and len(found["prompt_tokens"][0]) == 10
    result, plain = run(*options, checkpoint=("--checkpoint", folder))
    assert plain["text"][0].startswith("uHi|")
    # Of a chat the answer alone is shown.
    assert "uHi|" not in result.stdout


def test_chat_refusals(run, folder):
    chat = ("--prompt", "Hi", "--chat")
    there = ("--checkpoint", folder)
    template = folder / "chat_template.jinja"
    template.write_text("<s>\n{% for one in messages %}")
    assert run(*chat, checkpoint=there)[0].output == (
        f"Error: {template}: line 2: Unexpected end of template. Jinja was looking for the "
        "following tags: 'endfor' or 'else'. The innermost block that needs to be closed is "
        "'for'.\n")
    template.unlink()
    result, _ = run(*chat, checkpoint=there)
    assert (result.exit_code, result.output) == (
        2, f"Error: {folder}: has no chat template, in its own file or beside it\n")
    result, _ = run("--prompt", "Hi", "--system", "x", checkpoint=there)
    assert result.output == "Error: system text must be given with chat only\n"
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    result, _ = run("--prompt", "Hi", checkpoint=there)
    assert result.output == (f"Error: {folder}: must hold tokenizer.json, not tokenizer.model "
                             "alone, a sentencepiece model: save the tokenizer as "
                             "tokenizer.json\n")


@pytest.mark.parametrize(("options", "message"), [
    (("--top-k", 5), "top_k must be given with a temperature above 0"),
    (("--seed", 5), "seed must be given with a temperature above 0"),
    (("--top-p", 0.5), "top_p must be given with a temperature above 0"),
    (("--temperature", 1, "--top-p", 1.5), "top_p must be above 0 and at most 1, not 1.5"),
    (("--temperature", "inf"), "temperature must be positive, not inf"),
    (("--temperature", -1), "temperature must be at least 0, not -1.0")])
def test_sampling_refusals(options, message, run):
    result, _ = run("--prompt", "x", *options)
    assert (result.exit_code, result.output) == (2, f"Error: {message}\n")


def test_a_checkpoint_that_is_not_fetched(run, monkeypatch, tmp_path):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "none"))
    result, _ = run("--prompt", "x", checkpoint=("--checkpoint", "smollm2"))
    assert (result.exit_code, result.output) == (
        2, "Error: checkpoint smollm2 is not there yet: run ouroboros fetch smollm2\n")
