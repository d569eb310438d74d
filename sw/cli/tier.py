"""`ouroboros tier`: memory with processing units beside the wafer."""

import click

from ouroboros.sw.cli.group import LazyGroup

__all__ = ["tier"]

COMMANDS: dict[str, str] = {}


@click.group(cls=LazyGroup, commands_at=COMMANDS, points="ouroboros.tier.commands")
def tier() -> None:
    """Attention in DIMMs with processing units."""
