"""A page with pictures of a mapping: chips over time, and what each chip moves and computes."""

import io
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from ouroboros.sw.lib.write import write
from ouroboros.sw.search.bounds.bound import Bound
from ouroboros.sw.search.evaluation.look import Look
from ouroboros.sw.search.problem.layers import STAGES

__all__ = ["PICTURE_MARK", "write_picture"]

PICTURE_MARK = "ouroboros-mapping-page-1"
"""Mark of the files."""
COLOURS = ("#6b7683", "#3b6fb6", "#2a9d8f", "#8661b5", "#1d2530", "#d4a017", "#dd7a3b", "#c2478a")
"""Of the stages."""
MEGA = 1e6


def write_picture(seen: Look, path: Path, limits: Bound | None = None) -> None:
    """Write the page; with the bound and the gap if there is one."""
    instance, figures = seen.problem.instance, seen.figures
    rows = [("latency", f"{figures.latency_cycles:,.0f} cycles"),
            ("energy", f"{figures.energy_pj:.4e} pJ"), ("EDP", f"{figures.edp:.4e} pJ x cycles"),
            ("links and DRAM", "shared" if seen.contended else "each layer alone"),
            ("DRAM is busy", f"{seen.dram_share:.1%}"),
            ("busiest link is busy", f"{seen.busiest_link:.1%}")]
    if limits is not None:
        rows += [("no mapping is below", f"{limits.edp:.4e}"),
                 ("gap", f"{limits.gap(figures.edp):.1%}")]
    table = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows)
    write(path, f"<!doctype html><!-- {PICTURE_MARK} --><html lang=\"en\"><meta charset=\"utf-8\">"
                f"<title>{escape(instance.name)}</title><style>body{{font:15px sans-serif;"
                "max-width:1100px;margin:2em auto;color:#1d2530}td{padding:.1em 1em .1em 0}"
                f"svg{{max-width:100%;height:auto}}</style><h1>{escape(instance.name)}</h1>"
                f"<table>{table}</table><h2>Chips over time</h2>{_schedule(seen)}"
                f"<h2>Traffic of the chips</h2>{_chips(seen)}</html>\n")


def _schedule(seen: Look) -> str:
    instance, kinds = seen.problem.instance, seen.problem.layers.kind
    figure = Figure(figsize=(11, 0.16 * instance.chips + 1.2), layout="constrained")
    axes = figure.subplots()
    chips = seen.mapping.chips.reshape(-1)
    for stage, name in enumerate(STAGES):
        for chip in range(instance.chips):
            mine = [n for n in (chips == chip).nonzero()[0] if kinds[n % instance.layers] == stage]
            axes.broken_barh([(seen.start[n], seen.end[n] - seen.start[n]) for n in mine],
                             (chip - 0.4, 0.8), color=COLOURS[stage], linewidth=0.2,
                             edgecolor="white", label=name if chip == 0 else None)
    axes.set_xlim(0, seen.figures.latency_cycles)
    axes.set_ylim(instance.chips - 0.5, -0.5)
    axes.set_xlabel("cycles")
    axes.set_ylabel("chip")
    figure.legend(ncols=len(STAGES), loc="outside upper center", fontsize=8)
    return _svg(figure)


def _chips(seen: Look) -> str:
    columns, rows = seen.problem.instance.grid
    figure = Figure(figsize=(11, 0.55 * rows + 1.2), layout="constrained")
    shown = (("from DRAM, MB", seen.chip_bytes(seen.read) / MEGA),
             ("to DRAM, MB", seen.chip_bytes(seen.write) / MEGA),
             ("from chips, MB", seen.chip_bytes(seen.received) / MEGA),
             ("arithmetic", seen.arithmetic / seen.figures.latency_cycles))
    for axes, (name, values) in zip(figure.subplots(1, len(shown)), shown, strict=True):
        drawn = axes.imshow(values.reshape(rows, columns), cmap="viridis", vmin=0)
        axes.set_title(name, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
        figure.colorbar(drawn, ax=axes, shrink=0.7)
    return _svg(figure)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    whole = text.getvalue()
    return whole[whole.index("<svg"):]
