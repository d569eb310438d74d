"""``ouroboros demo`` on a toy model: golden machine, and golden with a pretended clock."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli import demo, main
from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.runtime import golden, service
from ouroboros.sw.runtime.device import CoreCounters, TraceEntry

LETTERS = [chr(ord("a") + n) for n in range(19)]


@pytest.fixture
def run(tmp_path, monkeypatch, make_checkpoint):
    monkeypatch.chdir(tmp_path)
    llama2c.write(tmp_path / "model.bin", make_checkpoint(n_layers=1))
    pieces = [(b"<unk>", 0.0), (b"\n<s>\n", 0.0), (b"\n</s>\n", 0.0), (b" ", 0.0),
              *((letter.encode(), 0.0) for letter in LETTERS)]
    tokenizer.write(tmp_path / "tok.bin", Tokenizer(pieces))

    def call(*arguments):
        return CliRunner().invoke(main.cli, ["demo", "--machine", "tiny", *arguments])

    return call


MODEL = ("--checkpoint", "model.bin", "--tokenizer", "tok.bin", "--prompt", "abc", "--prompt", "d",
         "--tokens", "3")


def clocked(job, progress):
    """The golden machine, with made-up cycles."""
    result = golden.run(job, progress)
    result.cycles, result.load_cycles, result.run_s = 1000, 500, 0.5
    stages = job.program.machine.core.stages
    for core in job.program.images:
        result.counters[core] = CoreCounters(
            {"flit_hops_data": 3, "flit_hops_control": 4, "cycles": 1000},
            [{"busy": 100, "waiting": 50, "blocked": 0}] * stages)
        result.traces[core] = [TraceEntry(0, 0, 0, 0, 600, 700)]
    return result


def test_golden_run_writes_page_and_summary(run, tmp_path):
    result = run("--on", "golden", *MODEL)
    assert result.exit_code == 0, result.output
    assert "nothing to compare" in result.stdout
    summary = json.loads((tmp_path / "build/demo/summary.json").read_text())
    assert summary["bit_exact"] is None
    assert summary["cycles"] is None
    assert summary["text"][0].startswith("abc")
    assert "logits" not in summary
    assert "abc" in (tmp_path / "build/demo/report.html").read_text()


def test_clocked_run_is_compared_and_measured(run, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "backend", lambda name: clocked)
    result = run(*MODEL, "--verify", "all", "--out", "there", "--json", "f.json")
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "f.json").read_text())
    assert summary == json.loads((tmp_path / "there/summary.json").read_text())
    assert summary["verified"] is True
    assert summary["vectors_checked"] == summary["vectors_expected"] > 6
    assert summary["command"] == ("ouroboros demo --machine tiny --checkpoint model.bin "
                                  "--tokenizer tok.bin --prompt abc --prompt d --tokens 3 "
                                  "--verify all --out there")
    assert summary["stage_cycles"][0]["percent"]["busy"] == 10
    assert summary["events"] == {"flit_hops_data": 3 * summary["cores"],
                                 "flit_hops_control": 4 * summary["cores"]}
    assert "bit for bit" in result.stdout
    assert "slowest:" in result.stdout
    assert "LLaMA-13B on the full wafer" in result.stdout
    assert summary["wafer"]["model"] == "llama-13b"
    assert "Where the cycles went" in (tmp_path / "there/report.html").read_text()


def test_a_wrong_logit_ends_with_exit_code_1(run, tmp_path, monkeypatch):
    def wrong(job, progress):
        result = clocked(job, progress)
        vector = next(iter(result.requests[0].vectors.values()))
        vector[0] += 1
        return result

    monkeypatch.setattr(service, "backend", lambda name: wrong)
    result = run(*MODEL)
    assert result.exit_code == 1
    assert "DIFFER from the golden decoder's" in result.stdout
    assert "Not bit exact" in (tmp_path / "build/demo/report.html").read_text()


ERRORS = [
    (("--checkpoint", "none.bin", "--tokenizer", "tok.bin"),
     "none.bin: cannot be read: No such file or directory"),
    (("--checkpoint", "model.bin"), "model.bin: --tokenizer must be given with --checkpoint"),
    ((*MODEL, "--on", "golden", "--out", "model.bin/x"), "model.bin/x: Not a directory"),
    ((*MODEL, "--on", "golden", "--prompt", "a" * 40),
     f"prompt '{'a' * 40}' must be at most 24 tokens (the context), not 42"),
]


@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_errors_are_one_sentence(arguments, message, run):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.strip().endswith(message)
    assert "Traceback" not in result.output


def test_missing_shipped_checkpoint_is_named(run, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "CHECKPOINT", tmp_path / "tales.bin")
    result = run()
    assert result.exit_code == 2
    assert result.stderr == (f"Error: {tmp_path / 'tales.bin'}: cannot be read: "
                             f"No such file or directory\n")
