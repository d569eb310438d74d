"""Requests as they came: latencies and goodput by rate, here and on the DGX."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ouroboros.sw.experiments.wafer.experiment import (
    Curve,
    Experiment,
    Figures,
    Finding,
    Picture,
    Row,
)
from ouroboros.sw.experiments.wafer.measure import Place
from ouroboros.sw.experiments.wafer.traffic import CHAT

__all__ = ["EXPERIMENT"]

CLOCK_GHZ = 0.25
RATES = {"wafer": (30.0, 100.0, 300.0, 600.0), "dgx-a100": (1.0, 10.0, 30.0, 60.0)}
"""Requests a second."""
LIMITS = (("ttft", 0.5), ("tpot", 0.05))
"""Seconds, for goodput: usual ones for chat."""


def places(traces: Sequence[Path]) -> Mapping[str, Place]:
    """Every trace, or drawn requests where there is none, at several rates."""
    mixes = {path.stem: str(path) for path in traces} or {CHAT: CHAT}
    return {f"{system} {name} {rate:g}": Place(
        system=system, mix=mix, requests=3000, rate=rate, clock_ghz=CLOCK_GHZ, limits=LIMITS,
        digest="" if mix == CHAT else hashlib.sha256(Path(mix).read_bytes()).hexdigest())
        for name, mix in mixes.items() for system, rates in RATES.items() for rate in rates}


def find(figures: Figures) -> Finding:
    """Percentiles by rate."""
    rows, curves = [], []
    names = dict.fromkeys(tuple(name.rsplit(" ", 1)[0] for name in figures))
    for name in names:
        system = name.split(" ")[0]
        ttft = []
        for rate in RATES[system]:
            one = figures[f"{name} {rate:g}"]
            ms = {key: {p: 1e3 * one[key][p] for p in ("p50", "p99")}
                  for key in ("ttft_s", "tpot_s", "e2e_s")}
            ttft.append(ms["ttft_s"]["p99"])
            good = one.get("goodput_requests_per_s")
            rows.append(Row(
                what=f"{name}, {rate:g} requests/s: TTFT 99 %, ms", paper=None,
                ours=ms["ttft_s"]["p99"], form=",.1f",
                why=f"TTFT 50 % {ms['ttft_s']['p50']:,.1f}; TPOT 50 and 99 % "
                    f"{ms['tpot_s']['p50']:,.2f} and {ms['tpot_s']['p99']:,.2f}; E2E "
                    f"{ms['e2e_s']['p50']:,.0f} and {ms['e2e_s']['p99']:,.0f} ms; "
                    f"{one['output_tokens_per_s']:,.0f} tokens/s"
                    + ("" if good is None else f"; goodput {good:,.1f} requests/s")))
        curves.append(Curve(name=name, y=tuple(ttft)))
    return Finding(rows=tuple(rows), picture=Picture(
        title="Time to first token, 99 %", x=tuple(
            f"{a:g} / {b:g}" for a, b in zip(*RATES.values(), strict=True)),
        x_title="requests a second: wafer / DGX", y_title="ms", curves=tuple(curves), lines=True,
        log=True),
        words=f"The wafer at {CLOCK_GHZ} GHz, latencies as vLLM defines them; goodput is of "
              "requests whose first token comes within 0.5 s and others within 50 ms each.")


EXPERIMENT = Experiment(name="traces", title="Requests as they come", places=places, find=find)
