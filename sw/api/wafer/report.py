"""The page of requests on a wafer: what was served in, HTML out."""

from dataclasses import replace

import numpy as np

from ouroboros.sw.api.wafer.traffic import Served
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import typed
from ouroboros.sw.report.traffic import TrafficPage, render_traffic
from ouroboros.sw.wafer.metrics import latencies, summary
from ouroboros.sw.wafer.requests import Requests
from ouroboros.sw.wafer.service import service

__all__ = ["report_of"]

MOST = 300
"""Requests that the tornado serves at each value."""
VARIED = {"busiest_link_share": (0.5, 2.0), "hops_per_block_side": (2 / 3, 2.0),
          "die_crossings_per_way": (0.0, 2.0), "defect_density_per_cm2": (0.0, 5.0),
          "spare_cores_per_die": (0.0, 2.0)}
"""Assumptions, and how many times their value is tried."""
LATENCIES = {"ttft": "time to first token", "tpot": "time per output token",
             "e2e": "whole request"}


def report_of(served: Served) -> str:
    """HTML of a page."""
    run, wafer = served.run, served.service.wafer
    clock, asked = wafer.clock_hz, run.served
    times = latencies(run, clock)
    base, rows = _tornado(served)
    return render_traffic(TrafficPage(
        found=served.as_dict(), estimate=wafer.as_dict(), machine=wafer.machine,
        layers=wafer.wafer_layers, tornado=rows, tornado_base=base,
        times={"arrival": run.traffic.arrivals[asked] / clock, "first": run.first[asked] / clock,
               "end": run.end[asked] / clock, "tokens": run.generated[asked].astype(float)},
        latencies={words: times[name] for name, words in LATENCIES.items()},
        command=typed("wafer", served.options, skip=("report", "csv"))))


def _tornado(served: Served) -> tuple[float, list[tuple[str, str, float, str, float]]]:
    """Output tokens/s of the first requests, and with every assumption lower and higher."""
    wafer, asked = served.service.wafer, served.requests
    few = Requests(asked.arrivals_s[:MOST] * 0, asked.prompts[:MOST], asked.outputs[:MOST],
                   asked.name)
    rules = served.service.rules

    def rate(changed: dict[str, float]) -> float:
        options = replace(wafer.options, members=wafer.members, overrides={
            **wafer.options.overrides, **changed})
        found = service(wafer.machine, wafer.shape, options, few, wafer.context,
                        headroom_blocks=rules.headroom_blocks, static_tokens=rules.static_tokens,
                        grain=served.service.grain)
        return float(summary(found.serve(few), found.wafer.clock_hz, {})["output_tokens_per_s"])

    base, rows = rate({}), []
    for name, factors in VARIED.items():
        if name == "busiest_link_share" and wafer.busiest_link is not None:
            continue
        values = [wafer.value(name) * factor for factor in factors]
        try:
            low, high = (rate({name: value}) for value in values)
        except OuroborosError:      # with fewer cores these members do not fit
            continue
        rows.append((name, f"{values[0]:.3g}", low, f"{values[1]:.3g}", high))
    assert np.isfinite(base), "a run has a rate"
    return base, rows
