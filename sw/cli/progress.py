"""How far the work is, on standard error."""

import contextlib
from collections.abc import Callable, Iterator

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from ouroboros.sw.lib.text import Console

__all__ = ["TITLES", "bars", "progress_bar", "step_bars"]

Steps = Callable[[str, int, int], None]
"""Told of a step's name, how much of it is done, and of how much."""
TITLES = {"build": "Building the simulator", "load": "Loading the machine",
          "token": "Generating tokens", "memory": "Memory needed, MB",
          "disk": "Disk needed, MB"}
"""Steps whose names are not what is shown."""


def bars(*columns: ProgressColumn) -> Progress:
    """Bars with such columns between name and time; nothing shows when piped."""
    console = Console(stderr=True)
    return Progress(TextColumn("{task.description}"), BarColumn(), *columns, TimeElapsedColumn(),
                    console=console, transient=True, disable=not console.is_terminal)


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """One bar; the value is a callback (done, total)."""
    with bars(MofNCompleteColumn()) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


@contextlib.contextmanager
def step_bars() -> Iterator[Steps]:
    """A bar for each step, from when it begins."""
    tasks: dict[str, TaskID] = {}
    with bars(MofNCompleteColumn()) as shown:
        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(TITLES.get(what, what), total=total)
            shown.update(tasks[what], completed=done, total=total)

        yield update
