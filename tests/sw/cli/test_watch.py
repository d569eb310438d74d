"""What a run shows while it goes on."""

import io

import pytest

from ouroboros.sw.cli import watch as watching
from ouroboros.sw.cli.progress import step_bars
from ouroboros.sw.cli.watch import Watch
from ouroboros.sw.lib.text import Console


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    found = Clock()
    monkeypatch.setattr(watching, "time", found)
    return found


def test_lines(clock, capsys):
    with Watch({"build": 130.0, "load": 12.0}) as watch:
        watch.progress("build", 0, 1)
        clock.now += 140
        watch.progress("build", 1, 1)
        for done in range(3):
            watch.progress("load", done, 100)
        for n, text in enumerate([" a", "\x1b[2J", "\n"]):
            clock.now += 100
            watch.told(n % 2, text)
            watch.progress("token", n + 1, 5)
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [
        "    0.0 s  Building the simulator (2 min the last time): 0 of 1",
        "  140.0 s  Building the simulator: 1 of 1",
        "  140.0 s  Loading the machine (12 s the last time): 0 of 100",
        "  240.0 s  token 1 of 5 at most  [0]  a",
        "  340.0 s  token 2 of 5 at most, 5 min left  [1] \\x1b[2J",
        "  440.0 s  token 3 of 5 at most, 3 min left  [0] \\n"]


def test_bars_alone_are_silent_when_piped(capsys):
    with step_bars() as progress:
        progress("build", 0, 1)
        progress("token", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_texts_and_bars(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(watching, "Console", lambda **options: Console(
        file=shown, force_terminal=True, width=100))
    with Watch({"build": 30.0}) as watch:
        watch.progress("build", 1, 1)
        watch.told(0, "Once")
        watch.told(0, " upon\x1b")
        watch.told(1, "[red]The")
        watch.progress("token", 2, 8)
        watch._live.refresh()
        text = shown.getvalue()
    assert "Once upon\\x1b" in text and "[red]The" in text
    assert "Building the simulator (30 s the last time)" in text
    assert "2/8" in text and "left:" in text
