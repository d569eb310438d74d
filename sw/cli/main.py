"""The ``ouroboros`` command: its group, and how errors become one sentence and exit code 2.

Commands of other packages register under the entry point group ``ouroboros.commands``; they are
imported when they are asked for.
"""

from importlib.metadata import entry_points
from typing import Any

import click

from hw.params.load import ConfigError
from sw.cli.demo import demo
from sw.cli.htree import htree
from sw.cli.map import map_command
from sw.cli.noc import noc
from sw.cli.overlap import overlap
from sw.cli.predict import predict
from sw.cli.quantise import quantise
from sw.cli.relieve import relieve_command
from sw.cli.repair import repair
from sw.cli.run import run
from sw.cli.speed import speed
from sw.cli.tile import tile
from sw.cli.wafer import wafer
from sw.cli.yields import yield_command
from sw.errors import OuroborosError

__all__ = ["Failure", "cli", "main"]

_ENTRY_POINTS = "ouroboros.commands"


class Failure(click.ClickException):
    """An error of the user's input: one sentence on stderr, exit code 2."""

    exit_code = 2


class _Commands(click.Group):
    """A group that finds further commands by entry point."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = {entry.name for entry in entry_points(group=_ENTRY_POINTS)}
        return sorted(found | set(super().list_commands(ctx)))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for entry in entry_points(group=_ENTRY_POINTS, name=cmd_name):
            try:
                command = entry.load()
            except (ImportError, AttributeError) as error:
                return _broken(cmd_name, f"command {cmd_name} cannot be loaded: {error}")
            if not isinstance(command, click.Command):
                return _broken(cmd_name, f"command {cmd_name} must be a click command, "
                                         f"not {type(command).__name__}")
            return command
        return None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (OuroborosError, ConfigError) as error:
            raise Failure(str(error)) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise Failure(f"{error.filename}: {error.strerror}") from error


def _broken(name: str, reason: str) -> click.Command:
    """A command that only says why it is not there; the others keep working."""
    @click.command(name, help=f"Unavailable: {reason}.",
                   context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def command(rest: tuple[str, ...]) -> None:
        raise Failure(reason)

    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ouroboros-cim", prog_name="ouroboros")
def cli() -> None:
    """Ouroboros: an SRAM compute-in-memory accelerator of language models, and its tools."""


cli.add_command(demo)
cli.add_command(htree)
cli.add_command(map_command)
cli.add_command(noc)
cli.add_command(overlap)
cli.add_command(predict)
cli.add_command(quantise)
cli.add_command(relieve_command)
cli.add_command(repair)
cli.add_command(run)
cli.add_command(speed)
cli.add_command(tile)
cli.add_command(wafer)
cli.add_command(yield_command)


def main() -> None:
    """Entry point of the installed script."""
    cli(prog_name="ouroboros")


if __name__ == "__main__":
    main()
