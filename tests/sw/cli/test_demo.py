"""``ouroboros demo`` on a toy model: golden machine, and golden with a pretended clock."""

import asyncio
import json
from functools import partial

import pytest
from click.testing import CliRunner

from ouroboros.sw.api import weights
from ouroboros.sw.cli import main
from ouroboros.sw.cli import run as cli_run
from ouroboros.sw.golden import numerics
from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.runtime import golden, service
from ouroboros.sw.runtime.device import CoreCounters, TraceEntry
from ouroboros.sw.runtime.difference import Sent
from ouroboros.sw.runtime.execute import execute

LETTERS = [chr(ord("a") + n) for n in range(19)]


@pytest.fixture
def run(tmp_path, monkeypatch, make_checkpoint):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "build"))
    llama2c.write(tmp_path / "model.bin", make_checkpoint(n_layers=1))
    pieces = [(b"<unk>", 0.0), (b"\n<s>\n", 0.0), (b"\n</s>\n", 0.0), (b" ", 0.0),
              *((letter.encode(), 0.0) for letter in LETTERS)]
    tokenizer.write(tmp_path / "tok.bin", Tokenizer(pieces))

    def call(*arguments, command="demo"):
        return CliRunner().invoke(main.cli, [command, "--machine", "tiny", *arguments])

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


@pytest.mark.long
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


@pytest.mark.long
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


def broken(job, progress):
    """A machine with a clock, in which core (1, 1) does not round."""
    link, sent = golden.GoldenLink(job.program.machine), []
    link.golden.watch = lambda packet, stage, at: sent.append(
        Sent(packet, cycles=(9000,) * (1 + len(packet.payload))))
    sfu = link.golden.cores[1, 1].sfu
    sfu.run = partial(break_rounding, sfu.run)
    result = asyncio.run(execute(link, job, progress))
    result.sent, result.cycles, result.load_cycles = sent, 1000, 500
    return result


def break_rounding(right, fields, buffer, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numerics, "rnd", lambda p, s: p >> s)
        return right(fields, buffer, **options)


@pytest.mark.long
@pytest.mark.parametrize("command", ["demo", "run"])
def test_where_a_machine_differs(run, tmp_path, monkeypatch, command):
    """An exit code of its own; which core sent the first wrong word, and how to see its waves."""
    for module in (service, cli_run):
        monkeypatch.setattr(module, "backend", lambda name: broken)
    result = run(*MODEL, "--on", "verilator", "--json", "f.json", command=command)
    assert result.exit_code == 3, result.output
    assert "DIFFER from the golden decoder's" in result.stdout
    found = json.loads((tmp_path / "f.json").read_text())["difference"]
    assert (found["sequence"], found["position"], found["core"]) == (0, 0, [1, 1])
    assert (found["stage"], found["what"], found["kind"]) == ("embed", "word", "int8")
    assert found["unit"].startswith("SFU instruction ")
    assert (f"core (1, 1), {found['unit']}: word {found['word']}, element {found['element']} "
            f"(int8) is {found['got']}, expected {found['expected']}; it left the core at cycle "
            f"9,000") in result.stdout
    words = result.stdout.split("Waves there: ")[1].splitlines()[0]
    assert words.startswith("ouroboros run --machine tiny --checkpoint model.bin --tokenizer "
                            "tok.bin --prompt abc --prompt d ")
    assert words.endswith("--on verilator --tokens 1 --waves wrong.fst --waves-cores 1,1 "
                          "--waves-window 6000:10000")
    if command == "demo":
        assert "Not bit exact" in (tmp_path / "build/demo/report.html").read_text()


@pytest.mark.long
@pytest.mark.parametrize("command", ["demo", "run"])
def test_interrupted(run, tmp_path, monkeypatch, command):
    """Text and numbers so far, and an exit code that says so."""
    def interrupted(job, progress):
        def stop(what, done, total):
            if (what, done) == ("token", 4):
                raise KeyboardInterrupt
        return golden.run(job, stop)

    monkeypatch.setattr(service, "backend", lambda name: interrupted)
    result = run(*MODEL, "--json", "f.json", command=command)
    assert result.exit_code == 130, result.output
    assert "Interrupted: this is what there was by then." in result.stdout
    summary = json.loads((tmp_path / "f.json").read_text())
    assert summary["interrupted"] is True
    assert summary["finished"] == ["interrupted"] * 2
    assert sum(map(len, summary["tokens"])) == 4
    assert all(text in result.stdout for text in summary["text"])
    if command == "demo":
        assert "interrupted" in (tmp_path / "build/demo/report.html").read_text()


def test_interrupted_before_there_is_anything(run, monkeypatch):
    def interrupted(job, progress):
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "backend", lambda name: interrupted)
    result = run(*MODEL)
    assert result.exit_code == 130
    assert result.stderr.endswith("Interrupted.\n")


ERRORS = [
    (("--checkpoint", "none.bin", "--tokenizer", "tok.bin"),
     "none.bin: cannot be read: No such file or directory"),
    (("--checkpoint", "model.bin"),
     "model.bin: --tokenizer must be given to turn text into tokens"),
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
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "tales.bin")
    result = run()
    assert result.exit_code == 2
    assert result.stderr == (f"Error: {tmp_path / 'tales.bin'}: cannot be read: "
                             f"No such file or directory\n")
