"""The ``ouroboros`` command: its group, and how errors become one sentence and exit code 2.

Commands of other packages register under the entry point group ``ouroboros.commands``.
"""

from typing import Any

import click

from ouroboros.hw.params.load import ConfigError
from ouroboros.sw.cli.demo import demo
from ouroboros.sw.cli.group import Failure, OpenGroup
from ouroboros.sw.cli.htree import htree
from ouroboros.sw.cli.map import map_command
from ouroboros.sw.cli.noc import noc
from ouroboros.sw.cli.overlap import overlap
from ouroboros.sw.cli.predict import predict
from ouroboros.sw.cli.quantise import quantise
from ouroboros.sw.cli.relieve import relieve_command
from ouroboros.sw.cli.repair import repair
from ouroboros.sw.cli.run import run
from ouroboros.sw.cli.speed import speed
from ouroboros.sw.cli.tile import tile
from ouroboros.sw.cli.wafer import wafer
from ouroboros.sw.cli.yields import yield_command
from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["cli", "main"]


class _Commands(OpenGroup):
    """The top group: what goes wrong with the user's input is a ``Failure``."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (OuroborosError, ConfigError) as error:
            raise Failure(str(error)) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise Failure(f"{error.filename}: {error.strerror}") from error


@click.group(cls=_Commands, points="ouroboros.commands",
             context_settings={"help_option_names": ["-h", "--help"]})
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
