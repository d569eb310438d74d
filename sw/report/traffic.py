"""The page of requests on the wafer: one file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.report import traffic_pictures

__all__ = ["CHAIN", "MARK", "TrafficPage", "render_traffic"]

Floats = npt.NDArray[np.float64]
MARK = "ouroboros wafer"
"""What the page says in its first bytes."""
CHAIN = (
    ("cycles of instructions and packets", "RTL", "equal", "tests/sim/test_predict.py"),
    ("events of a token", "counters of RTL", "equal", "tests/sw/energy/test_count.py"),
    ("stages and programs", "what the mapper emits", "equal", "tests/sw/mapper/test_read_back.py"),
    ("latency of a token", "walk through the graph", "equal at sampled contexts",
     "tests/sw/wafer/test_service.py"),
    ("attention between samples", "the same walk", "16 cycles", "tests/sw/wafer/test_service.py"),
    ("pruned recurrence", "all cells", "every finish time equal", "tests/sw/wafer/test_service.py"),
    ("recurrence", "plain Python", "equal", "tests/sw/wafer/test_chain.py"),
    ("compiled policy", "the runtime's scheduler", "equal, step by step",
     "tests/sw/wafer/test_policy.py"),
    ("fast mode", "exact", "0.75 %", "tests/sw/wafer/test_service.py"))
"""Levels of the model: what, held against what, how near, by which test."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrafficPage:
    """What the page is made of."""

    found: Mapping[str, Any]
    """Everything that ``ouroboros wafer --json`` writes of requests."""
    estimate: Mapping[str, Any]
    """The estimate of one token at the longest context: stages, cores."""
    machine: Machine
    """The machine."""
    layers: int
    """Blocks of one wafer."""
    times: Mapping[str, Floats]
    """Seconds of served requests: ``arrival``, ``first``, ``end``, and tokens in ``tokens``."""
    latencies: Mapping[str, Floats]
    """Seconds by name of latency; nan where there is none."""
    tornado: Sequence[tuple[str, str, float, str, float]]
    """Assumption, lower value in words, output tokens/s there, higher value, tokens/s there."""
    tornado_base: float
    """Output tokens/s of the requests that the tornado is of, nothing changed."""
    command: str
    """What to type to make it again."""


def render_traffic(page: TrafficPage) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found = page.found
    pictures = []
    if len(page.times["end"]):
        pictures = [
            ("Over time", traffic_pictures.over_time(
                page.times["first"], page.times["end"], page.times["arrival"],
                page.times["tokens"]),
             "Tokens of a request are spread evenly from its first to its last."),
            ("Latencies", traffic_pictures.cdfs(page.latencies),
             "As vLLM's benchmark defines them; a request of one token has no time per token.")]
    pictures.append(("Energy of an output token", traffic_pictures.energy_bars(found["energy"]),
                     "Low, mid and high are what the technology's sources leave open. The rest of "
                     "the page has the corner " + found["corner"] + "."))
    if page.tornado:
        pictures.append(("What throughput depends on", traffic_pictures.tornado_bars(
            page.tornado_base, page.tornado), (
                "Each with all else as in this run, no limit of power; of the first requests only "
                "where there are many.")))
    return environment.get_template("traffic.html.j2").render(
        title=f"{found['model']} on machine {found['machine']!r} under traffic",
        lead=f"{found['requests']:,} requests of {found['traffic']} ({found['rate']}), "
             f"{found['wafers']} wafer{'s' if found['wafers'] > 1 else ''}, "
             f"{found['members']} members of a KV head. A model, not a measurement: every token "
             "through every stage, under the policy of the runtime.",
        binds=_binds(page), tiles=_tiles(found), clocks=_clocks(found), command=page.command,
        stages=Markup(traffic_pictures.stage_bars(
            page.estimate["substages"], found["utilisation"], found["interval_cycles"])),
        wafer=Markup(traffic_pictures.wafer_map(
            page.machine, page.estimate["cores"], page.layers)),
        pictures=[(title, Markup(svg), words) for title, svg, words in pictures], chain=CHAIN,
        assumptions=found["assumptions"],
        technology=[{"name": name, **one} for name, one in found["technology"].items()],
        events=[(name.replace("_", " "), f"{count:,}",
                 f"{count / max(found['events']['tokens'], 1):,.1f}")
                for name, count in found["events"].items()])


def _binds(page: TrafficPage) -> str:
    found = page.found
    busiest, share = max(found["utilisation"].items(), key=lambda one: one[1])
    pipeline = (f"the pipeline's busiest stage, {busiest}, is held {share:.0%} of the time; KV "
                f"blocks in use {found['kv_share']:.0%} on average, {found['kv_peak']:.0%} at most")
    if share > 0.9:
        return f"The pipeline binds: {pipeline}."
    if found["kv_peak"] > 0.9:
        return f"Room for KV binds: {pipeline}."
    return f"Neither pipeline nor room for KV is full: {pipeline}."


def _tiles(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    energy = found["energy"][found["corner"]]
    tiles = [(f"{found['output_tokens_per_s']:,.0f}",
              f"output tokens/s at {found['clock_ghz']:g} GHz, no limit of power")]
    last = list(found["by_clock"].values())[-1]
    tiles += [(f"{row['output_tokens_per_s']:,.0f}",
               f"within {row['cap_w'] / 1e3:g} kW, at most {last['clock_ghz']:g} GHz")
              for row in last["caps"]]
    for name, words in (("ttft_s", "time to first token, 99 %"),
                        ("tpot_s", "time per output token, 99 %")):
        if found[name]:
            tiles.append((f"{1e3 * found[name]['p99']:,.2f} ms", words))
    if energy["joules_per_output_token"] is not None:
        tiles.append((f"{1e3 * energy['joules_per_output_token']:,.1f} mJ",
                      f"an output token, figures {found['corner']}"))
    tiles += [(f"{found['tokens_recomputed']:,}", "tokens computed again"),
              (f"{found['requests_refused']:,}", "requests refused: longer than the room")]
    return tiles


def _clocks(found: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    for one in found["by_clock"].values():
        for row in (one, *one["caps"]):
            cap, watts = row.get("cap_w"), row["watts"]
            each = row["joules_per_output_token"]
            rows.append({
                "clock": f"{one['clock_ghz']:g}", "cap": f"{cap / 1e3:g}" if cap else "none",
                "throttled": f"{row['clock_ghz']:.3g}" if row["clock_ghz"] < one["clock_ghz"]
                else "", "rate": f"{row['output_tokens_per_s']:,.0f}",
                "watts": "all leaks" if watts is None else f"{watts / 1e3:,.2f}",
                "joules": "" if each is None else f"{1e3 * each:,.1f}",
                "source": one["source"] if not cap else ""})
    return rows
