"""The picture of an experiment as SVG, the same bytes for the same values."""

import io

from ouroboros.sw.experiments.wafer.experiment import Picture

__all__ = ["svg"]

COLOURS = ("#1d4ed8", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#0e7490")
MADE = "ouroboros experiments"
MANY = 6
"""Names of places that stand level; more of them are turned."""


def svg(picture: Picture) -> str:
    """Bars side by side, or lines; what is the paper's is grey."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "ouroboros", "svg.fonttype": "none",
                                "font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(7.6, 4.2))
        canvas, axes = FigureCanvasSVG(figure), figure.add_subplot()
        places, width = range(len(picture.x)), 0.8 / len(picture.curves)
        colours = iter(COLOURS)
        for n, curve in enumerate(picture.curves):
            paper = "paper" in curve.name
            colour = "#737373" if paper else next(colours)
            if picture.lines or paper:
                axes.plot(places, curve.y, "--" if paper else "-o", color=colour, ms=4, lw=1.4,
                          label=curve.name)
            else:
                axes.bar([x + (n - (len(picture.curves) - 1) / 2) * width for x in places], curve.y,
                         width * 0.92, color=colour, label=curve.name)
        turned = len(picture.x) > MANY
        axes.set_xticks(list(places), picture.x, rotation=30 if turned else 0,
                        ha="right" if turned else "center")
        if picture.log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_title(picture.title, loc="left", fontsize=10)
        axes.set_xlabel(picture.x_title)
        axes.set_ylabel(picture.y_title)
        axes.grid(axis="y", alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if len(picture.curves) > 1:
            axes.legend(frameon=False, fontsize=8)
        figure.tight_layout()
        out = io.StringIO()
        canvas.print_svg(out, metadata={"Date": None})  # type: ignore[no-untyped-call]
    head, _, rest = out.getvalue().partition("\n")
    return f"{head}\n<!-- {MADE} -->\n{rest}"
