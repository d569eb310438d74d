"""Commands made from a dataclass of options: parse, call, show, write JSON."""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem
from rich.table import Table

from ouroboros.sw.cli.files import OutputFile, write_json
from ouroboros.sw.cli.tables import print_whole
from ouroboros.sw.lib.options import Leaf, leaves, make
from ouroboros.sw.lib.text import visible

__all__ = ["Output", "command", "conclude", "with_options"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
MISSING = dataclasses.MISSING
METAVAR_MAX = 48
"""Characters; longer lists of names stand in the words of an option."""
PLAIN: dict[Any, Any] = {int: click.INT, float: click.FLOAT, str: click.STRING}


class NameOrPath(click.types.StringParamType):
    """The name of something shipped, or the path of a file."""

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)

    def shell_complete(self, ctx: click.Context, param: click.Parameter,
                       incomplete: str) -> list[CompletionItem]:
        """Names that begin so, or else files."""
        found = [CompletionItem(name) for name in self.names if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


@dataclasses.dataclass
class Output:
    """What a command shows: the headline first, details only where they are asked for."""

    verbose: bool
    """Details, too."""
    exit_code: int = 0
    """Of the process, after everything is shown and written."""
    json_path: Path | None = None
    """Where results are written."""

    def say(self, text: str) -> None:
        """A line."""
        click.echo(visible(text, keep="\n"))

    def keep(self, results: dict[str, Any]) -> None:
        """Write results now, in case that what follows is interrupted."""
        write_json(self.json_path, results)

    def show(self, *tables: Table) -> None:
        """Tables."""
        for one in tables:
            print_whole(one)

    def detail(self, *tables: Table) -> None:
        """Tables of ``--verbose``."""
        if self.verbose:
            self.show(*tables)


def command(cls: type[Any], name: str | None = None,
            ) -> Callable[[Callable[[Any, Output], Any]], click.Command]:
    """A command of the options ``cls``: the function takes them and an ``Output``.

    What the function returns is written by ``--json``.
    """
    def decorate(function: Callable[[Any, Output], Any]) -> click.Command:
        @functools.wraps(function)
        def call(*, options: Any, json_path: Path | None, verbose: bool) -> None:
            conclude(function, options, json_path, verbose)

        return click.command(name)(with_options(cls)(call))

    return decorate


def conclude(function: Callable[[Any, Output], Any], options: Any, json_path: Path | None,
             verbose: bool) -> None:
    """Call a command, write its results, end with its exit code."""
    output = Output(verbose, json_path=json_path)
    write_json(json_path, function(options, output))
    if output.exit_code:
        raise click.exceptions.Exit(output.exit_code)


def with_options(cls: type[Any]) -> Callable[[Decorated], Decorated]:
    """Decorator: the function gets an instance of ``cls``, ``json_path`` and ``verbose``."""
    parts = leaves(cls)

    def decorate(function: Decorated) -> Decorated:
        @functools.wraps(function)
        def call(**values: Any) -> Any:
            given = {leaf.name: value for leaf in parts
                     if (value := values.pop(leaf.name)) is not None or leaf.default is None}
            return function(options=make(cls, given), **values)

        found: Any = call
        for option in reversed([*map(option_of, parts), *_always()]):
            found = option(found)
        return typing.cast(Decorated, found)

    return decorate


def option_of(leaf: Leaf) -> Callable[[Any], Any]:
    """The click option of a field."""
    kind, many, rule = leaf.type, False, leaf.rule
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind, = (one for one in typing.get_args(kind) if one is not type(None))
    if typing.get_origin(kind) is tuple:
        kind, many = typing.get_args(kind)[0], True
    default = None if leaf.default is MISSING else leaf.default
    shown = default is not None and default not in ("", ())
    if kind is bool:
        return click.option(f"{leaf.flag}/{leaf.off}" if leaf.off else leaf.flag, leaf.name,
                            default=default, show_default=bool(rule.off), is_flag=True,
                            help=leaf.words.replace("``", ""))
    metavar, words = rule.metavar or None, leaf.words.replace("``", "")
    parsed: Any
    if rule.choices is not None:
        parsed = click.Choice(list(rule.choices()))
    elif rule.names is not None:
        parsed = NameOrPath(rule.names())
        shortest = f"NAME|{metavar or 'FILE'}"
        metavar = f"{'|'.join(parsed.names)}|{metavar or 'FILE'}"
        if len(metavar) > METAVAR_MAX:
            metavar, words = shortest, f"{words} Names: {', '.join(parsed.names)}."
    elif kind is Path:
        parsed = OutputFile(rule.mark, rule.suffixes) if rule.written else click.Path(
            path_type=Path, dir_okay=rule.path != "file", file_okay=rule.path != "folder")
        metavar = metavar or {"file": "FILE", "folder": "DIR", "any": "PATH"}[rule.path]
    else:
        parsed = PLAIN[kind]
    if rule.placed:
        return click.argument(leaf.name, type=parsed, nargs=-1 if many else 1, metavar=metavar,
                              required=leaf.default is MISSING)
    return click.option(
        leaf.flag, leaf.name, type=parsed, multiple=many, required=leaf.default is MISSING,
        default=default, show_default=shown, metavar=metavar, help=words)


def _always() -> tuple[Callable[[Any], Any], ...]:
    return (click.option("--json", "json_path", type=OutputFile(), metavar="FILE",
                         help="Write the results as JSON."),
            click.option("-v", "--verbose", is_flag=True, help="Show details, too."))
