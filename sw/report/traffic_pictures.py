"""Pictures of a run of requests on the wafer: stages, map, time, latencies, energy, tornado."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.report.svg import Svg, nice_ticks, number

__all__ = ["cdfs", "energy_bars", "over_time", "stage_bars", "tornado_bars", "wafer_map"]

Floats = npt.NDArray[np.float64]
LEFT, RIGHT, WIDTH = 190, 1060, 1100
NEAR = 0.001
"""A change of throughput that is none."""
ROLES = {"weights": "q-0", "KV": "q-2", "spare": "q-4", "left over": "q-free",
         "edge, defects": "q-7"}
KINDS = {"array": "q-0", "mac": "q-5", "kv_write": "q-2", "sfu": "q-4", "buffers": "q-1",
         "htree": "q-6", "noc": "q-3", "die_links": "q-7", "wafer_links": "s-waiting",
         "host": "q-more"}
NAMES = {"array": "rows of macros read", "mac": "products", "kv_write": "writes of K and V",
         "sfu": "special functions", "htree": "H-trees", "noc": "routers and links",
         "die_links": "die borders", "wafer_links": "between wafers"}


def stage_bars(stages: Sequence[Mapping[str, Any]], busy: Mapping[str, float],
               interval: int) -> str:
    """Cycles of every kind of stage at its busiest unit, and how much of the run it is held."""
    rows = [stage for stage in stages if not stage["name"].startswith(" ")]
    top, height = 16, 22
    bottom = top + height * len(rows)
    svg = Svg(WIDTH, bottom + 44, "Cycles of every kind of stage")
    svg.x_axis(0, interval * 1.15, LEFT, RIGHT, top, bottom, "cycles a token, busiest unit")
    scale = (RIGHT - LEFT) / (interval * 1.15)
    for n, stage in enumerate(rows):
        y, cycles = top + n * height, stage["stage_time"]
        share = busy.get(stage["name"], busy.get(stage["name"].split(",")[0]))
        words = f"{cycles:,}, {stage['binds']}" + (f"; held {share:.0%} of the run"
                                                   if share is not None else "")
        svg.text(LEFT - 10, y + 15, stage["name"], "row", anchor="end")
        svg.rect(LEFT, y + 3, cycles * scale, height - 6,
                 "q-1" if cycles == interval else "q-0", rx=2, tip=f"{stage['name']}: {words}")
        # Words of long bars stand in front of their end.
        long = cycles * scale > 0.6 * (RIGHT - LEFT)
        svg.text(LEFT + cycles * scale + (-8 if long else 8), y + 15, words,
                 "row on-bar" if long else "row", anchor="end" if long else "start")
    return str(svg)


def wafer_map(machine: Machine, cores: Mapping[str, int], layers: int) -> str:
    """Cores by role, blocks one after the other along the dies; no placement, but true to count."""
    mesh, size = machine.mesh, 9
    across, down = mesh.width // mesh.die_width, mesh.height // mesh.die_height
    left, top, gap = 4, 30, 4
    svg = Svg(left * 2 + mesh.width * size + across * gap,
              top + mesh.height * size + down * gap + 6, "Cores of a wafer by role")
    paths: dict[str, list[str]] = {role: [] for role in ROLES}
    lost = cores["dead"] + cores["edge"]
    roles = _roles(cores, layers, mesh.cores - lost)
    # What is lost is spread evenly; where it is no defect map of this wafer says.
    step = mesh.cores / max(lost, 1)
    gone = {int(n * step + step / 2) for n in range(lost)}
    live = iter(roles)
    at = 0
    for die_y in range(down):
        for x in range(across) if die_y % 2 == 0 else reversed(range(across)):
            counts = dict.fromkeys(ROLES, 0)
            ox = left + x * (mesh.die_width * size + gap)
            oy = top + die_y * (mesh.die_height * size + gap)
            for n in range(mesh.die_width * mesh.die_height):
                role = "edge, defects" if at in gone else next(live, "left over")
                at += 1
                counts[role] += 1
                cx, cy = n % mesh.die_width, n // mesh.die_width
                paths[role].append(f"M{ox + cx * size} {oy + cy * size}h{size - 1}v{size - 1}"
                                   f"h{1 - size}z")
            words = ", ".join(f"{count} {role}" for role, count in counts.items() if count)
            svg.rect(ox - 1, oy - 1, mesh.die_width * size + 1, mesh.die_height * size + 1, "die",
                     extra=' fill="transparent" pointer-events="all"',
                     tip=f"die {x}, {die_y}: {words}")
    place = float(left)
    for role, style in ROLES.items():
        svg.path("".join(paths[role]), f"{style} over")
        svg.rect(place, 6, 13, 13, style, rx=2)
        words = f"{role}: {len(paths[role]):,}"
        svg.text(place + 19, 17, words, "legend")
        place += 46 + 7.2 * len(words)
    return str(svg)


def _roles(cores: Mapping[str, int], layers: int, live: int) -> list[str]:
    """Role of every live core: for each block its weights and KV, then what is left."""
    found: list[str] = []
    weights = cores["weights"] + cores["embedding"]
    for layer in range(layers):
        for role, count in (("weights", weights), ("KV", cores["kv"])):
            found += [role] * (count * (layer + 1) // layers - count * layer // layers)
    spare = min(cores["spare"], live - len(found))
    found += ["spare"] * spare
    return found + ["left over"] * (live - len(found))


def over_time(first_s: Floats, end_s: Floats, arrival_s: Floats, tokens: Floats) -> str:
    """Output tokens/s over the run, and requests that have arrived and not ended."""
    bins, last = 120, float(end_s.max())
    edges = np.linspace(0, last, bins + 1)
    span = np.maximum(end_s - first_s, last / bins / 10)
    rate = np.zeros(bins)
    for n in range(bins):
        inside = np.minimum(end_s, edges[n + 1]) - np.maximum(end_s - span, edges[n])
        rate[n] = (np.clip(inside, 0, None) / span * tokens).sum() / (last / bins)
    middle = (edges[1:] + edges[:-1]) / 2
    alive = np.array([((arrival_s <= t) & (end_s > t)).sum() for t in middle], float)
    top, height = 26, 170
    svg = Svg(WIDTH, 2 * height + 120, "Output tokens a second, and requests, over time")
    scale, unit = (1e-3, "ms") if last < 2 else (1.0, "s")
    for k, (values, words, style) in enumerate((
            (rate, "output tokens/s", "q-0"), (alive, "requests arrived and not ended", "q-2"))):
        y0 = top + k * (height + 40)
        _area(svg, middle, values, y0, y0 + height, last, words, style)
    svg.x_axis(0, last, LEFT, RIGHT, top, top + 2 * height + 40, f"time, {unit}", scale=scale)
    return str(svg)


def _area(svg: Svg, x: Floats, y: Floats, top: float, bottom: float, last: float, words: str,
          style: str) -> None:
    most = max(float(y.max()), 1e-9) * 1.08
    for tick in nice_ticks(0, most, 4):
        at = bottom - tick / most * (bottom - top)
        svg.line(LEFT, at, RIGHT, at, "grid")
        svg.text(LEFT - 8, at + 4, f"{tick:,.10g}", "tick", anchor="end")
    px = LEFT + x / last * (RIGHT - LEFT)
    py = bottom - y / most * (bottom - top)
    points = "L".join(f"{number(a)} {number(b)}" for a, b in zip(px, py, strict=True))
    svg.path(f"M{number(px[0])} {number(bottom)}L{points}L{number(px[-1])} {number(bottom)}z",
             f"{style} area")
    svg.text(LEFT, top - 8, words, "legend")


def cdfs(times: Mapping[str, Floats]) -> str:
    """Share of requests within a time, by kind of latency; time is logarithmic."""
    have = {name: np.sort(values[~np.isnan(values)]) for name, values in times.items()}
    have = {name: values for name, values in have.items() if len(values)}
    low = math.floor(math.log10(min(v[0] for v in have.values())))
    high = math.ceil(math.log10(max(v[-1] for v in have.values())))
    high = max(high, low + 1)
    top, bottom, left = 34, 330, 70
    svg = Svg(WIDTH, bottom + 44, "Share of requests within a time")
    for decade in range(low, high + 1):
        x = left + (decade - low) / (high - low) * (RIGHT - left)
        svg.line(x, top, x, bottom, "grid")
        value = 10.0 ** (decade + 3)
        svg.text(x, bottom + 16, f"{value:,.10g}", "tick", anchor="middle")
    for share in (0, 0.25, 0.5, 0.75, 0.99):
        y = bottom - share * (bottom - top)
        svg.line(left, y, RIGHT, y, "grid")
        svg.text(left - 8, y + 4, f"{share:.0%}", "tick", anchor="end")
    svg.text((left + RIGHT) / 2, bottom + 34, "ms", "axis-title", anchor="middle")
    for n, (name, values) in enumerate(have.items()):
        picks: npt.NDArray[np.int64] = np.linspace(
            0, len(values) - 1, min(len(values), 300)).astype(np.int64)
        px: Floats = left + (np.log10(np.maximum(values[picks], 1e-12)) - low) / (high - low) * (
            RIGHT - left)
        py: Floats = bottom - (picks + 1) / len(values) * (bottom - top)
        points = "L".join(f"{number(a)} {number(b)}" for a, b in zip(px, py, strict=True))
        svg.path(f"M{points}", f"line q-{n}")
        svg.rect(left + 220 * n, 8, 13, 13, f"q-{n}", rx=2)
        svg.text(left + 220 * n + 19, 19, name, "legend")
    return str(svg)


def energy_bars(corners: Mapping[str, Mapping[str, Any]]) -> str:
    """Energy of an output token by kind at each corner, leakage included."""
    top, height = 62, 34
    bottom = top + height * len(corners)
    svg = Svg(WIDTH, bottom + 44, "Energy of an output token by kind")
    most = max(1e3 * (one["joules_per_output_token"] or 0) for one in corners.values()) or 1.0
    svg.x_axis(0, most, 70, RIGHT, top, bottom, "mJ an output token")
    for n, (corner, one) in enumerate(corners.items()):
        parts = {**{kind: one["dynamic"][kind] for kind in KINDS}, "leakage": one["leakage"]}
        each = 1e3 * (one["joules_per_output_token"] or 0) / max(sum(parts.values()), 1e-30)
        x, y = 70.0, top + n * height
        svg.text(62, y + 22, corner, "row", anchor="end")
        for kind, joules in parts.items():
            width = joules * each / most * (RIGHT - 70)
            svg.rect(x, y + 5, width, height - 10, KINDS.get(kind, "q-free"),
                     tip=f"{corner}, {NAMES.get(kind, kind)}: {joules * each:,.3f} mJ")
            x += width
    place, line = 70.0, 6.0
    for kind, style in {**KINDS, "leakage": "q-free"}.items():
        words = NAMES.get(kind, kind)
        if place + 30 + 7 * len(words) > RIGHT:
            place, line = 70.0, line + 22
        svg.rect(place, line, 13, 13, style, rx=2)
        svg.text(place + 19, line + 11, words, "legend")
        place += 42 + 6.8 * len(words)
    return str(svg)


def tornado_bars(base: float, rows: Sequence[tuple[str, str, float, str, float]]) -> str:
    """Throughput with an assumption lower and higher, over that of the run, widest first."""
    ordered = sorted(rows, key=lambda row: -abs(row[2] - row[4]))
    top, height = 16, 26
    bottom = top + height * len(ordered)
    values = [v / base for row in ordered for v in (row[2], row[4])] + [1.0]
    low, high = min(*values, 0.9), max(*values, 1.1)
    margin = 0.12 * (high - low)
    low, high = low - margin, high + margin
    left = 250
    svg = Svg(WIDTH, bottom + 44, "Throughput by assumption")
    svg.x_axis(low, high, left, RIGHT, top, bottom, "output tokens/s, over those of this run")

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (RIGHT - left)

    for n, (name, low_words, low_value, high_words, high_value) in enumerate(ordered):
        y = top + n * height
        svg.text(left - 10, y + 17, name, "row", anchor="end")
        for words, value, style in ((low_words, low_value / base, "q-0"),
                                    (high_words, high_value / base, "q-1")):
            a, b = sorted((place(1.0), place(value)))
            svg.rect(a, y + 5, max(b - a, 1), height - 10, style, tip=f"{words}: x {value:.3f}")
            right = value >= 1
            if abs(value - 1) > NEAR:
                svg.text(place(value) + (5 if right else -5), y + 17, words, "value",
                         anchor="start" if right else "end")
        if all(abs(value / base - 1) <= NEAR for value in (low_value, high_value)):
            svg.text(place(1.0) + 5, y + 17, f"{low_words} to {high_words}: no effect", "value")
    svg.line(place(1.0), top, place(1.0), bottom, "axis")
    return str(svg)
