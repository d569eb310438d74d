"""Tokens over stages: one bar for every stay of a token in a stage, from the trace rings.

A core keeps its last ``trace_words`` tokens, so the record reaches back only so far: it is complete
from the cycle in which the last of the full rings has its oldest entry; only that part is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from ouroboros.hw.params.packet import Flag
from ouroboros.sw.program.program import Program, StageInfo
from ouroboros.sw.report.svg import Svg
from ouroboros.sw.runtime.job import JobResult

__all__ = ["COLOURS", "Bar", "Row", "Window", "lanes", "progress", "rows", "timeline", "window",
           "zoom"]

COLOURS = 8
"""Sequences that have a colour of their own."""


LEGIBLE = 13
"""Lowest row that has a label; lower ones are labelled block by block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A token in a stage; cycles since the start of the run."""

    sequence: int
    """Sequence id."""
    position: int
    """Position of the token."""
    start: int
    """Its first operands were complete."""
    end: int
    """Its program ended there."""
    control: bool
    """Not a token but the order to free the sequence's KV."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A stage and what its core remembers of it."""

    stage: StageInfo
    """The stage."""
    bars: tuple[Bar, ...]
    """Oldest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Cycles since the start of the run, the end not included."""

    start: int
    """First."""
    end: int
    """One past the last."""

    @property
    def cycles(self) -> int:
        """Length."""
        return self.end - self.start


def rows(program: Program, result: JobResult) -> list[Row]:
    """One row for each stage, in pipeline order; nothing where there was no clock."""
    if not result.traces:
        return []
    origin = result.load_cycles or 0
    return [Row(stage=stage, bars=tuple(
        Bar(sequence=entry.sequence, position=entry.position, start=entry.start - origin,
            end=entry.end - origin, control=bool(entry.flags & Flag.FREE))
        for entry in result.traces[stage.core] if entry.stage == stage.index))
        for stage in program.stages]


def window(program: Program, result: JobResult) -> Window | None:
    """The part of the run that all cores remember in full."""
    origin = result.load_cycles or 0
    depth = program.machine.core.trace_words
    ends = [entry.end - origin for trace in result.traces.values() for entry in trace]
    if not ends:
        return None
    # Entries are written at END: of what was there after the oldest one's END, nothing is lost.
    start = max((min(entry.end for entry in trace) - origin
                 for trace in result.traces.values() if len(trace) >= depth), default=0)
    return Window(start=start, end=max(ends) + 1) if start <= max(ends) else None


def zoom(found: Sequence[Row], whole: Window, rounds: float = 2.5) -> Window:
    """The first ``rounds`` ways of a token through the machine, if the window is longer."""
    first: dict[tuple[int, int], int] = {}
    last: dict[tuple[int, int], int] = {}
    for row in found:
        for bar in row.bars:
            key = bar.sequence, bar.position
            if bar.start >= whole.start and not bar.control:
                first[key] = min(bar.start, first.get(key, bar.start))
                last[key] = max(bar.end, last.get(key, bar.end))
    if not first:
        return whole
    length = int(rounds * median(last[key] - first[key] for key in first))
    return Window(start=whole.start, end=min(whole.start + length, whole.end))


def lanes(bars: Sequence[Bar]) -> tuple[list[int], int]:
    """A lane for each bar so that bars of one lane do not overlap, and the number of lanes."""
    free: list[int] = []
    chosen = []
    for bar in bars:
        lane = next((n for n, end in enumerate(free) if end <= bar.start), len(free))
        if lane == len(free):
            free.append(0)
        free[lane] = bar.end
        chosen.append(lane)
    return chosen, max(len(free), 1)


