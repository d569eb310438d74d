"""``ouroboros sweep``: many points of the wafer model, as a table."""

from typing import Any

from rich.table import Table

from ouroboros.sw.api.wafer.sweep import SweepOptions, Swept, sweep_wafer
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.progress import progress_bar
from ouroboros.sw.cli.tables import table
from ouroboros.sw.sweep.plot import plot
from ouroboros.sw.sweep.point import parse_over
from ouroboros.sw.sweep.table import HEAD, parse_goal, write_csv, write_parquet

__all__ = ["sweep"]

SHOWN = 20
"""Rows that are printed without -v."""
FIGURES = ("output_tokens_per_s", "decode_tokens_per_s", "joules_per_output_token", "ttft_s_p99",
           "tpot_s_p99", "prefill_tokens_per_s", "latency_us")
"""Columns that are printed, if there are."""


@command(SweepOptions)
def sweep(options: SweepOptions, output: Output) -> dict[str, Any]:
    """Run the wafer model at every combination of values of some keys; print a table.

    A key is an option of "ouroboros wafer", a key of the machine or an assumption. Results are
    kept as they come, so that a sweep that was stopped goes on where it was; with --on local or
    dask://HOST a worker that is lost costs nothing but time.
    """
    with progress_bar("Points") as progress:
        swept = sweep_wafer(options, progress, output.say)
    found = swept.as_dict()
    output.say(f"{found['points']:,} points, {found['refused']:,} refused; results in "
               f"{swept.folder}")
    output.show(_rows(swept, swept.best, "Points that nothing beats in: "
                      + ", ".join(swept.goals)))
    every = _rows(swept, range(len(swept.table)), "All points")
    if len(swept.table) <= SHOWN:
        output.show(every)
    else:
        output.detail(every)
    refused = {row[HEAD] for row in swept.table if row[HEAD]}
    for sentence in sorted(refused)[:3]:
        output.say(f"refused: {sentence}")
    if options.csv is not None:
        write_csv(options.csv, swept.table)
    if options.parquet is not None:
        write_parquet(options.parquet, swept.table)
    if options.plot is not None:
        plot(options.plot, swept.table, swept.best, [parse_goal(goal) for goal in swept.goals])
    return found


def _rows(swept: Swept, chosen: Any, title: str) -> Table:
    keys = [parse_over(text)[0] for text in swept.options.over]
    names = [name for name in FIGURES if any(name in row for row in swept.table)]
    shown = table(*keys, *(name.replace("_", " ") for name in names), title=title,
                  right=range(len(keys), len(keys) + len(names)))
    for n in chosen:
        row = swept.table[n]
        shown.add_row(*(str(row[key]) for key in keys),
                      *("" if row.get(name) is None else f"{row[name]:,.5g}" if row[name] < 1e5
                        else f"{row[name]:,.0f}" for name in names))
    return shown
