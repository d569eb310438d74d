"""Pictures: figures of the publication against the model's, and rates at the wafer's edge."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ouroboros.sw.lib.write import replaced
from ouroboros.sw.runtime.pools import PoolLoss, Whereabouts
from ouroboros.sw.tier.edge import Edge
from ouroboros.sw.tier.figures.compare import Compared
from ouroboros.sw.wafer.pooled_run import PooledRun

__all__ = ["EDGE_MARK", "FIGURES_MARK", "KEPT_MARK", "WHERE_MARK", "draw_edge", "draw_figures",
           "draw_kept", "draw_where"]

FIGURES_MARK = "ouroboros tier figures"
EDGE_MARK = "ouroboros tier edge"
WHERE_MARK = "ouroboros tier serve"
KEPT_MARK = "ouroboros wafer --pools"
"""In the first bytes of every picture."""
DRAWN = 500
"""Samples of a run that a picture has, at most."""


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


def draw_where(runs: Mapping[str, Sequence[Whereabouts]],
               losses: Mapping[str, PoolLoss | None], unit: str, path: Path) -> None:
    """Tokens of K and V of one KV group over time, by request: on the wafer, and in pools.

    Parameters
    ----------
    runs : Mapping
        Records by where K and V were to be.
    losses : Mapping
        When the pools disappeared in a run, if they did.
    unit : str
        Of the times.
    """
    figure = Figure(figsize=(7.5, 1.2 + 1.9 * len(runs)), layout="constrained")
    axes = figure.subplots(len(runs), sharex=False, sharey=True, squeeze=False)[:, 0]
    for one, (place, records) in zip(axes, runs.items(), strict=True):
        times = [at.time for at in records]
        requests = len(records[-1].wafer) if records else 0
        layers, colours, labels = [], [], []
        for part, map_ in (("wafer", "Blues"), ("pool", "Oranges")):
            for n in range(requests):
                # Requests that came later are not in earlier records.
                layers.append([(getattr(at, part)[n:] or (0,))[0] for at in records])
                colours.append(matplotlib.colormaps[map_](0.75 - 0.45 * n / max(requests - 1, 1)))
                labels.append(f"request {n + 1}, {part}")
        one.stackplot(times, layers, colors=colours, labels=labels, step="post", linewidth=0)
        if (loss := losses.get(place)) is not None:
            one.axvline(loss.time, color="black", linestyle="--", linewidth=0.9)
            one.annotate("pool lost", (loss.time, 1), xycoords=("data", "axes fraction"),
                         xytext=(4, -12), textcoords="offset points", fontsize=8)
        one.set_title({"wafer": "on the wafer", "tier": "in the pool alone",
                       "split": "split: blocks in turn"}[place], fontsize=9, loc="left")
        one.set_ylabel("tokens of K and V")
    axes[-1].set_xlabel(unit)
    handles, names = axes[-1].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=7, loc="outside lower center", ncols=4)
    _save(figure, path, WHERE_MARK)


def draw_kept(run: PooledRun, token_bytes: int, clock_hz: float, path: Path) -> None:
    """Bytes of K and V on the wafer and in every pool over time, and tokens generated.

    Parameters
    ----------
    run : PooledRun
        Requests that were served.
    token_bytes : int
        K and V of a token.
    clock_hz : float
        Of the run's cycles.
    """
    figure = Figure(figsize=(7.5, 5.6), layout="constrained")
    wafer, pools, rate = figure.subplots(3, sharex=True, height_ratios=(1, 1, 0.8))
    few = slice(None, None, -(-len(run.where) // DRAWN))
    seconds = run.column("cycle")[few] / clock_hz
    wafer.stackplot(seconds, run.column("wafer")[few] * token_bytes / 1e9, step="post", linewidth=0,
                    colors=[matplotlib.colormaps["Blues"](0.6)])
    wafer.set_ylabel("wafer, GB")
    count = run.times.pools
    pools.stackplot(seconds, run.in_pools[few].T * token_bytes / 1e9, step="post", linewidth=0,
                    labels=[f"pool {n + 1}" for n in range(count)],
                    colors=[matplotlib.colormaps["Oranges"](0.75 - 0.5 * n / max(count - 1, 1))
                            for n in range(count)])
    pools.set_ylabel("pools, GB")
    pools.legend(fontsize=7, loc="upper right", ncols=4)
    rate.plot(seconds, run.column("generated")[few], color="black", linewidth=1)
    rate.set_ylabel("tokens generated")
    rate.set_xlabel("s")
    if run.times.fails_at < run.cycles:
        for axes in (wafer, pools, rate):
            axes.axvline(run.times.fails_at / clock_hz, color="black", linestyle="--",
                         linewidth=0.9)
        pools.annotate("pool 1 lost", (run.times.fails_at / clock_hz, 1),
                       xycoords=("data", "axes fraction"), xytext=(4, -12),
                       textcoords="offset points", fontsize=8)
    wafer.set_title("Where K and V are", fontsize=10, loc="left")
    _save(figure, path, KEPT_MARK)


def _save(figure: Figure, path: Path, mark: str) -> None:
    matplotlib.rcParams["svg.hashsalt"] = "ouroboros"
    metadata = {"Date": None, "Title": mark} if path.suffix == ".svg" else {"Title": mark}
    with replaced(path) as aside:
        figure.savefig(aside, format=path.suffix[1:], metadata=metadata, dpi=120)
