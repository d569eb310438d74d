"""Pictures: figures of the publication against the model's, and rates at the wafer's edge."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ouroboros.sw.lib.write import replaced
from ouroboros.sw.tier.edge import Edge
from ouroboros.sw.tier.figures.compare import Compared

__all__ = ["EDGE_MARK", "FIGURES_MARK", "draw_edge", "draw_figures"]

FIGURES_MARK = "ouroboros tier figures"
EDGE_MARK = "ouroboros tier edge"
"""In the first bytes of every picture."""


def draw_figures(found: Compared, path: Path) -> None:
    """Every published figure against the model's, by group; SVG or PNG by the name."""
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    axes = figure.subplots()
    low, high = 1.0, 1.0
    for n, group in enumerate(group for group in found.groups
                              if any(bar.published for bar in group.bars)):
        pairs = [(bar.published, bar.ours) for bar in group.bars if bar.published]
        hollow = group.limited == "none"
        axes.scatter([pair[0] for pair in pairs], [pair[1] for pair in pairs], s=22,
                     marker="os^Dv<>pP*X"[n % 11], label=group.title, linewidths=0.9,
                     facecolors="none" if hollow else f"C{n % 10}", edgecolors=f"C{n % 10}")
        low = min(low, *(min(pair) for pair in pairs))
        high = max(high, *(max(pair) for pair in pairs))
    ends = [low / 1.2, high * 1.2]
    axes.plot(ends, ends, color="grey", linewidth=0.8)
    axes.fill_between(ends, [end * 0.85 for end in ends], [end * 1.15 for end in ends],
                      color="grey", alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("published")
    axes.set_ylabel("model")
    axes.set_title("Grey: within 15 %. Hollow: cannot be compared, or no limit is set", fontsize=10)
    axes.legend(fontsize=7, loc="upper left")
    _save(figure, path, FIGURES_MARK)


def draw_edge(edges: Sequence[Edge], contexts: Sequence[int], path: Path) -> None:
    """Decode by context, for several numbers of pools."""
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    wafers = edges[0].wafers
    alone = [(context, wafers.rate(context)[0]) for context in contexts]
    axes.plot(*zip(*[pair for pair in alone if pair[1]], strict=True), color="black", marker="o",
              label=f"{wafers.wafers} wafer{'s' * (wafers.wafers > 1)} alone")
    for edge in edges:
        rates = [edge.beside(context).tokens_per_s for context in contexts]
        axes.plot(contexts, rates, marker="s",
                  label=f"with {edge.pools} pool{'s' * (edge.pools > 1)}")
    most = wafers.most_context
    axes.axvline(most, color="grey", linestyle=":", linewidth=0.8)
    axes.set_title(f"{wafers.shape.name}; dotted: {most:,} tokens, the longest sequence that the "
                   "wafer alone can serve", fontsize=10)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(contexts, [f"{context:,}" for context in contexts])
    axes.set_xlabel("tokens of context")
    axes.set_ylabel("generated tokens/s")
    axes.legend(fontsize=8)
    _save(figure, path, EDGE_MARK)


def _save(figure: Figure, path: Path, mark: str) -> None:
    matplotlib.rcParams["svg.hashsalt"] = "ouroboros"
    metadata = {"Date": None, "Title": mark} if path.suffix == ".svg" else {"Title": mark}
    with replaced(path) as aside:
        figure.savefig(aside, format=path.suffix[1:], metadata=metadata, dpi=120)
