"""``ouroboros noc sweep``, ``saturation`` and ``compare``: load curves."""

from typing import Any

from ouroboros.sw.api.network import CompareOptions, SaturationOptions, SweepOptions
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import INTERRUPTED
from ouroboros.sw.cli.progress import progress_bar
from ouroboros.sw.cli.tables import cell, table
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.study import curves
from ouroboros.sw.noc.study.booksim import read_reference, write_rows
from ouroboros.sw.noc.study.plot import plot_sweep

__all__ = ["compare", "saturation", "sweep"]


@command(SweepOptions)
def sweep(options: SweepOptions, output: Output) -> dict[str, Any]:
    """Load curve: latency and accepted load over offered load.

    With --reference, BookSim2's points of the same mesh and traffic are drawn too, pipeline
    patched2 (two cycles per hop), shifted by the difference of the zero-load latencies. Ctrl-C
    ends the sweep and keeps the points done, exit code 130.
    """
    experiment = options.experiment()
    with progress_bar("points") as advance:
        found = curves.sweep(experiment, options.parsed_rates(experiment), options.on,
                             with_overload=options.overload, advance=advance)
    title = curves.title_of(experiment)
    shown = table("on", "offered", "latency", "99 %", "accepted", "least\nnode", "of\nbound", "",
                  title=title, right=range(1, 7))
    for row in found.rows:
        shown.add_row(row["pipeline"], f"{row['injection_rate']:.4f}",
                      cell(row["packet_latency"], ",.2f"), cell(row["p99"], ",.2f"),
                      f"{row['accepted']:.4f}", f"{row['accepted_min_node']:.4f}",
                      f"{row['accepted'] / row['channel_load_bound']:.3f}",
                      "saturated" if row["saturated"] and row["mode"] == "latency" else
                      "overload" if row["mode"] == "throughput" else
                      "over 3 T0" if row["latency_over_3x_zero_load"] else "")
    output.show(shown)
    _say_interrupted(found, output)
    if options.csv is not None:
        write_rows(options.csv, list(found.rows))
    if options.plot is not None:
        references = read_reference(options.reference) if options.reference else ()
        plot_sweep(options.plot, found.drawn(references), title)
    return found.as_dict()


def _say_interrupted(found: curves.Curves | curves.Comparison, output: Output) -> None:
    if found.interrupted:
        output.say("interrupted: these are the points done by then")
        output.exit_code = INTERRUPTED


@command(SaturationOptions)
def saturation(options: SaturationOptions, output: Output) -> dict[str, Any]:
    """Search the offered load at which latency reaches three times that of an empty network."""
    experiment = options.experiment()
    found = curves.saturation_of(experiment, options.on)
    output.say(f"saturates at {found.load:.4f} flits per node and cycle, "
               f"{found.load / found.channel_load_bound:.3f} of the channel-load bound "
               f"{found.channel_load_bound:.4f}; T0 {found.zero_load_latency:.2f} cycles\n"
               f"{curves.title_of(experiment)}, on {found.on}")
    return found.as_dict()


@command(CompareOptions)
def compare(options: CompareOptions, output: Output) -> dict[str, Any]:
    """Hold load curves of one against another: latency up to 0.8 of saturation, throughput.

    Against booksim, latency minus our T0 plus BookSim2's is compared at its rows' rates. Ctrl-C
    ends the comparison and keeps the points done, exit code 130.
    """
    experiment = options.experiment()
    if options.against == "booksim" and options.reference is None:
        raise NocError("--reference FILE must be given with --against booksim")
    with progress_bar("points") as advance:
        found = curves.against_other(experiment, options.on, options.against, advance) \
            if options.reference is None or options.against != "booksim" else \
            curves.against_booksim(experiment, options.on, options.reference, advance=advance,
                                   pipeline=options.pipeline, every=options.every)
    for name, (error, points) in found.worst().items():
        output.say(f"largest error of {name}: {error:.1%} ({points} points)")
    keys = {row["key"] for row in found.rows}
    shown = table("rate", "of sat.", "quantity", found.on, found.against, "error",
                  *("point",) * (len(keys) > 1), right=(0, 1, 3, 4, 5),
                  title="\n".join(keys) if len(keys) == 1 else "")
    for row in found.rows:
        shown.add_row(f"{row['rate']:.4f}",
                      cell(row["fraction"], ".2f"), row["quantity"], cell(row["found"], ".4f"),
                      cell(row["want"], ".4f"), cell(row["error"], "+.1%"),
                      *(row["key"],) * (len(keys) > 1))
    output.show(shown)
    _say_interrupted(found, output)
    return found.as_dict()
