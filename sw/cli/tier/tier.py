"""``ouroboros tier``: memory with processing units."""

import click

from ouroboros.sw.cli.group import LazyGroup

__all__ = ["tier"]

COMMANDS = {
    "edge": "ouroboros.sw.cli.tier.system:edge",
    "figures": "ouroboros.sw.cli.tier.system:figures",
    "run": "ouroboros.sw.cli.tier.system:run",
    "serve": "ouroboros.sw.cli.tier.serve:serve",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS, points="ouroboros.tier.commands")
def tier() -> None:
    """Attention in DIMMs with processing units."""
