"""Inline SVG by small functions: shapes by class, so that the page's style sheet colours them."""

import math
from html import escape

__all__ = ["Svg", "nice_ticks", "number"]


def number(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def nice_ticks(low: float, high: float, count: int = 8) -> list[float]:
    """About ``count`` round values from ``low`` to ``high``."""
    span = max(high - low, 1e-9)
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= count)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


class Svg:
    """One picture.

    Parameters
    ----------
    width, height : float
        Size in user units; the page scales it to the column's width.
    label : str
        What it shows, for readers that do not see it.
    """

    def __init__(self, width: float, height: float, label: str):
        self.width, self.height, self.label = width, height, label
        self._parts: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, style: str, *,
             tip: str = "", rx: float = 0, extra: str = "") -> None:
        """A rectangle of class ``style``; ``tip`` shows under the pointer."""
        corner = f' rx="{number(rx)}"' if rx else ""
        head = (f'<rect class="{style}" x="{number(x)}" y="{number(y)}" '
                f'width="{number(width)}" height="{number(height)}"{corner}{extra}')
        self._parts.append(f"{head}><title>{escape(tip)}</title></rect>" if tip else f"{head}/>")

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """A straight line."""
        self._parts.append(f'<line class="{style}" x1="{number(x1)}" y1="{number(y1)}" '
                           f'x2="{number(x2)}" y2="{number(y2)}"/>')

    def path(self, d: str, style: str) -> None:
        """Any path."""
        self._parts.append(f'<path class="{style}" d="{d}"/>')

    def text(self, x: float, y: float, words: str, style: str = "", *,
             anchor: str = "start") -> None:
        """A line of text, its baseline at ``y``."""
        kind = f' class="{style}"' if style else ""
        self._parts.append(f'<text{kind} x="{number(x)}" y="{number(y)}" '
                           f'text-anchor="{anchor}">{escape(words)}</text>')

    def x_axis(self, low: float, high: float, left: float, right: float, top: float,
               bottom: float, title: str, *, scale: float = 1.0, unit: str = "") -> None:
        """Grid lines and labels below; values are shown divided by ``scale``."""
        for tick in nice_ticks(low / scale, high / scale):
            x = left + (tick * scale - low) / (high - low) * (right - left)
            self.line(x, top, x, bottom, "grid")
            self.text(x, bottom + 16, f"{tick:,.10g}{unit}", "tick", anchor="middle")
        self.line(left, bottom, right, bottom, "axis")
        self.text((left + right) / 2, bottom + 34, title, "axis-title", anchor="middle")

    def __str__(self) -> str:
        return (f'<svg viewBox="0 0 {number(self.width)} {number(self.height)}" role="img" '
                f'aria-label="{escape(self.label)}">{"".join(self._parts)}</svg>')
