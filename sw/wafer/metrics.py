"""Latencies of requests, as vLLM's benchmark defines them.

- **TTFT**, time to first token: from arrival to the first generated token.
- **E2E**: from arrival to the last one.
- **TPOT**, time per output token: (E2E - TTFT) / (output tokens - 1), of requests with at least
  two.
- **goodput**: requests a second that hold every limit given.

Percentiles lie on straight lines between requests (numpy's default). Refused requests have none.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.wafer.chain import Ints
from ouroboros.sw.wafer.run import Run

__all__ = ["PERCENTILES", "latencies", "latencies_of", "spread", "summary"]

PERCENTILES = (50, 90, 95, 99)
Floats = npt.NDArray[np.float64]


def latencies(run: Run, clock_hz: float) -> dict[str, Floats]:
    """Seconds of every request; nan where there is none."""
    return latencies_of(run.traffic.arrivals / clock_hz, run.first / clock_hz, run.end / clock_hz,
                        run.traffic.outputs, run.served)


def latencies_of(arrivals: Floats, first: Floats, end: Floats, outputs: Ints,
                 served: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    """Latencies from times of arrival, first and last token, (requests,) each, in any unit."""
    ttft = np.where(served, first - arrivals, np.nan)
    e2e = np.where(served, end - arrivals, np.nan)
    tpot = np.where(outputs > 1, (e2e - ttft) / np.maximum(outputs - 1, 1), np.nan)
    return {"ttft": ttft, "tpot": tpot, "e2e": e2e}


def summary(run: Run, clock_hz: float, limits: Mapping[str, float]) -> dict[str, Any]:
    """Throughput and percentiles.

    Parameters
    ----------
    run : Run
        What came of the requests.
    clock_hz : float
        Clock.
    limits : mapping
        Seconds by name of latency, for goodput; empty: every served request is good.
    """
    seconds = max(run.cycles, 1) / clock_hz
    times = latencies(run, clock_hz)
    good = run.served.copy()
    for name, limit in limits.items():
        # A request of one output token has no TPOT, and holds any limit of it.
        good &= ~(times[name] > limit)
    prompt_tokens = int(run.traffic.prompts[run.served].sum())
    output_tokens = int(run.generated[run.served].sum())
    found: dict[str, Any] = {
        "seconds": seconds, "cycles": run.cycles, "requests": int(run.served.sum()),
        "requests_refused": int(run.refused.sum()),
        "prompt_tokens": prompt_tokens, "output_tokens": output_tokens,
        "tokens_refused": int((run.traffic.prompts + run.traffic.outputs)[run.refused].sum()),
        "output_tokens_per_s": output_tokens / seconds,
        "tokens_per_s": (prompt_tokens + output_tokens) / seconds,
        "requests_per_s": int(run.served.sum()) / seconds,
        "goodput_requests_per_s": int(good.sum()) / seconds,
        "good_share": float(good.sum()) / max(len(good), 1),
    }
    for name, values in times.items():
        found[f"{name}_s"] = spread(values)
    return found


def spread(values: Floats) -> dict[str, float] | None:
    """Mean and ``PERCENTILES`` of values, (n,), nan where there is none; None of nothing."""
    have = values[~np.isnan(values)]
    return None if not len(have) else {
        "mean": float(have.mean()),
        **{f"p{p}": float(np.percentile(have, p)) for p in PERCENTILES}}
