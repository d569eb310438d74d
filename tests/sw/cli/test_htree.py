"""``ouroboros htree``."""

import json

from click.testing import CliRunner

from ouroboros.sw.cli import main


def run(*arguments):
    return CliRunner().invoke(main.cli, ["htree", *arguments])


def test_costs_and_leaves(tmp_path):
    result = run("--rows", "5", "--columns", "6", "--json", str(tmp_path / "f.json"))
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert (found["cost"], found["column_contiguous"], found["row_contiguous"]) == (464, 520, 1176)
    assert len(found["leaves"]) == 32
    assert sum(tile is not None for tile in found["leaves"]) == 30
    assert "464" in result.stdout


def test_no_requantiser_costs_more(tmp_path):
    run("--rows", "5", "--columns", "6", "--requantise-from", "5",
        "--json", str(tmp_path / "f.json"))
    assert json.loads((tmp_path / "f.json").read_text())["cost"] > 464


def test_too_many_tiles():
    result = run("--rows", "4", "--columns", "9")
    assert result.exit_code == 2
    assert result.stderr == ("Error: rows x columns must be at most 32 tiles (the core's macros), "
                             "not 4 x 9 = 36\n")
