"""Groups of commands, imported when they are called, and what other packages add.

Nothing of a command is imported to list it: its first sentence is read from its source.
"""

import ast
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click
from click.shell_completion import CompletionItem

from ouroboros.sw.cli.files import CheckedContext

__all__ = ["DIFFERS", "INTERRUPTED", "Failure", "LazyGroup", "first_sentence"]

DIFFERS = 3
"""Exit code: a machine said something else than the golden decoder."""
INTERRUPTED = 130
"""Exit code: the user pressed Ctrl-C; what there was by then is printed and written."""


class Failure(click.ClickException):
    """An error of the user's input: one sentence on stderr, exit code 2."""

    exit_code = 2

    def format_message(self) -> str:
        """The sentence; control characters of what it quotes are shown, not obeyed."""
        # Rich takes long to import, and most commands end well.
        from ouroboros.sw.lib.text import visible

        return visible(self.message, keep="\n\t")


class LazyGroup(click.Group):
    """A group whose commands are named by ``module:function``.

    Parameters
    ----------
    commands_at : Mapping[str, str]
        Where its own commands are, by name.
    points : str
        Group of entry points by which other packages add commands.
    """

    def __init__(self, *args: Any, commands_at: Mapping[str, str], points: str, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at
        self.points = points

    def targets(self) -> dict[str, str]:
        """Where every command is, by name; own ones win."""
        found = {entry.name: entry.value for entry in entry_points(group=self.points)}
        return dict(sorted({**found, **self.commands_at}.items()))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.targets())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self.targets().get(cmd_name)
        if target is None:
            return None
        try:
            command = resolve_name(target)
        except (ImportError, AttributeError) as error:
            return _broken(cmd_name, f"command {cmd_name} cannot be loaded: {error}")
        if not isinstance(command, click.Command):
            return _broken(cmd_name, f"command {cmd_name} must be a click command, "
                                     f"not {type(command).__name__}")
        command.context_class = CheckedContext
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and first sentences, cut to the width of the page."""
        targets = self.targets()
        room = formatter.width - 6 - max(map(len, targets), default=0)
        rows = [(name, click.Command(name, help=_words(target)).get_short_help_str(room))
                for name, target in targets.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin so, then what every command completes."""
        found = [CompletionItem(name, help=_words(target))
                 for name, target in self.targets().items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def first_sentence(target: str) -> str:
    """First paragraph of the docstring of ``module:function``; the module is not imported.

    Raises
    ------
    ImportError, OSError, SyntaxError
        If there is no such module, or it has no source to read.
    """
    module, _, name = target.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"No module named {module!r}")
    for node in ast.parse(Path(spec.origin).read_bytes()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
    return ""


def _words(target: str) -> str:
    try:
        return first_sentence(target)
    except (ImportError, OSError, SyntaxError, ValueError) as error:
        return f"Unavailable: {error}."


def _broken(name: str, reason: str) -> click.Command:
    """A command that only says why it is not there; the others keep working."""
    @click.command(name, help=f"Unavailable: {reason}.",
                   context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def command(rest: tuple[str, ...]) -> None:
        raise Failure(reason)

    return command
