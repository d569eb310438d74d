"""What a run shows while it goes on: steps, texts, and how long it will take."""

import time
from collections.abc import Mapping

import click
from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ouroboros.sw.cli.progress import TITLES
from ouroboros.sw.lib.text import Console, literal, visible

__all__ = ["LINES", "Watch"]

LINES = "\n\t"
"""Control characters that text on the terminal may have."""
_TAIL = 400
"""Characters of a text's end that are shown while it grows."""


class Watch:
    """Bars and growing texts on a terminal; elsewhere a line with its time for each token, and for
    each tenth of any other step.

    Both on stderr: what is printed at the end is the result. ``progress`` and ``told`` are what
    ``sw.runtime.service.serve`` takes.

    Parameters
    ----------
    expected : Mapping[str, float]
        Seconds that steps took the last time, by name.
    """

    def __init__(self, expected: Mapping[str, float] | None = None) -> None:
        console = Console(stderr=True)
        self._expected = expected or {}
        self._terminal = console.is_terminal
        self._bars = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                              TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[int, str] = {}
        self._started = time.perf_counter()
        self._first: tuple[int, float] | None = None
        self._new: list[tuple[int, str]] = []
        self._tenths: set[tuple[str, int]] = set()
        self._live = Live(console=console, transient=True, get_renderable=self._shown)

    def __enter__(self) -> "Watch":
        if self._terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._terminal:
            self._live.stop()

    def told(self, request: int, text: str) -> None:
        """A token of a request adds to its text."""
        self._said[request] = self._said.get(request, "") + text
        self._new.append((request, text))

    def progress(self, what: str, done: int, total: int) -> None:
        """A step has come so far."""
        if not self._terminal:
            self._line(what, done, total)
            return
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(self._title(what), total=total)
        self._bars.update(self._tasks[what], completed=done)

    def _title(self, what: str) -> str:
        usual = self._expected.get(what)
        title = TITLES.get(what, what)
        return title if usual is None else f"{title} ({_about(usual)} the last time)"

    def _line(self, what: str, done: int, total: int) -> None:
        now = time.perf_counter() - self._started
        if what != "token":
            tenth = what, 10 * done // max(total, 1)
            if tenth in self._tenths:
                return
            self._tenths.add(tenth)
            title = self._title(what) if done < total else TITLES.get(what, what)
            click.echo(f"{now:7.1f} s  {title}: {done} of {total}", err=True)
            return
        # Of the first token the prompt is a part: how fast tokens come is known from the second.
        self._first = self._first or (done, now)
        pace = (now - self._first[1]) / (done - self._first[0]) if done > self._first[0] else None
        left = "" if pace is None else f", {_about(pace * (total - done))} left"
        new = "".join(f"  [{request}] {visible(text)}" for request, text in self._new)
        self._new.clear()
        click.echo(f"{now:7.1f} s  token {done} of {total} at most{left}{new}", err=True)

    def _shown(self) -> Group:
        texts = [Text.assemble((f"[{request}] ", "dim"), literal(text[-_TAIL:], keep=LINES))
                 for request, text in sorted(self._said.items())]
        return Group(*texts, self._bars.get_renderable())


def _about(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
