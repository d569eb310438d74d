"""What came of a load: throughput, latencies, KV, bubbles, evictions; from a machine or a model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.program.program import Program
from ouroboros.sw.replay.load import Load
from ouroboros.sw.runtime.job import Held, JobResult
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.wafer.metrics import latencies_of, spread
from ouroboros.sw.wafer.run import Run

__all__ = ["Played", "of_model", "of_result"]

Floats = npt.NDArray[np.float64]
ROW_BYTES = 2
"""Of an activation between stages: residuals are int16."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Played:
    """A load that was played; times in ticks."""

    load: Load
    """What was asked for."""
    options: ServingOptions
    """Policy."""
    on: str
    """``golden``, a simulator, or ``model``."""
    ticks: int
    """Until all had ended."""
    numbers: dict[str, Any]
    """All but the latencies, by name."""
    latency: dict[str, Floats]
    """ttft, tpot, e2e, wait: ticks of every request, nan where there is none."""
    result: JobResult | None = None
    """Of a machine."""

    @property
    def tick(self) -> str:
        """What a tick is."""
        return "token" if self.on == "golden" else "cycle"

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"on": self.on, "tick": self.tick, "trace": self.load.name,
                "scale": self.load.factor,
                "policy": {name: getattr(self.options, name) for name in self.options.__slots__},
                **self.numbers,
                **{f"{name}_ticks": spread(values) for name, values in self.latency.items()}}


def of_result(load: Load, options: ServingOptions, on: str, program: Program,
              result: JobResult) -> Played:
    """From a run that was measured."""
    assert result.held is not None, "the job was to be measured"
    requests, held = result.requests, result.held
    served = np.array([one.finished in ("stop", "length") for one in requests], bool)
    nothing = np.full(len(requests), np.nan)
    first, end, admitted = nothing.copy(), nothing.copy(), nothing.copy()
    for n, one in enumerate(requests):
        if one.token_times:
            first[n], end[n] = one.token_times[0], one.token_times[-1]
        if one.admitted is not None:
            admitted[n] = one.admitted
    outputs = np.array([one.generated for one in requests], np.int64)
    arrivals = load.arrivals.astype(np.float64)
    numbers = {
        "ticks": held.until,
        **_totals(load, served, outputs, held.until),
        "requests_cancelled": sum(one.finished == "cancelled" for one in requests),
        **_kv(program, held),
        "sequences_mean": held.means["alive"], "sequences_peak": held.peaks["alive"],
        "bubbles": held.means["bubble"],
        "evictions": sum(one.preemptions for one in requests),
        "tokens_recomputed": sum(one.recomputed for one in requests),
        "tokens_guessed": sum(one.guessed for one in requests),
        "tokens_confirmed": sum(one.confirmed for one in requests),
        "tokens_sent": result.tokens,
        **_activations(load, options, program.dim, held),
        **_utilisation(result)}
    return Played(load=load, options=options, on=on, ticks=held.until, numbers=numbers,
                  result=result,
                  latency={**latencies_of(arrivals, first, end, outputs, served),
                           "wait": admitted - arrivals})


def of_model(load: Load, options: ServingOptions, run: Run, *, blocks: int, dim: int) -> Played:
    """From a run of the wafer model; it has no times of admission.

    Parameters
    ----------
    blocks : int
        KV blocks of a core.
    dim : int
        Channels of the residual.
    """
    numbers = {
        "ticks": run.cycles,
        **_totals(load, run.served, run.generated, run.cycles),
        "kv_blocks": blocks, "kv_filled_mean": float(run.kv_share),
        "kv_filled_peak": float(run.kv_peak),
        "sequences_mean": float(run.sequences), "evictions": int(run.preemptions.sum()),
        "tokens_recomputed": run.recomputed, "tokens_sent": run.injected,
        "stage_activation_bytes": _unit(load, options) * dim * ROW_BYTES}
    return Played(load=load, options=options, on="model", ticks=run.cycles, numbers=numbers,
                  latency=latencies_of(load.arrivals.astype(np.float64),
                                       run.first.astype(np.float64),
                                       run.end.astype(np.float64), load.outputs, run.served))


def _totals(load: Load, served: npt.NDArray[np.bool_], outputs: npt.NDArray[np.int64],
            ticks: int) -> dict[str, Any]:
    prompts, made = int(load.prompts[served].sum()), int(outputs[served].sum())
    thousands = max(ticks, 1) / 1000
    return {"requests": len(served), "requests_served": int(served.sum()),
            "prompt_tokens": prompts, "output_tokens": made,
            "output_tokens_per_kilotick": made / thousands,
            "tokens_per_kilotick": (prompts + made) / thousands}


def _kv(program: Program, held: Held) -> dict[str, Any]:
    room = program.kv_blocks * program.kv_members
    filled, tokens = held.means["filled"], held.means["tokens"]
    reserved = held.means["reserved"]
    return {
        "kv_blocks": program.kv_blocks, "kv_members": program.kv_members,
        "kv_reserved_mean": reserved / room, "kv_reserved_peak": held.peaks["reserved"] / room,
        "kv_filled_mean": filled / room, "kv_filled_peak": held.peaks["filled"] / room,
        "fragmentation": 1 - tokens / (filled * program.machine.block_tokens) if filled else 0.0,
        "reserved_unfilled": 1 - filled / reserved if reserved else 0.0}


def _unit(load: Load, options: ServingOptions) -> int:
    """Tokens that a stage hands to the next at once."""
    return int(load.prompts.max()) if options.grain == "sequence" else 1


def _activations(load: Load, options: ServingOptions, dim: int, held: Held) -> dict[str, Any]:
    return {"flying_mean": held.means["flying"], "flying_peak": held.peaks["flying"],
            "flying_peak_bytes": held.peaks["flying"] * dim * ROW_BYTES,
            "stage_activation_bytes": _unit(load, options) * dim * ROW_BYTES}


def _utilisation(result: JobResult) -> dict[str, Any]:
    """Share of cycles in which arrays, and all units of the busiest stage, had work."""
    if not result.cycles or not result.counters:
        return {}
    arrays = [one.events["array_busy_cycles"] / result.cycles for one in result.counters.values()]
    stages = [stage["busy"] / result.cycles for one in result.counters.values()
              for stage in one.stages]
    return {"array_busy_mean": sum(arrays) / len(arrays), "array_busy_most": max(arrays),
            "stage_busy_most": max(stages),
            "kv_appends_refused": sum(one.events["kv_full"] for one in result.counters.values()),
            "errors": result.errors}
