"""``ouroboros block``: blocks of a model's shape at full width, golden or on RTL."""

from typing import Any

import click

from ouroboros.sw.api.block import BlockOptions, BlockRun, run_block
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.run import exit_code, print_measured
from ouroboros.sw.cli.tables import table
from ouroboros.sw.cli.watch import Watch
from ouroboros.sw.perf.agreement import Agreement, Pair
from ouroboros.sw.runtime.times import recall

__all__ = ["block"]


@command(BlockOptions)
def block(options: BlockOptions, output: Output) -> dict[str, Any]:
    """Run blocks of a model's shape with drawn weights, in scheme R2, at full width.

    Embedding and head are of 256 tokens and no part of the shape. On a simulator the logits are
    held against the golden decoder and the cycles against the cycle model, stage by stage. Exit
    code 3 if a logit or token differs.
    """
    with Watch(recall(options.habit)) as watch:
        found = run_block(options, watch.progress)
    # Before all that is printed: the run took its time.
    output.keep(found.as_dict())
    print_measured(found.served)
    click.echo(f"{len(found.served.program.roles)} cores on {found.dies} dies; weights drawn in "
               f"{found.draw_s:.1f} s, placed in {found.place_s:.1f} s")
    if found.served.agreement is not None:
        output.show(_kinds(found, found.served.agreement))
    output.exit_code = exit_code(found.served)
    return found.as_dict()


def _kinds(found: BlockRun, agreement: Agreement) -> Any:
    """Stages of a kind together."""
    shown = table("cycles", "measured", "predicted", "error", right=(1, 2, 3),
                  title="RTL beside the cycle model")
    kinds: dict[str, Pair] = {}
    for stage in found.served.program.stages:
        one = agreement.stages[stage.name]
        past = kinds.get(stage.kind, Pair(0, 0))
        kinds[stage.kind] = Pair(past.measured + one.measured, past.predicted + one.predicted)
    decoded = [*agreement.decode.values()]
    rows = {"prefill": agreement.prefill,
            "decoded tokens": Pair(sum(one.measured for one in decoded),
                                   sum(one.predicted for one in decoded)),
            **({"interval": agreement.interval} if agreement.interval else {}),
            **{f"stages {kind}": pair for kind, pair in kinds.items()}}
    for name, pair in rows.items():
        shown.add_row(name, f"{pair.measured:,}", f"{pair.predicted:,}", f"{pair.error:+.1%}")
    return shown
