"""The ``ouroboros`` command: its group; errors become one sentence and exit code 2.

Commands of other packages register under the entry point group ``ouroboros.commands``.
"""

import errno
from typing import Any

import click

import ouroboros
from ouroboros.hw.params.load import ConfigError
from ouroboros.sw.cli.group import INTERRUPTED, Failure, LazyGroup
from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["cli", "main"]

COMMANDS = {
    "baseline": "ouroboros.sw.cli.wafer.baseline:baseline",
    "block": "ouroboros.sw.cli.block:block",
    "compare": "ouroboros.sw.cli.wafer.compare:compare",
    "demo": "ouroboros.sw.cli.demo:demo",
    "energy": "ouroboros.sw.cli.wafer.energy:energy",
    "experiments": "ouroboros.sw.cli.wafer.experiments:experiments",
    "faults": "ouroboros.sw.cli.faults:faults",
    "fetch": "ouroboros.sw.cli.fetch:fetch_command",
    "htree": "ouroboros.sw.cli.placing.htree:htree",
    "list": "ouroboros.sw.cli.list:list_command",
    "map": "ouroboros.sw.cli.placing.map:map_command",
    "noc": "ouroboros.sw.cli.noc.noc:noc",
    "overlap": "ouroboros.sw.cli.overlap:overlap",
    "predict": "ouroboros.sw.cli.predict:predict",
    "quantise": "ouroboros.sw.cli.quantise:quantise",
    "relieve": "ouroboros.sw.cli.placing.relieve:relieve_command",
    "repair": "ouroboros.sw.cli.placing.repair:repair",
    "run": "ouroboros.sw.cli.run:run",
    "search": "ouroboros.sw.cli.search.search:search",
    "serve": "ouroboros.sw.cli.serving.serve:serve",
    "serve-trace": "ouroboros.sw.cli.serving.trace:serve_trace_command",
    "speed": "ouroboros.sw.cli.speed:speed",
    "sweep": "ouroboros.sw.cli.wafer.sweep:sweep",
    "tier": "ouroboros.sw.cli.tier.tier:tier",
    "tile": "ouroboros.sw.cli.placing.tile:tile",
    "wafer": "ouroboros.sw.cli.wafer.wafer:wafer",
    "yield": "ouroboros.sw.cli.placing.yields:yield_command",
}


class _Commands(LazyGroup):
    """The top group: what goes wrong with the user's input is a ``Failure``."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except (OuroborosError, ConfigError) as error:
            raise Failure(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            where = "standard output" if error.filename is None else error.filename
            raise Failure(f"{where}: {error.strerror or error}") from error


@click.group(cls=_Commands, commands_at=COMMANDS, points="ouroboros.commands",
             context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ouroboros.__version__, prog_name="ouroboros")
def cli() -> None:
    """Ouroboros: an SRAM compute-in-memory accelerator of language models, and its tools.

    "ouroboros list" names machines, models, placements, back ends and simulators.
    Words are completed in a shell that has run: eval "$(_OUROBOROS_COMPLETE=bash_source ouroboros)"
    (or zsh_source, fish_source).
    """


def main() -> None:
    """Entry point of the installed script."""
    cli(prog_name="ouroboros")


if __name__ == "__main__":
    main()
