import io
import re
from pathlib import Path

import pytest
import rich.console
from rich.table import Table

from ouroboros.sw.lib.text import Console, literal, visible

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("text", "shown"), [
    ("tales.bin", "tales.bin"),
    ("Füße ☃ 火", "Füße ☃ 火"),
    ("[bold]x[/bold] [/nope] :bomb:", "[bold]x[/bold] [/nope] :bomb:"),
    ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
    ("a\rb\nc\td\0", r"a\rb\nc\td\x00"),
    ("\x9b2J\x7f", r"\x9b2J\x7f"),
    ("exe\u202ecod.\u2028", r"exe\u202ecod.\u2028"),
    ("not\udcfftext", r"not\udcfftext"),
])
def test_controls_are_escapes_and_the_rest_stays(text, shown):
    assert visible(text) == shown


def test_kept_controls_stay():
    assert visible("a\n\tb\x1b", keep="\n\t") == "a\n\tb\\x1b"


def test_literal_text_is_printed_as_it_is():
    out = io.StringIO()
    console = rich.console.Console(file=out, width=80, force_terminal=True)
    table = Table(title=literal("[bold]x[/bold] [/nope]"))
    table.add_column("name")
    table.add_row(literal("[red]:bomb:\x1b[2J"))
    console.print(table)
    assert "[bold]x[/bold] [/nope]" in out.getvalue()
    assert r"[red]:bomb:\x1b[2J" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


def test_strings_on_our_console_are_literal():
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True)
    table = Table("[head]", title="[bold]x[/bold] [/nope]")
    table.add_row("[red]:bomb:\x1b[2J")
    console.print(table)
    console.print("a [/b] :bomb:\x1b[2J\nc")
    shown = out.getvalue()
    for text in ("[head]", "[bold]x[/bold] [/nope]", r"[red]:bomb:\x1b[2J"):
        assert text in re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert "\x1b[2J" not in shown
    assert re.sub(r"\x1b\[[\d;]*m", "", shown).endswith("a [/b] :bomb:\\x1b[2J\nc\n")


def test_all_print_on_our_console():
    for path in (*ROOT.glob("sw/**/*.py"), *ROOT.glob("tb/**/*.py"), *ROOT.glob("floorplan/*.py")):
        imported = re.search(r"from rich.console import .*Console", path.read_text())
        assert not imported or path.name == "text.py", path
