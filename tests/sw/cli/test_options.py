"""What commands share."""

from rich.table import Table

from sw.cli.options import print_whole


def test_wide_tables_are_not_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    table = Table()
    for n in range(8):
        table.add_column(f"column {n}", no_wrap=True)
    table.add_row(*(f"{n}234567" for n in range(8)))
    print_whole(table)
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert all(f"{n}234567" in printed for n in range(8))
