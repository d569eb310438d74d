"""BookSim2's tables: its columns, its rows as experiments, its latency in our time."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.csv_file import Row, read_rows
from ouroboros.sw.lib.errors import FileError, OuroborosError
from ouroboros.sw.lib.write import replaced
from ouroboros.sw.noc.experiment.options import CYCLES_MAX, PATTERNS, LabOptions, experiment
from ouroboros.sw.noc.experiment.result import Report
from ouroboros.sw.noc.load.theory import channel_bound, zero_load_latency
from ouroboros.sw.noc.study.saturation import SATURATED

__all__ = ["COLUMNS", "PIPELINES", "Reference", "read_reference", "row_of", "write_rows"]

COLUMNS = ("key", "k", "traffic", "num_vcs", "vc_buf_size", "packet_size", "pipeline",
           "channel_load_bound", "mode", "injection_rate", "fraction_of_bound", "packet_latency",
           "network_latency", "hops_routers", "p50", "p95", "p99", "accepted",
           "accepted_min_node", "accepted_max_node", "injected", "saturated",
           "latency_over_3x_zero_load", "packets_measured", "sim_cycles", "cycles_per_s")
"""Columns that BookSim2's tables have too, and the speed."""
READ = ("key", "k", "traffic", "num_vcs", "vc_buf_size", "packet_size", "pipeline", "mode",
        "injection_rate", "packet_latency", "accepted", "saturated", "latency_over_3x_zero_load")
"""Those that are read."""
PIPELINES = {"default5": (7, 5), "min3": (5, 3), "patched2": (2, 2), "patched1": (2, 1)}
"""Zero-load latency of BookSim2's pipelines, c + h H + (L - 1) for H links and L flits: c, h."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One row of BookSim2's table, as our experiment."""

    key: str
    pipeline: str
    overload: bool
    """Measured for throughput, at offered load 1."""
    options: LabOptions
    latency: float | None
    """Mean packet latency, None where it did not settle."""
    accepted: float | None
    over: bool
    """Latency is over 3 times that of an empty network, or did not settle."""

    def in_our_time(self, latency: float) -> float:
        """Our latency, as if our pipeline were BookSim2's: minus our T0, plus its.

        H is the mean of the pattern; of the exact formulas only c and h differ.
        """
        base, hop = PIPELINES[self.pipeline]
        ours = zero_load_latency(self.options)
        hops = (ours - 3 - (self.options.traffic.packet_flits - 1)) / 2
        return latency - 3 - 2 * hops + base + hop * hops


def read_reference(path: Path) -> list[Reference]:
    """Rows of a table of BookSim2's.

    Raises
    ------
    OuroborosError
        If the file cannot be read or lacks a column; the message names line and column.
    """
    return [_reference(row) for row in read_rows(path, READ, others=True)]


def _reference(row: Row) -> Reference:
    for column, known in (("traffic", PATTERNS), ("pipeline", tuple(PIPELINES)),
                          ("mode", ("latency", "throughput"))):
        if row.cells[column] not in known:
            raise row.refuse(column, f"one of {', '.join(known)}")
    size, nodes, vcs, depth = (row.whole(column, 1, CYCLES_MAX) for column in (
        "packet_size", "k", "num_vcs", "vc_buf_size"))
    latency, accepted = (row.number(column, 0, CYCLES_MAX) if row.cells[column] else None
                         for column in ("packet_latency", "accepted"))
    rate = row.number("injection_rate", 0, size)
    try:
        options = experiment(
            width=nodes, height=nodes, pattern=row.cells["traffic"], vcs=vcs, vc_depth=depth,
            packet_min=size, packet_max=size, rate=rate)
    except OuroborosError as error:
        raise FileError(f"{row.where}: {error}") from None
    return Reference(
        key=row.cells["key"], pipeline=row.cells["pipeline"],
        overload=row.cells["mode"] == "throughput", options=options, latency=latency,
        accepted=accepted, over=latency is None or "True" in (
            row.cells["saturated"], row.cells["latency_over_3x_zero_load"]))


def row_of(options: LabOptions, found: Report) -> dict[str, Any]:
    """A report as a row with ``COLUMNS``; ``pipeline`` says what ran."""
    bound = channel_bound(options)
    latency, traffic, noc = found.packet_latency, options.traffic, options.noc
    row = {name: getattr(found, name, None) for name in COLUMNS}
    return row | {
        "key": f"k{found.k}_{traffic.pattern}_{noc.vcs}x{noc.vc_depth}_ps{found.packet_size}_"
               f"{found.on}{'_ordered' if traffic.ordered else ''}",
        "pipeline": found.on, "channel_load_bound": bound,
        "mode": "latency" if options.drain_cycles else "throughput",
        "fraction_of_bound": traffic.rate / bound,
        "latency_over_3x_zero_load":
            latency is not None and latency >= SATURATED * zero_load_latency(options),
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a table with ``COLUMNS``; what is None stays empty."""
    with replaced(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
