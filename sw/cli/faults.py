"""``ouroboros faults``: a machine that is hurt while it generates text."""

from typing import Any

import click

from ouroboros.sw.api.faults import SweepOptions, Swept, sweep, totals
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import DIFFERS, INTERRUPTED, LazyGroup
from ouroboros.sw.cli.progress import progress_bar
from ouroboros.sw.cli.tables import table

__all__ = ["faults", "sweep_command"]

COMMANDS = {"sweep": "ouroboros.sw.cli.faults:sweep_command"}


@click.group(cls=LazyGroup, commands_at=COMMANDS, points="ouroboros.faults.commands")
def faults() -> None:
    """Hurt a machine while it generates text, and see what becomes of the text."""


@command(SweepOptions, name="sweep")
def sweep_command(options: SweepOptions, output: Output) -> dict[str, Any]:
    """Lose every core or link in turn, one run each, or pairs at random.

    Exit code 3 if a run gives another text or other logits than the one without a fault.
    """
    rows: list[Swept] = []
    try:
        with progress_bar("runs") as progress:
            rows.extend(sweep(options, progress))
    except KeyboardInterrupt:
        click.echo("\nInterrupted: these runs were over by then.")
        output.exit_code = INTERRUPTED
    found = totals(rows)
    shown = table("fault", "notice", "recover", "tokens again", "moved", "outcome",
                  right=range(1, 5))
    for row in rows:
        outcome = ("refused" if row.refused is not None else
                   "equal" if row.equal else "DIFFERS")
        notice = "" if row.notice_cycles is None else f"{row.notice_cycles:,}"
        shown.add_row(" ".join(row.faults), notice, f"{row.recover_cycles:,}",
                      f"{row.tokens_again}", f"{row.moved}", outcome)
    output.detail(shown)
    output.say(f"{found['runs']} runs: {found['equal']} equal the run without a fault, "
               f"{found['recovered']} recovered, {found['unnoticed']} lost nothing, "
               f"{found['refused']} refused")
    if found["recovered"]:
        for what, name in (("to notice", "notice"), ("to recover", "recover")):
            least, middle, most = (found[f"{name}_cycles_{how}"] for how in
                                   ("min", "median", "max"))
            output.say(f"cycles {what}: {least:,} to {most:,}, median {middle:,.0f}")
    for row in rows:
        if row.refused is not None:
            output.say(f"{' '.join(row.faults)}: {row.refused}")
    if found["equal"] < found["runs"]:
        output.exit_code = DIFFERS
    return {"machine": options.machine, "kind": options.kind, **found,
            "rows": [row.as_dict() for row in rows]}
