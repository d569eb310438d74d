"""SVG pictures that stand alone: a title, a drawing, a legend beside it."""

import math
from collections.abc import Iterable, Sequence
from html import escape

from ouroboros.floorplan.geometry import NM_PER_MM, Rect
from ouroboros.sw.report.svg import Svg, number

__all__ = ["Frame", "Picture", "heat_colour", "layer_colour"]

STYLE = """
text{font-family:'DejaVu Sans','Helvetica Neue',Arial,sans-serif;font-size:13px;fill:#1d2530}
.title{font-size:22px;font-weight:bold}.lead{font-size:13.5px;fill:#4b5563}
.head{font-size:14px;font-weight:bold}.small{font-size:11.5px;fill:#4b5563}.tiny{font-size:10px}
.paper{fill:#ffffff}.wafer{fill:#eef1f5;stroke:#7b8794;stroke-width:1.2}
.usable{fill:none;stroke:#7b8794;stroke-width:1;stroke-dasharray:6 4}

.die{fill:none;stroke:#1d2530;stroke-width:0.9}
.scribe{fill:#d8dee6}.corridor{fill:#f2d9a6;stroke:#1d2530;stroke-width:0.5}
.core{fill:#dbe6f4;stroke:#4b5563;stroke-width:0.6}.idle{fill:#c4ccd6}
.dead{fill:#c81e1e}.gone{fill:#111827}.spot{fill:none;stroke:#c81e1e;stroke-width:1}
.mark{fill:none;stroke:#111827;stroke-width:1.6}.measure{stroke:#4b5563;stroke-width:1}
.macro{fill:#cfe0f5;stroke:#33507a;stroke-width:1}.pin{fill:#8a4b08}

.b0{fill:#f4d58d;stroke:#1d2530}.b1{fill:#d7c6ee;stroke:#1d2530}.b2{fill:#f3b8a5;stroke:#1d2530}
.b3{fill:#bfe3c7;stroke:#1d2530}.b4{fill:#e5e0d0;stroke:#1d2530}
"""
LAYER_HUES = 300.0
"""Degrees of hue from the first layer to the last: not a full circle, so that they differ."""
HEAT = ("#f1f4f8", "#d3e3f3", "#a9cfe8", "#73b3dc", "#4292c6", "#1f9e89", "#8fc93a", "#f9c80e",
        "#f86624", "#c81e1e")
"""Colours of a load, from none to the most."""


def layer_colour(layer: int, layers: int, *, pale: bool) -> str:
    """Colour of a layer; neighbours differ in hue and lightness, KV cores are pale."""
    hue = 220 - LAYER_HUES * layer / max(layers - 1, 1)
    light = (74 if pale else 44) + (6 if layer % 2 else 0)
    return _hsl(hue % 360, 55 if pale else 70, light)


def heat_colour(share: float) -> str:
    """Colour of a load from 0 to 1."""
    if share <= 0:
        return HEAT[0]
    return HEAT[min(len(HEAT) - 1, 1 + math.floor(share * (len(HEAT) - 1)))]


def _hsl(hue: float, saturation: float, light: float) -> str:
    """A CSS colour in hexadecimal, which every renderer understands."""
    a = saturation / 100 * min(light / 100, 1 - light / 100)

    def channel(n: int) -> int:
        k = (n + hue / 30) % 12
        return round(255 * (light / 100 - a * max(-1, min(k - 3, 9 - k, 1))))

    return "#" + "".join(f"{channel(n):02x}" for n in (0, 8, 4))


class Picture(Svg):
    """A picture with its own styles on white paper."""

    def rects(self, places: Iterable[Rect], frame: "Frame", *, style: str = "",
              colour: str = "") -> None:
        """Many rectangles of one look, as one path."""
        d = "".join(f"M{number2(x)} {number2(y)}h{number2(w)}v{number2(h)}h-{number2(w)}z"
                    for x, y, w, h in map(frame.box, places))
        if d:
            look = f'class="{style}"' if style else f'fill="{colour}"'
            self._parts.append(f'<path {look} d="{d}"/>')

    def lines(self, ends: Iterable[tuple[float, float, float, float]], colour: str,
              width: float) -> None:
        """Many lines of one look, as one path."""
        d = "".join(f"M{number2(x1)} {number2(y1)}L{number2(x2)} {number2(y2)}"
                    for x1, y1, x2, y2 in ends)
        if d:
            self._parts.append(f'<path fill="none" stroke="{colour}" stroke-width="{width}" '
                               f'd="{d}"/>')

    def circle(self, x: float, y: float, radius: float, style: str) -> None:
        """A circle."""
        self._parts.append(f'<circle class="{style}" cx="{number2(x)}" cy="{number2(y)}" '
                           f'r="{number2(radius)}"/>')

    def swatch(self, x: float, y: float, words: str, *, style: str = "", colour: str = "") -> None:
        """A sample of a look and what it means; ``y`` is the words' baseline."""
        look = f'class="{style}"' if style else f'fill="{colour}"'
        self._parts.append(f'<rect {look} x="{number(x)}" y="{number(y - 11)}" width="14" '
                           f'height="14"/>')
        self.text(x + 22, y + 1, words)

    def strip(self, x: float, y: float, width: float, height: float,
              colours: Sequence[str]) -> None:
        """A row of colours."""
        step = width / len(colours)
        for n, colour in enumerate(colours):
            self._parts.append(f'<rect fill="{colour}" x="{number2(x + n * step)}" '
                               f'y="{number(y)}" width="{number2(step + 0.3)}" '
                               f'height="{number(height)}"/>')

    def measure(self, x1: float, y1: float, x2: float, y2: float, words: str) -> None:
        """A dimension: a line with ends, its length beside it; horizontal or vertical."""
        self.line(x1, y1, x2, y2, "measure")
        level = y1 == y2
        for x, y in ((x1, y1), (x2, y2)):
            self.line(x - (0 if level else 4), y - (4 if level else 0),
                      x + (0 if level else 4), y + (4 if level else 0), "measure")
        if level:
            self.text((x1 + x2) / 2, y1 - 6, words, "small", anchor="middle")
        else:
            x, y = x1 - 7, (y1 + y2) / 2
            self._parts.append(f'<text class="small" text-anchor="middle" transform="translate('
                               f'{number(x)} {number(y)}) rotate(-90)">{escape(words)}</text>')

    def __str__(self) -> str:
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(self.width)}" '
                f'height="{number(self.height)}" viewBox="0 0 {number(self.width)} '
                f'{number(self.height)}" role="img" aria-label="{escape(self.label)}">'
                f"<style>{STYLE}</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>"
                f'{"".join(self._parts)}</svg>\n')


def number2(value: float) -> str:
    """A coordinate to a hundredth."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


class Frame:
    """Where on the paper a part of the layout is: nm to user units, y turned over.

    Parameters
    ----------
    x, y : float
        Place of the layout's origin on the paper.
    per_mm : float
        User units of a millimetre.
    """

    def __init__(self, x: float, y: float, per_mm: float):
        self.x, self.y, self.per_mm = x, y, per_mm

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point on the paper."""
        return (self.x + point[0] / NM_PER_MM * self.per_mm,
                self.y - point[1] / NM_PER_MM * self.per_mm)

    def box(self, rect: Rect) -> tuple[float, float, float, float]:
        """x, y, width and height on the paper."""
        x, y = self.at((rect.x, rect.top))
        return (x, y, rect.width / NM_PER_MM * self.per_mm, rect.height / NM_PER_MM * self.per_mm)
