"""Options that several commands share."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ouroboros.sw.cli.files import OutputFile, mark_of
from ouroboros.sw.lib.text import Console
from ouroboros.sw.lib.write import json_text, write

__all__ = ["OutputFile", "dead_links_option", "defects_option",
           "json_option", "machine_option", "model_options", "placement_option", "print_whole",
           "progress_bar", "write_json"]

WIDEST = 1000
"""Columns that no table needs."""

Command = TypeVar("Command", bound=Callable[..., Any])


def machine_option(default: str = "small") -> Callable[[Command], Command]:
    """``--machine``: name or path for ``hw.params.machine.load_machine``."""
    return click.option(
        "--machine", "machine_name", default=default, show_default=True, metavar="NAME",
        help="Shipped machine or path of a TOML file.")


def model_options(command: Command) -> Command:
    """``--checkpoint`` and ``--tokenizer``: paths for ``sw.quantise.source.open_model``."""
    command = click.option(
        "--tokenizer", type=click.Path(path_type=Path), metavar="FILE",
        help="Tokenizer in llama2.c's .bin format.")(command)
    return click.option(
        "--checkpoint", type=click.Path(path_type=Path), required=True, metavar="PATH",
        help="llama2.c .bin, .safetensors file or Hugging Face folder.")(command)


def placement_option(command: Command) -> Command:
    """``--placement``: layout or file for ``sw.mapper.placed.place_model``."""
    return click.option(
        "--placement", default="plain", show_default=True, metavar="plain|split|tiled|FILE.json",
        help="How the model is laid over the cores: along a snake, or as ouroboros map found.",
    )(command)


def defects_option(command: Command) -> Command:
    """``--dead``: text for ``sw.place.dead``, given to the command as ``dead``."""
    return click.option(
        "--dead", default="", metavar="ID,ID,..|FILE.json",
        help="Dead cores: ids (x + width * y, both from 0), or a defect map of ouroboros "
             "floorplan.")(command)


def dead_links_option(command: Command) -> Command:
    """``--dead-links``: text for ``sw.noc.routes.faults.parse_links``, given as ``links``."""
    return click.option(
        "--dead-links", "links", default="", metavar="ID:PORT,..",
        help="Dead links between live cores: id of a core (x + width * y, from 0) and the port "
             "that leads to the other: north, east, south or west.")(command)


def json_option(command: Command) -> Command:
    """``--json FILE``: the results for another program."""
    return click.option(
        "--json", "json_path", type=OutputFile(), metavar="FILE",
        help="Write the results as JSON.")(command)


def print_whole(table: Table) -> None:
    """Print a table at its full width: figures are never cut, also where output is piped."""
    console = Console()
    width = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    Console(width=max(console.width, width)).print(table)


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Write results, with the mark of the command that runs, if a path was given."""
    if path is not None:
        mark = mark_of(click.get_current_context(silent=True))
        write(path, json_text(results, mark))


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; the value is a callback (done, total). Nothing shows when piped."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True,
                  disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
