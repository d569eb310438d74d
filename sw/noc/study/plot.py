"""Pictures of load curves."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ouroboros.sw.lib.write import replaced
from ouroboros.sw.noc.errors import NocError

__all__ = ["MARK", "SUFFIXES", "plot_sweep"]

MARK = "ouroboros noc sweep"
"""In the first bytes of every picture."""
SUFFIXES = (".svg", ".png")
"""Endings of their names."""
LATENCY_SHOWN = 4.0
"""Multiple of the lowest latency at which the latency axis ends."""


def plot_sweep(path: Path, rows: list[dict[str, Any]], title: str) -> None:
    """Latency and accepted load over offered load, a line for each key; SVG or PNG by the name.

    Points whose latency did not settle, or is far beyond saturation, are left out on the left.

    Raises
    ------
    NocError
        If the name ends in neither.
    """
    if path.suffix not in SUFFIXES:
        raise NocError(f"plot must be a .svg or .png file, not {path.name!r}")
    matplotlib.rcParams["svg.hashsalt"] = "ouroboros"
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    known = [row["packet_latency"] for row in rows if row["packet_latency"] is not None]
    top = LATENCY_SHOWN * min(known) if known else 1.0
    offered = sorted({row["injection_rate"] for row in rows})
    for key in dict.fromkeys(row["key"] for row in rows):
        line = sorted((row for row in rows if row["key"] == key),
                      key=lambda row: float(row["injection_rate"]))
        settled = [row for row in line if row["packet_latency"] is not None
                   and not row["saturated"] and row["packet_latency"] <= 2 * top]
        dashes = "--" if line[0].get("reference") else "-"
        marker = "x" if line[0].get("reference") else "o"
        left.plot([row["injection_rate"] for row in settled],
                  [row["packet_latency"] for row in settled], dashes, marker=marker,
                  markersize=4, label=key)
        accepted = [row for row in line if row["accepted"] is not None]
        right.plot([row["injection_rate"] for row in accepted],
                   [row["accepted"] for row in accepted], dashes, marker=marker, markersize=4,
                   label=key)
    right.plot([0, offered[-1]], [0, offered[-1]], ":", color="grey", label="all that is offered")
    right.set_ylim(0, 1.15 * max((row["accepted"] or 0) for row in rows) or 1)
    left.set_ylim(0, top)
    left.set_ylabel("packet latency, cycles")
    right.set_ylabel("accepted, flits per node and cycle")
    for axes in (left, right):
        axes.set_xlim(0, None)
        axes.set_xlabel("offered, flits per node and cycle")
        axes.grid(alpha=0.3)
    right.legend(fontsize=8)
    figure.suptitle(title)
    metadata = {"Date": None, "Title": MARK} if path.suffix == ".svg" else {"Title": MARK}
    with replaced(path) as aside:
        figure.savefig(aside, format=path.suffix[1:], metadata=metadata, dpi=120)
