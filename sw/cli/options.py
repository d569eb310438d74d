"""Options that several commands share."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import MESH_PORTS
from ouroboros.sw.cli.files import OutputFile, mark_of
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.text import Console
from ouroboros.sw.lib.write import json_text, write
from ouroboros.sw.noc.routes.faults import Link
from ouroboros.sw.place.instance import Grid

__all__ = ["OutputFile", "dead_cores", "dead_links", "dead_links_option", "defects_option",
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
        "--placement", default="plain", show_default=True, metavar="plain|split|FILE.json",
        help="How the model is laid over the cores: along a snake, or as ouroboros map found.",
    )(command)


def defects_option(command: Command) -> Command:
    """``--dead``: text for ``dead_cores``, given to the command as ``dead``."""
    return click.option(
        "--dead", default="", metavar="ID,ID,..|FILE.json",
        help="Dead cores: ids (x + width * y, both from 0), or a defect map of ouroboros "
             "floorplan.")(command)


def dead_cores(dead: str, mesh: MeshParams | Grid) -> tuple[int, ...]:
    """Ascending ids of the dead cores that ``--dead`` names.

    Raises
    ------
    OuroborosError
        If they are no ids of the mesh, or the file is no defect map of such a mesh.
    """
    where = "dead cores"
    if dead.endswith(".json"):
        where = f"{dead}: key 'dead'"
        ids = _read_map(dead, mesh)
    else:
        try:
            ids = [int(part) for part in dead.split(",") if part]
        except ValueError:
            raise OuroborosError(f"dead cores must be whole numbers with commas between or a "
                                 f".json file, not {dead!r}") from None
    for core in ids:
        if not 0 <= core < mesh.cores:
            raise OuroborosError(f"{where} must be cores 0 to {mesh.cores - 1}, not {core}")
    return tuple(sorted(set(ids)))


def dead_links_option(command: Command) -> Command:
    """``--dead-links``: text for ``dead_links``, given to the command as ``links``."""
    return click.option(
        "--dead-links", "links", default="", metavar="X,Y,PORT[;..]",
        help="Dead links between live cores: x, y (both from 1) of a core and the port that "
             "leads to the other: north, east, south or west.")(command)


def dead_links(text: str) -> tuple[Link, ...]:
    """Links that ``--dead-links`` names; whether they exist is for ``sw.noc.routes.faults`` to say.

    Raises
    ------
    OuroborosError
        If one is not x,y,port.
    """
    ports = {port.name: port for port in MESH_PORTS}
    found: list[Link] = []
    for part in text.split(";"):
        if not part.strip():
            continue
        try:
            left, up, port = part.split(",")
            at, way = (int(left), int(up)), ports[port.strip().upper()]
        except (KeyError, ValueError):
            raise OuroborosError(f"dead links must be x,y,port with port one of north, east, south "
                                 f"and west and semicolons between, not {part!r}") from None
        found.append((at, way.beyond(at)))
    return tuple(found)


def _read_map(path: str, mesh: MeshParams | Grid) -> list[int]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise OuroborosError(f"{path}: must be the JSON file of a defect map ({error})") from None
    if not isinstance(found, dict):
        raise OuroborosError(f"{path}: must be one JSON object, not a {type(found).__name__}")
    for name in ("width", "height"):
        if found.get(name) != getattr(mesh, name):
            raise OuroborosError(f"{path}: key {name!r} must be {getattr(mesh, name)}, not "
                                 f"{found.get(name)!r}: made for another machine")
    ids = found.get("dead")
    if not isinstance(ids, list) or not all(type(core) is int for core in ids):
        raise OuroborosError(f"{path}: key 'dead' must be a list of core ids")
    return ids


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
