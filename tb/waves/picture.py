"""Waves as a picture: bits as lines, words as boxes with their values."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.hw.params.position import Position
from ouroboros.sw.report.svg import Svg
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["Row", "picture"]

ROW, LEFT, STEP, TOP = 26, 250, 34, 44
"""Height of a row, width of the names, width of a cycle, height of the title."""
STYLE = ("text{font:12px 'DejaVu Sans Mono',monospace;fill:#1d2530}.title{font-weight:600}"
         ".tick{fill:#6b7683;font-size:10px}.grid{stroke:#e3e7ec}"
         ".bit{fill:none;stroke:#3b6fb6;stroke-width:1.6}"
         ".word{fill:#eef3fa;stroke:#3b6fb6}.value{font-size:10px}"
         ".mark{fill:#c2478a;fill-opacity:.14}")


@dataclass(frozen=True, slots=True)
class Row:
    """A signal."""

    core: Position
    """Whose."""
    name: str
    """Its name below the tile."""
    label: str
    """What it is called."""
    bit: int | None = None
    """Only this bit of it."""


def picture(wave: WaveFile, rows: Sequence[Row], first: int, last: int, title: str,
            marked: Sequence[int] = ()) -> str:
    """SVG of signals in a few cycles; ``marked`` cycles are shaded."""
    width, height = LEFT + STEP * (last - first + 1) + 20, TOP + ROW * len(rows) + 30
    svg = Svg(width, height, title)
    svg.text(12, 22, title, "title")
    for cycle in marked:
        svg.rect(LEFT + STEP * (cycle - first), TOP - 8, STEP, ROW * len(rows) + 10, "mark")
    for cycle in range(first, last + 2):
        svg.line(LEFT + STEP * (cycle - first), TOP - 8, LEFT + STEP * (cycle - first),
                 TOP + ROW * len(rows), "grid")
    for cycle in range(first, last + 1, 2):
        svg.text(LEFT + STEP * (cycle - first) + STEP / 2, height - 12, str(cycle), "tick",
                 anchor="middle")
    for number, row in enumerate(rows):
        _draw(svg, wave, row, first, last, TOP + ROW * number)
    text = str(svg)
    return text.replace(">", f" xmlns=\"http://www.w3.org/2000/svg\"><style>{STYLE}</style>"
                        f'<rect width="{width}" height="{height}" fill="#ffffff"/>', 1) + "\n"


def _draw(svg: Svg, wave: WaveFile, row: Row, first: int, last: int, y: float) -> None:
    svg.text(LEFT - 10, y + 15, row.label, anchor="end")
    signal = wave.signal(row.core, row.name)
    names = wave.about.names.get(row.name, {})
    low, high = y + ROW - 8, y + 2
    if row.bit is not None or signal.bits == 1:
        points = []
        for cycle in range(first, last + 1):
            level = high if (signal.at(cycle) or 0) >> (row.bit or 0) & 1 else low
            points += [(LEFT + STEP * (cycle - first), level),
                       (LEFT + STEP * (cycle - first + 1), level)]
        svg.path("M" + " L".join(f"{x:.0f} {at:.0f}" for x, at in points), "bit")
        return
    changes = [*signal.changes(first, last), (last + 1, None)]
    for (begin, value), (end, _) in itertools.pairwise(changes):
        x, width = LEFT + STEP * (begin - first), STEP * (end - begin)
        svg.rect(x, high, width, low - high, "word", rx=3)
        text = "?" if value is None else names.get(value, str(value))
        if len(text) * 6.2 < width:
            svg.text(x + width / 2, y + 14, re.sub(r"_", " ", text), "value", anchor="middle")
