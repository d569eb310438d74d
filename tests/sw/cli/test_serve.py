"""``ouroboros serve-trace`` and what ``ouroboros serve`` refuses before it starts."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli.main import cli


def run(*arguments):
    return CliRunner().invoke(cli, [str(one) for one in arguments])


@pytest.mark.long
def test_a_trace_is_played(tmp_path):
    trace = tmp_path / "t.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,1000,40\n0.5,300,20\n")
    found, picture, events = (tmp_path / name for name in ("f.json", "p.svg", "e.json"))
    result = run("serve-trace", "--trace", trace, "--scale", "0.01", "--json", found, "--picture",
                 picture, "--perfetto", events)
    assert result.exit_code == 0, result.output
    assert "2 of 2 requests of t.csv (lengths x 0.01)" in result.stdout
    assert "All tokens equal the golden decoder's." in result.stdout
    read = json.loads(found.read_text())
    assert (read["prompt_tokens"], read["output_tokens"]) == (13, 2)
    assert read["policy"]["grain"] == "token" and read["ttft_ticks"]["p99"] > 0
    assert json.loads(events.read_text())["traceEvents"]
    assert "<svg" in picture.read_text()


def test_policies_on_the_model():
    result = run("serve-trace", "--lengths", "40:8", "--requests", "20", "--kv-blocks", "16",
                 "--on", "model", "--compare")
    assert result.exit_code == 0, result.output
    assert "(published 2.05)" in result.stdout and "ring over none" not in result.stdout
    assert "golden decoder" not in result.stdout


@pytest.mark.parametrize(("arguments", "words"), [
    ((), "requests must be those of --trace or of --lengths, one of the two"),
    (("--lengths", "8"), "lengths must be tokens of prompt and output"),
    (("--lengths", "300:8", "--scale", "1"), "request 1 of 300:8: prompt must be at most 256"),
    (("--lengths", "8:4", "--kv-blocks", "999"), "KV blocks of a core must be 1 to 128, not 999"),
    (("--lengths", "8:4", "--grain", "sequence", "--chunk-tokens", "2"), "chunk_tokens must not"),
    (("--lengths", "8:4", "--on", "model", "--window", "2"), "window must be None on the model"),
    (("--lengths", "8:4", "--on", "model", "--picture", "p.svg"), "a picture is of a machine's"),
    (("--lengths", "8:4", "--compare", "--cancel", "0.5"), "cancel must be 0 with --compare")])
def test_loads_that_are_refused(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("serve-trace", *arguments)
    assert result.exit_code == 2 and result.stderr.startswith(f"Error: {words}"), result.output


@pytest.mark.parametrize(("text", "words"), [
    ("arrival_s,input_tokens\n0,3\n", "output_tokens"),
    ("arrival_s,input_tokens,output_tokens\n0,x,3\n", "line 2"),
    ("arrival_s,input_tokens,output_tokens\n0,0,3\n", "line 2"),
    ("arrival_s,input_tokens,output_tokens\n2,1,3\n1,1,3\n", "line 3"),
    ("arrival_s,input_tokens,output_tokens\n", "at least one request"),
    ("", "t.csv")], ids=["column", "word", "zero", "back", "none", "empty"])
def test_malformed_traces(text, words, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    result = run("serve-trace", "--trace", tmp_path / "t.csv")
    assert result.exit_code == 2 and words in result.stderr and "t.csv" in result.stderr


@pytest.mark.parametrize(("arguments", "words"), [
    (("--host", "192.0.2.1"), "address 192.0.2.1 port"),
    (("--api-key-file", "missing"), "missing: "),
    (("--api-key-file", "empty"), "empty: must have a key in it"),
    (("--chat-template", "missing"), "missing: "),
    (("--port", "70000"), "port must be 0 to 65535, not 70000")])
def test_servers_that_do_not_start(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    result = run("serve", *arguments)
    assert result.exit_code == 2 and result.stderr.splitlines()[-1].startswith(f"Error: {words}")
