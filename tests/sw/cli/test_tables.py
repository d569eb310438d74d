"""Tables: figures are never cut, and those of the commands fit in 80 columns."""

import pytest
from click.testing import CliRunner
from rich.table import Table

from ouroboros.sw.cli.main import cli
from ouroboros.sw.cli.tables import cell, print_whole, table

WIDTH = 80


def test_wide_tables_are_not_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    shown = Table()
    for n in range(8):
        shown.add_column(f"column {n}", no_wrap=True)
    shown.add_row(*(f"{n}234567" for n in range(8)))
    print_whole(shown)
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert all(f"{n}234567" in printed for n in range(8))


def test_words_go_on_in_the_next_line(capsys):
    shown = table("name", "meaning", widest={1: 12})
    shown.add_row("a", "some words that take three lines")
    print_whole(shown)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[2:] == ["a     some words", "      that take", "      three lines"]


def test_a_figure_that_is_not_there():
    assert cell(None, ",.1f") == ""
    assert cell(1234.56, ",.1f") == "1,234.6"


@pytest.mark.long
@pytest.mark.parametrize(("arguments", "headline"), [
    ("tile --model llama-13b -v", "llama-13b on machine 'wafer': 13,145 tiles"),
    ("tile --model llama-3-8b -v", "llama-3-8b on machine 'wafer': "),
    ("map --model bert-large --moves 1000 --threads 1 -v", "bert-large on wafer: 865 tiles on "),
    ("wafer --model llama-13b -v", "llama-13b on machine 'wafer': 788,585 tokens/s decode"),
    ("wafer --model llama-3-8b -v", "llama-3-8b on machine 'wafer': ")])
def test_80_columns(arguments, headline):
    result = CliRunner().invoke(cli, arguments.split())
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(headline)
    assert max(map(len, result.stdout.splitlines())) <= WIDTH


def test_details_are_asked_for():
    brief, full = (CliRunner().invoke(cli, ["tile", "--model", "bert-large", *more]).stdout
                   for more in ((), ("-v",)))
    assert "projection" not in brief and "-v" in brief
    assert "projection" in full and "a full MVM takes" in full
