"""A group of commands that other packages add to by entry point."""

from importlib.metadata import entry_points
from typing import Any

import click

__all__ = ["Failure", "OpenGroup"]


class Failure(click.ClickException):
    """An error of the user's input: one sentence on stderr, exit code 2."""

    exit_code = 2


class OpenGroup(click.Group):
    """A group that finds further commands by entry point; they are imported when asked for.

    Parameters
    ----------
    points : str
        Name of the entry points' group.
    """

    def __init__(self, *args: Any, points: str, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.points = points

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = {entry.name for entry in entry_points(group=self.points)}
        return sorted(found | set(super().list_commands(ctx)))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for entry in entry_points(group=self.points, name=cmd_name):
            try:
                command = entry.load()
            except (ImportError, AttributeError) as error:
                return _broken(cmd_name, f"command {cmd_name} cannot be loaded: {error}")
            if not isinstance(command, click.Command):
                return _broken(cmd_name, f"command {cmd_name} must be a click command, "
                                         f"not {type(command).__name__}")
            return command
        return None


def _broken(name: str, reason: str) -> click.Command:
    """A command that only says why it is not there; the others keep working."""
    @click.command(name, help=f"Unavailable: {reason}.",
                   context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def command(rest: tuple[str, ...]) -> None:
        raise Failure(reason)

    return command
