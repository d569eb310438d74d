"""Where the cycles of a run went: what every stage did, from the machine's own counters."""

from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.hw.params.counters import STAGE_STATES
from ouroboros.hw.params.position import Position
from ouroboros.sw.program.program import Program, StageInfo
from ouroboros.sw.report.svg import Svg, nice_ticks
from ouroboros.sw.runtime.job import JobResult

__all__ = ["STATES", "KindCycles", "StageCycles", "bars", "event_totals", "flit_hops", "kinds",
           "slowest", "stages", "table"]

STATES = (*STAGE_STATES, "idle")
"""Busy, waiting for operands, blocked for credits, and no token there."""
WORDS = {"busy": "busy", "waiting": "waiting for operands", "blocked": "blocked (no credit)",
         "idle": "idle"}


@dataclass(frozen=True, kw_only=True, slots=True)
class StageCycles:
    """One stage over the whole run."""

    stage: StageInfo
    """The stage."""
    cycles: dict[str, int]
    """Cycles by state of ``STATES``; they add up to the run."""

    @property
    def percent(self) -> dict[str, float]:
        """The same in % of the run."""
        total = sum(self.cycles.values())
        return {state: 100 * count / total for state, count in self.cycles.items()}

    def as_dict(self) -> dict[str, object]:
        """For a file."""
        return {"stage": self.stage.name, "kind": self.stage.kind, "layer": self.stage.layer,
                "core": list(self.stage.core), "cycles": self.cycles, "percent": self.percent}


@dataclass(frozen=True, kw_only=True, slots=True)
class KindCycles:
    """All stages of one kind."""

    kind: str
    """See ``StageInfo.kind``."""
    stages: int
    """How many there are."""
    percent: dict[str, float]
    """Mean over them, in % of the run, by state."""

    def as_dict(self) -> dict[str, object]:
        """For a file."""
        return {"kind": self.kind, "stages": self.stages, "percent": self.percent}


def stages(program: Program, result: JobResult) -> list[StageCycles]:
    """Every stage in pipeline order; nothing where there was no clock."""
    if not result.cycles or not result.counters:
        return []
    found = []
    for stage in program.stages:
        counted = result.counters[stage.core].stages[stage.index]
        cycles = {state: counted[state] for state in STAGE_STATES}
        cycles["idle"] = max(result.cycles - sum(cycles.values()), 0)
        found.append(StageCycles(stage=stage, cycles=cycles))
    return found


def kinds(rows: Sequence[StageCycles]) -> list[KindCycles]:
    """Means by kind, in the order in which a token meets them."""
    found = []
    for kind in dict.fromkeys(row.stage.kind for row in rows):
        same = [row.percent for row in rows if row.stage.kind == kind]
        found.append(KindCycles(kind=kind, stages=len(same), percent={
            state: sum(percent[state] for percent in same) / len(same) for state in STATES}))
    return found


def slowest(rows: Sequence[StageCycles], count: int = 5) -> list[StageCycles]:
    """The busiest stages: they bound the throughput."""
    return sorted(rows, key=lambda row: -row.cycles["busy"])[:count]


def event_totals(result: JobResult) -> dict[str, int]:
    """Event counters summed over the cores (``cycles`` is none)."""
    totals: dict[str, int] = {}
    for core in result.counters.values():
        for name, count in core.events.items():
            if name != "cycles":
                totals[name] = totals.get(name, 0) + count
    return totals


def flit_hops(result: JobResult) -> dict[Position, int]:
    """Flits of the data class that each core's router sent to a neighbour.

    The control class is left out: reading the counters travels in it.
    """
    return {core: counters.events["flit_hops_data"] for core, counters in result.counters.items()}


def table(rows: Sequence[StageCycles]) -> str:
    """Kinds, then the slowest stages, for a terminal; % of the run's cycles."""
    if not rows:
        return ""
    head = f"{'':<12}{'stages':>8}{'busy':>10}{'waiting':>10}{'blocked':>10}{'idle':>10}"

    def line(name: str, count: str, percent: dict[str, float]) -> str:
        return f"{name:<12}{count:>8}" + "".join(f"{percent[state]:>9.1f}%" for state in STATES)

    lines = [head, *(line(kind.kind, str(kind.stages), kind.percent) for kind in kinds(rows)),
             "slowest:", *(line(row.stage.name, "", row.percent) for row in slowest(rows))]
    return "\n".join(lines)


def bars(rows: Sequence[StageCycles]) -> str:
    """Stacked bars, one for each stage; what is missing to 100 % is idle."""
    left, right, top, row_height = 92, 1010, 30, 17
    bottom = top + row_height * len(rows)
    most = max(100 - row.percent["idle"] for row in rows)
    ticks = nice_ticks(0, most, 5)
    high = min(100.0, (ticks[-1] + ticks[1] - ticks[0]) if len(ticks) > 1 else 100.0)
    svg = Svg(1100, bottom + 44, "Busy, waiting and blocked cycles of every stage")
    x = float(left)
    for state in STATES[:-1]:
        svg.rect(x, 4, 12, 12, f"s-{state}", rx=2)
        svg.text(x + 18, 14.5, WORDS[state], "legend")
        x += 48 + 7 * len(WORDS[state])
    svg.text(x, 14.5, "not drawn: idle", "legend faint")
    svg.x_axis(0, high, left, right, top, bottom, "share of the run's cycles", unit=" %")
    scale = (right - left) / high
    for n, row in enumerate(rows):
        y, at = top + n * row_height, float(left)
        svg.text(left - 8, y + 12.5, row.stage.name, "row", anchor="end")
        for state in STATES[:-1]:
            width = row.percent[state] * scale
            if width > 0.05:
                svg.rect(at, y + 2, max(width - 0.8, 0.4), row_height - 4, f"s-{state}",
                         tip=f"{row.stage.name}: {WORDS[state]} {row.cycles[state]:,} cycles, "
                             f"{row.percent[state]:.1f} %")
            at += width
        svg.text(at + 6, y + 12.5, f"{row.percent['busy']:.1f}", "value")
    return str(svg)