def timeline(found: Sequence[Row], part: Window, names: Sequence[str], *,
             row_height: float = 15, tips: bool = True) -> str:
    """The picture: x = cycle, y = stage in pipeline order, colour = sequence."""
    left, right, top = 92, 1080, 28
    bottom = top + row_height * len(found)
    svg = Svg(1100, bottom + 44, "Tokens over stages")
    x = float(left)
    for n, name in enumerate(names):
        svg.rect(x, 4, 12, 12, _colour(n), rx=2)
        svg.text(x + 18, 14.5, name, "legend")
        x += 44 + 6.6 * len(name)
    if any(bar.control for row in found for bar in row.bars):
        svg.rect(x, 4, 12, 12, "q-free", rx=2)
        svg.text(x + 18, 14.5, "sequence freed", "legend")
    svg.x_axis(part.start, part.end, left, right, top, bottom,
               "cycles since the first token was sent")
    scale = (right - left) / max(part.cycles, 1)
    if row_height < LEGIBLE:
        _name_blocks(svg, found, left - 8, top, row_height)
    layer = None
    for n, row in enumerate(found):
        y = top + n * row_height
        if row.stage.layer != layer and n:
            svg.line(left - 86, y, right, y, "rule")
        if row_height >= LEGIBLE:
            svg.text(left - 8, y + row_height * 0.5 + 4, row.stage.name, "row", anchor="end")
        layer = row.stage.layer
        shown = sorted((bar for bar in row.bars if bar.end > part.start and bar.start < part.end),
                       key=lambda bar: bar.start)
        chosen, count = lanes(shown)
        height = (row_height - 2) / count
        for bar, lane in zip(shown, chosen, strict=True):
            low, high = max(bar.start, part.start), min(bar.end, part.end)
            what = "freed" if bar.control else f"position {bar.position}"
            svg.rect(left + (low - part.start) * scale, y + 1 + lane * height,
                     max((high - low) * scale - 0.5, 0.7), max(height - 0.6, 0.8),
                     "q-free" if bar.control else _colour(bar.sequence),
                     tip=f"{row.stage.name}: sequence {bar.sequence}, {what}, cycles "
                         f"{bar.start:,} to {bar.end:,}" if tips else "")
    return str(svg)


def progress(result: JobResult, names: Sequence[str], part: Window | None) -> str:
    """The whole run at a glance: when the result of every token arrived, one row per request."""
    left, right, top, row_height = 168, 1080, 10, 26
    bottom = top + row_height * len(result.requests)
    svg = Svg(1100, bottom + 44, "Results of every sequence over the run")
    origin, end = result.load_cycles or 0, max(result.cycles or 1, 1)
    scale = (right - left) / end
    if part is not None:
        svg.rect(left + part.start * scale, top, max(part.cycles * scale, 1), bottom - top, "shade",
                 tip="kept by the trace rings of all cores")
    svg.x_axis(0, end, left, right, top, bottom, "cycles since the first token was sent")
    for n, request in enumerate(result.requests):
        y = top + n * row_height
        svg.text(left - 8, y + 17, names[n], "row", anchor="end")
        for position, cycle in sorted(request.finish_times.items()):
            generated = position >= len(request.prompt) - 1
            height = row_height - 6 if generated else (row_height - 6) / 2
            svg.rect(left + (cycle - origin) * scale, y + row_height - 3 - height, 2.2, height,
                     _colour(n), tip=f"position {position}"
                                     f"{' (a generated token)' if generated else ' (prompt)'}: "
                                     f"cycle {cycle - origin:,}")
    return str(svg)


def _name_blocks(svg: Svg, found: Sequence[Row], x: float, top: float, row_height: float) -> None:
    numbered = groupby(enumerate(found), key=lambda item: item[1].stage.layer)
    for layer, group in numbered:
        members = [n for n, _ in group]
        name = f"block {layer}" if layer >= 0 else found[members[0]].stage.kind
        middle = top + row_height * (members[0] + members[-1] + 1) / 2
        svg.text(x, middle + 4, name, "row", anchor="end")


def _colour(sequence: int) -> str:
    return f"q-{sequence}" if sequence < COLOURS else "q-more"
