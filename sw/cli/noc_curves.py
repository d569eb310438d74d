"""``ouroboros noc sweep``, ``saturation`` and ``compare``: load curves."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ouroboros.sw.cli.noc_options import lab_options
from ouroboros.sw.cli.options import OutputFile, json_option, print_whole, progress_bar, write_json
from ouroboros.sw.lib.text import Console
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.lab import runner
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.load.theory import channel_bound, zero_load_latency
from ouroboros.sw.noc.study.booksim import COLUMNS, Reference, read_reference, row_of, write_rows
from ouroboros.sw.noc.study.plot import MARK, SUFFIXES, plot_sweep
from ouroboros.sw.noc.study.saturation import saturation as find_saturation

__all__ = ["compare", "saturation", "sweep"]

FRACTIONS = (0.05, 0.2, 0.35, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
OVERLOAD_SEEDS = (1, 2, 3)
reference_option = click.option(
    "--reference", "reference_path", type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE", help="BookSim2's table (CSV).")


def parse_rates(text: str, options: LabOptions) -> list[float]:
    """``auto``: parts of the channel-load bound; else numbers with commas between."""
    if text == "auto":
        bound = channel_bound(replace(options, rate=0.1))
        return [round(fraction * bound, 6) for fraction in FRACTIONS]
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise NocError(f"--rates must be auto or numbers with commas between, "
                       f"not {text!r}") from None


def overload(options: LabOptions, seed: int) -> LabOptions:
    """The experiment at offered load 1, for throughput."""
    return replace(options, rate=min(1.0, options.packet_flits), seed=seed, drain_cycles=0)


@click.command()
@lab_options
@click.option("--rates", default="auto", show_default=True, metavar="LIST",
              help="Offered loads; auto: 0.05 to 0.9 of the channel-load bound.")
@click.option("--overload/--no-overload", "with_overload", default=True, show_default=True,
              help="Also offered load 1, three seeds, for throughput.")
@click.option("--on", "on", multiple=True, default=("model",), show_default=True,
              help="model, verilator or icarus; may be repeated.")
@click.option("--csv", "csv_path", type=OutputFile(",".join(COLUMNS)), metavar="FILE",
              help="Write all points with the columns of BookSim2's tables.")
@click.option("--plot", "plot_path", type=OutputFile(MARK, SUFFIXES), metavar="FILE",
              help="Draw the curves, .svg or .png.")
@reference_option
@json_option
def sweep(options: LabOptions, rates: str, with_overload: bool, on: tuple[str, ...],
          csv_path: Path | None, plot_path: Path | None, reference_path: Path | None,
          json_path: Path | None) -> None:
    """Load curve: latency and accepted load over offered load.

    With --reference, BookSim2's points of the same mesh and traffic are drawn too, pipeline
    patched2 (two cycles per hop), shifted by the difference of the zero-load latencies.
    """
    points = [replace(options, rate=rate) for rate in parse_rates(rates, options)]
    if with_overload:
        points += [overload(options, seed) for seed in OVERLOAD_SEEDS]
    rows: list[dict[str, Any]] = []
    with progress_bar("points") as progress:
        for name in on:
            run = runner(name)
            for point in points:
                rows.append(row_of(point, run(point)))
                progress(len(rows), len(points) * len(on))
    table = Table("on", "offered", "latency", "99 %", "accepted", "least node", "of bound",
                  "", title=title_of(options))
    for row in rows:
        table.add_row(row["pipeline"], f"{row['injection_rate']:.4f}",
                      shown(row["packet_latency"]), shown(row["p99"]), f"{row['accepted']:.4f}",
                      f"{row['accepted_min_node']:.4f}",
                      f"{row['accepted'] / row['channel_load_bound']:.3f}",
                      "saturated" if row["saturated"] and row["mode"] == "latency" else
                      "overload" if row["mode"] == "throughput" else
                      "over 3 T0" if row["latency_over_3x_zero_load"] else "")
    print_whole(table)
    if csv_path is not None:
        write_rows(csv_path, rows)
    if plot_path is not None:
        drawn = [row for row in rows if row["mode"] == "latency"]
        if reference_path is not None:
            drawn += [{"key": f"BookSim2 {ref.key}", "injection_rate": ref.options.rate,
                       "packet_latency": None if ref.latency is None or ref.over
                       else 2 * ref.latency - ref.in_our_time(ref.latency),
                       "accepted": ref.accepted, "saturated": False, "reference": True}
                      for ref in matching(read_reference(reference_path), options)
                      if not ref.overload and ref.pipeline == "patched2"]
        plot_sweep(plot_path, drawn, title_of(options))
    write_json(json_path, {"points": rows})


def title_of(options: LabOptions) -> str:
    """What is run, in a line."""
    size = f"{options.packet_min}" if options.packet_min == options.packet_max else (
        f"{options.packet_min} to {options.packet_max}")
    return (f"{options.width} x {options.height} {options.traffic}, {options.vcs} channels of "
            f"{options.depth} flits, packets of {size}{', ordered' if options.ordered else ''}")


def shown(value: float | None) -> str:
    """A number of cycles, or nothing."""
    return "" if value is None else f"{value:,.2f}"


def matching(references: list[Reference], options: LabOptions) -> list[Reference]:
    """Rows with the same mesh, traffic, channels and packets."""
    def key(one: LabOptions) -> tuple[Any, ...]:
        return (one.width, one.height, one.traffic, one.vcs, one.depth, one.packet_min,
                one.packet_max)
    return [ref for ref in references if key(ref.options) == key(options)]


@click.command()
@lab_options
@click.option("--on", "on", default="model", show_default=True,
              help="model, verilator or icarus.")
@json_option
def saturation(options: LabOptions, on: str, json_path: Path | None) -> None:
    """Search the offered load at which latency reaches three times that of an empty network."""
    found = find_saturation(options, runner(on))
    bound = channel_bound(replace(options, rate=0.1))
    t0 = zero_load_latency(replace(options, rate=0.1))
    Console().print(f"{title_of(options)}, on {on}: saturates at {found:.4f} flits per node and "
                    f"cycle, {found / bound:.3f} of the channel-load bound {bound:.4f}; "
                    f"T0 {t0:.2f} cycles")
    write_json(json_path, {"saturation": found, "channel_load_bound": bound,
                           "zero_load_latency": t0, "on": on})


@click.command()
@lab_options
@click.option("--on", "on", default="model", show_default=True,
              help="What is judged: model, verilator or icarus.")
@click.option("--against", default="verilator", show_default=True,
              help="What it is held against: model, verilator, icarus or booksim.")
@click.option("--pipeline", default="patched2", show_default=True,
              help="Rows of BookSim2's table: patched2, min3, patched1, default5.")
@click.option("--every/--same", "every", default=False,
              help="All rows of that pipeline, not only those of the options.")
@reference_option
@json_option
def compare(options: LabOptions, on: str, against: str, pipeline: str, every: bool,
            reference_path: Path | None, json_path: Path | None) -> None:
    """Hold load curves of one against another: latency up to 0.8 of saturation, throughput.

    Against booksim, latency minus our T0 plus BookSim2's is compared at its rows' rates.
    """
    if against == "booksim":
        if reference_path is None:
            raise NocError("--reference FILE must be given with --against booksim")
        rows = list(against_reference(options, on, pipeline, every, reference_path))
    else:
        rows = list(against_other(options, on, against))
    table = Table("point", "rate", "of saturation", "quantity", on, against, "error",
                  title=f"{on} against {against}")
    for row in rows:
        table.add_row(row["key"], f"{row['rate']:.4f}",
                      "" if row["fraction"] is None else f"{row['fraction']:.2f}",
                      row["quantity"], f"{row['found']:.4f}", f"{row['want']:.4f}",
                      f"{row['error']:+.1%}")
    print_whole(table)
    worst = {}
    for quantity, limit in (("latency", 0.6), ("latency", 0.8), ("accepted", None)):
        errors = [abs(row["error"]) for row in rows if row["quantity"] == quantity
                  and (limit is None or row["fraction"] <= limit + 1e-9)]
        if errors:
            name = quantity if limit is None else f"{quantity} up to {limit:g} of saturation"
            worst[name] = max(errors)
            Console().print(f"largest error of {name}: {max(errors):.1%} ({len(errors)} points)")
    write_json(json_path, {"on": on, "against": against, "points": rows, "worst": worst})


def against_other(options: LabOptions, on: str, against: str) -> Iterator[dict[str, Any]]:
    """Points at parts of saturation, as the cycle model finds it, and overload."""
    one, other = runner(on), runner(against)
    saturated = find_saturation(options, runner("model"))
    with progress_bar("points") as progress:
        fractions = (0.1, 0.2, 0.4, 0.6, 0.7, 0.8)
        for n, fraction in enumerate(fractions, start=1):
            point = replace(options, rate=fraction * saturated)
            yield judged(point, "latency", fraction, one(point)["packet_latency"],
                         other(point)["packet_latency"])
            progress(n, len(fractions) + 1)
        point = overload(options, options.seed)
        yield judged(point, "accepted", None, one(point)["accepted"], other(point)["accepted"])


def against_reference(options: LabOptions, on: str, pipeline: str, every: bool,
                      path: Path) -> Iterator[dict[str, Any]]:
    """Points at the rates of BookSim2's rows.

    Its saturation is the first rate of its table with a latency over 3 T0, so that it is not too
    low and no point is left out of the comparison up to 0.6 of it.
    """
    run = runner(on)
    references = [ref for ref in read_reference(path) if ref.pipeline == pipeline]
    if not every:
        references = matching(references, options)
    if not references:
        raise NocError(f"{path.name}: must have rows of pipeline {pipeline} for these options")
    with progress_bar("points") as progress:
        for n, ref in enumerate(references, start=1):
            point = replace(options, **{name: getattr(ref.options, name) for name in (
                "width", "height", "traffic", "vcs", "depth", "packet_min", "packet_max", "rate")})
            progress(n, len(references))
            if ref.overload:
                accepted = [run(overload(point, seed))["accepted"] for seed in OVERLOAD_SEEDS]
                yield judged(point, "accepted", None, sum(accepted) / len(accepted), ref.accepted,
                             ref.key)
            elif not ref.over and ref.latency is not None:
                saturated = reference_saturation(references, ref.key)
                yield judged(point, "latency", ref.options.rate / saturated,
                             ref.in_our_time(run(point)["packet_latency"]), ref.latency, ref.key)


def reference_saturation(references: list[Reference], key: str) -> float:
    """First rate of a key with latency over 3 T0, or else its last."""
    rates = [(ref.options.rate, ref.over) for ref in references
             if ref.key == key and not ref.overload]
    over = [rate for rate, is_over in rates if is_over]
    return min(over) if over else max(rate for rate, _ in rates)


def judged(point: LabOptions, quantity: str, fraction: float | None, found: float,
           want: float | None, key: str = "") -> dict[str, Any]:
    """One row of the comparison."""
    return {"key": key or title_of(point), "rate": point.rate, "fraction": fraction,
            "quantity": quantity, "found": found, "want": want,
            "error": found / want - 1 if want else float("nan")}
