"""What commands write never takes the place of what they read, of each other, or of others'."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ouroboros.sw.cli import main
from ouroboros.sw.cli.files import CheckedContext

RING = {"name": "ring", "tiles": 6, "W": 4, "H": 2, "die_w": 4, "die_h": 2, "lam": 3,
        "defects": [], "edges": [[n, (n + 1) % 6, 10] for n in range(6)]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("i.json").write_text(json.dumps(RING))
    Path("mine.json").write_text('{"mine": 1}')
    return lambda text: CliRunner().invoke(main.cli, text.split())


def commands(group, ctx):
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        yield command
        if isinstance(command, click.Group):
            yield from commands(command, ctx)


def test_every_command_checks_its_files():
    found = list(commands(main.cli, click.Context(main.cli)))
    assert {"map", "emit", "floorplan", "links", "mixed"} <= {one.name for one in found}
    assert all(one.context_class is CheckedContext for one in found)


MAP = "map --instance i.json --moves 10"


OTHERS = "must be a new file, or one that this command wrote before"
REFUSED = {
    f"{MAP} --out i.json": f"i.json: {OTHERS} (ouroboros-placement-1): remove it or name another",
    f"{MAP} --json i.json": f"i.json: {OTHERS} (ouroboros-map-1): remove it or name another",
    f"{MAP} --out x.json --json x.json": "x.json: must not be both --out and --json",
    f"{MAP} --out mine.json": f"mine.json: {OTHERS}",
    "emit tiny --out .": "must be a new or empty folder, or one with nothing but what this command "
                         "wrote before, but it holds 'die.svg': remove that, or name another",
    "emit tiny --out new --dead 12": "dead cores must be cores 0 to 11, not 12",
    "floorplan --out .": f"die.svg: {OTHERS}",
    "noc sweep --plot x.pdf": "x.pdf: name must end in .svg or .png",
    "noc sweep --csv mine.json": f"mine.json: {OTHERS}",
    "demo --out . --json report.html": "report.html: must not be both report.html of . and --json",
    "yield --json i.json": f"i.json: {OTHERS} (ouroboros-yield-1)",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_refused_before_any_work(run, text, message):
    Path("die.svg").write_text("<svg/>")
    before = {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    result = run(text)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert before == {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}


def test_placement_is_not_replaced_by_one_made_from_it(run):
    assert run(f"{MAP} --out p.json --json r.json").exit_code == 0
    result = run("relieve --instance i.json --placement p.json --out p.json")
    assert result.exit_code == 2
    assert "p.json: must be another file than is read, for --out replaces it" in result.stderr
    assert run(f"{MAP} --json p.json").exit_code == 2
    assert json.loads(Path("p.json").read_text())["schema"] == "ouroboros-placement-1"


def test_own_files_are_replaced(run):
    for _ in range(2):
        result = run(f"{MAP} --out p.json --json r.json")
        assert result.exit_code == 0, result.output
        assert json.loads(Path("r.json").read_text())["schema"] == "ouroboros-map-1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk_is_one_sentence_after_the_results(run):
    result = run(f"{MAP} --json /dev/full")
    assert result.exit_code == 2
    assert result.stderr == "Error: /dev/full: No space left on device\n"
    assert "lower bound" in result.stdout
