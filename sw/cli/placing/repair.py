"""``ouroboros repair``: cores of a placed wafer die; chains of tiles step aside."""

from typing import Any

import click

from ouroboros.sw.api.placing.repair import RepairOptions, repair_placement
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.progress import progress_bar
from ouroboros.sw.cli.tables import table

__all__ = ["repair"]


@command(RepairOptions)
def repair(options: RepairOptions, output: Output) -> dict[str, Any]:
    """Let cores of a placement die and repair it each time, by the cheapest chain of tiles.

    Those that are --dead die first, unless the placement knows of them already. Exit code 1 if the
    spares end before the faults do.
    """
    with progress_bar("faults") as progress:
        life = repair_placement(options, progress)
    found = life.as_dict()
    output.say(f"{life.placement.instance_name}: {found['faults']:,} faults repaired, cost "
               f"{found['cost_change']:+.4%}")
    shown = table("faults", "cost", "mean, ms", right=range(3))
    for row in found["after"]:
        shown.add_row(f"{row['faults']:,}", f"{row['cost_change']:+.4%}", f"{row['mean_ms']:.3f}")
    output.show(shown)
    output.say(f"{found['faults_on_tiles']:,} faults hit a tile; tiles moved: mean "
               f"{found['mean_tiles_moved']:.1f}, at most {found['max_tiles_moved']};\ntime: 99 % "
               f"below {found['p99_ms']:.2f} ms, at most {found['max_ms']:.2f} ms; tables, once: "
               f"{found['table_ms']:.1f} ms\nspares left: {found['spares_left']:,}")
    if life.refusal is not None:
        click.echo(f"fault {found['faults'] + 1}: {life.refusal}", err=True)
        output.exit_code = 1
    return found
