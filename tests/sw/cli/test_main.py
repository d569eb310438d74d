"""The command line: results, one-sentence errors, commands of other packages."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from ouroboros.sw.cli import group, main
from ouroboros.sw.models import integer as quant_model
from ouroboros.sw.models import llama2c, tokenizer


@pytest.fixture
def run(tmp_path, monkeypatch, make_checkpoint):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "cache"))
    llama2c.write(tmp_path / "model.bin", make_checkpoint())

    def call(*arguments):
        return CliRunner().invoke(main.cli, list(arguments))

    return call


def test_quantise_writes_model_and_figures(run, tmp_path):
    result = run("quantise", "--checkpoint", "model.bin", "--tokens", "40", "--seed", "5",
                 "--out", "model.npz", "--json", "found.json")
    assert result.exit_code == 0, result.output
    assert "seed 5" in result.stdout
    assert "KL divergence" in result.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["seed"] == 5
    assert found["evaluation"]["tokens"] == 40
    assert found["evaluation"]["protocol"]["sequences"] == 2
    assert found["scheme"]["name"] == "R"
    assert quant_model.load(tmp_path / "model.npz").digest == found["digest"]
    assert list((tmp_path / "cache" / "quant").glob("*.npz"))
    again = run("quantise", "--checkpoint", "model.bin", "--tokens", "0", "--seed", "5",
                "--json", "again.json")
    assert again.exit_code == 0
    assert "perplexity" not in again.stdout
    assert json.loads((tmp_path / "again.json").read_text()) == {
        key: value for key, value in found.items() if key != "evaluation"}


def test_quantise_on_a_text_in_a_named_scheme(run, tmp_path, make_checkpoint):
    (tmp_path / "text.txt").write_text("Once upon a time " * 3)
    llama2c.write(tmp_path / "model.bin", make_checkpoint(vocab_size=260, n_layers=1))
    tokenizer.write(tmp_path / "tok.bin", tokenizer.Tokenizer([(piece, 0.0) for piece in (
        b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % n for n in range(256)), b" ")]))
    result = run("quantise", "--checkpoint", "model.bin", "--tokenizer", "tok.bin",
                 "--scheme", "R2", "--text", "text.txt", "--tokens", "20", "--json", "found.json")
    assert result.exit_code == 0, result.output
    assert "of text.txt from token 0, BOS and " in " ".join(result.stdout.split())
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["scheme"] == {"name": "R2", "residual_bits": 24, "exp_bits": 12, "f_bits": 12,
                               "gate": "sigmoid"}
    assert found["evaluation"]["protocol"]["text"] == "text.txt"


ERRORS = [
    (("quantise", "--checkpoint", "none.bin"),
     "none.bin: cannot be read: No such file or directory"),
    (("quantise", "--checkpoint", "model.bin", "--tokenizer", "model.bin"),
     "model.bin: token 1: corrupt: length must be between 0 and max_token_length = 16, not "),
    (("quantise", "--checkpoint", "model.bin", "--residual-fraction-bits", "99"),
     "model.bin: residual_fraction_bits must be between 0 and 22, not 99"),
    (("quantise", "--checkpoint", "model.bin", "--tokens", "0", "--out", "no/model.npz"),
     "no/model.npz: folder 'no' must exist"),
    (("quantise", "--checkpoint", "model.bin", "--tokens", "0", "--json", "no/found.json"),
     "no/found.json: folder 'no' must exist"),
]


@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_errors_are_one_sentence(arguments, message, run):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


def test_usage_errors_exit_2_too(run):
    wrong_seed = ("quantise", "--checkpoint", "model.bin", "--seed", "x")
    for arguments in (("quantise",), ("nothing",), wrong_seed):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Error: " in result.stderr


@click.command()
def hello():
    """Say hello."""
    click.echo("hello")


def test_commands_of_other_packages(run, monkeypatch):
    points = [EntryPoint("hello", f"{__name__}:hello", "ouroboros.commands"),
              EntryPoint("gone", "no_such_module:command", "ouroboros.commands"),
              EntryPoint("odd", "json:dumps", "ouroboros.commands")]
    monkeypatch.setattr(group, "entry_points", lambda group, name=None: [
        point for point in points if name in (None, point.name)])
    listing = run("--help")
    assert listing.exit_code == 0
    for word in ("quantise", "hello", "Say hello.", "gone"):
        assert word in listing.stdout
    assert run("hello").stdout == "hello\n"
    gone = run("gone", "--anything", "x")
    assert (gone.exit_code, gone.stderr) == (
        2, "Error: command gone cannot be loaded: No module named 'no_such_module'\n")
    odd = run("odd")
    assert (odd.exit_code, odd.stderr) == (
        2, "Error: command odd must be a click command, not function\n")


def commands(group, path=()):
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_command_writes_json():
    found = dict(commands(main.cli))
    assert {("run",), ("emit",), ("floorplan",), ("calibrate",), ("noc", "sweep")} <= found.keys()
    for path, command in found.items():
        if isinstance(command, click.Group) and not command.invoke_without_command:
            continue
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options, f"ouroboros {' '.join(path)} must have --json"


def test_version(run):
    assert run("--version").stdout.startswith("ouroboros, version ")


SLOW = ("numpy", "numba", "rich", "amaranth", "cocotb", "matplotlib", "safetensors", "gdstk")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_nothing_of_a_command_is_imported_to_list_it(arguments):
    """The start of the process is what it costs: click, and the sources of the commands read."""
    script = ("import sys; from ouroboros.sw.cli.main import cli\n"
              f"try: cli({arguments})\n"
              "finally: sys.stderr.write(' '.join(name for name, module in sys.modules.items()\n"
              "    if not (name.startswith('ouroboros.') and hasattr(module, '__path__'))))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=True)
    assert "ouroboros" in done.stdout
    loaded = {name for name in done.stderr.split() if name in SLOW or ".cli." in name}
    assert loaded == {f"ouroboros.sw.cli.{name}" for name in ("main", "group", "files")}


def test_every_command_says_what_it_does(run):
    listings = {path: run(*path, "--help").stdout
                for path in {path[:-1] for path, _ in commands(main.cli)}}
    for path, command in commands(main.cli):
        words = command.get_short_help_str(30).removesuffix("...")
        assert words in listings[path[:-1]], path
    assert "Unavailable" not in "".join(listings.values())


def test_words_are_completed():
    complete = ShellComplete(main.cli, {}, "ouroboros", "_OUROBOROS_COMPLETE")
    assert [item.value for item in complete.get_completions([], "q")] == ["quantise"]
    assert complete.get_completions([], "q")[0].help.startswith("Quantise a checkpoint")
    assert [item.value for item in complete.get_completions(["list"], "mo")] == ["models"]
