"""Points of a sweep in the plane of two goals, the best set joined."""

from collections.abc import Sequence
from pathlib import Path

from ouroboros.sw.lib.write import replaced
from ouroboros.sw.sweep.errors import SweepError
from ouroboros.sw.sweep.table import Goal, Row

__all__ = ["plot"]


def plot(path: Path, table: Sequence[Row], best: Sequence[int], goals: Sequence[Goal]) -> None:
    """Draw it, as SVG or PNG by the file's name.

    Raises
    ------
    SweepError
        If there are no two goals.
    FileError
        If the system refuses.
    """
    if len(goals) < 2:
        raise SweepError("a plot needs two goals: give --goal twice")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    (x, _), (y, _) = goals[:2]
    figure = Figure(figsize=(7.5, 4.8), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    have = [row for row in table if isinstance(row.get(x), int | float)
            and isinstance(row.get(y), int | float)]
    axes.scatter([row[x] for row in have], [row[y] for row in have], s=14, color="#9db4d0",
                 label=f"{len(have)} points")
    chosen = sorted((table[n][x], table[n][y]) for n in best)
    axes.plot([a for a, _ in chosen], [b for _, b in chosen], "o-", ms=5, lw=1.2, color="#c2410c",
              label=f"{len(chosen)} that nothing beats")
    axes.set_xlabel(x.replace("_", " "))
    axes.set_ylabel(y.replace("_", " "))
    axes.ticklabel_format(style="plain", axis="x")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    with replaced(path) as aside:
        figure.savefig(aside, format=path.suffix[1:], metadata={"Date": None}
                       if path.suffix == ".svg" else None)
