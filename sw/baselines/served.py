"""What a baseline did with traffic: throughput, latencies, energy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.baselines.traffic import Traffic

__all__ = ["Energy", "Served", "percentiles"]

PERCENTILES = (50, 90, 99)
Times = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Energy:
    """One way to count the energy of a run."""

    name: str
    """How."""
    joules: float
    """In all."""
    source: str
    """Where the figures come from."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Served:
    """Traffic that went through a machine."""

    machine: str
    """Name of the baseline."""
    model: str
    """Name of the shape."""
    traffic: Traffic
    """What was asked for."""
    first_s: Times
    """(requests,) when the first token was there; NaN: refused."""
    finish_s: Times
    """(requests,) when the last one was."""
    recomputed: int
    """Tokens whose K and V had been given up and were computed again."""
    energies: tuple[Energy, ...]
    """Energy, counted in several ways."""
    notes: Mapping[str, Any]
    """How it was run: replicas, devices of each, batch."""

    @property
    def refused(self) -> int:
        """Requests that do not fit even alone."""
        return int(np.isnan(self.finish_s).sum())

    @property
    def output_tokens(self) -> int:
        """Tokens generated."""
        return int(self.traffic.output_tokens[~np.isnan(self.finish_s)].sum())

    @property
    def seconds(self) -> float:
        """From the first arrival to the last token; 0 if all was refused."""
        done = self.finish_s[~np.isnan(self.finish_s)]
        return float(done.max() - self.traffic.arrival_s[0]) if len(done) else 0.0

    @property
    def tokens_per_s(self) -> float:
        """Tokens generated per second."""
        return self.output_tokens / self.seconds if self.seconds else 0.0

    def joules_per_token(self) -> dict[str, float]:
        """Joules per generated token, by the way of counting."""
        return {one.name: one.joules / self.output_tokens
                for one in self.energies} if self.output_tokens else {}

    def latencies(self) -> dict[str, dict[str, float]]:
        """Percentiles in seconds of the time to the first token, per later token, to the end.

        As vLLM defines them: TPOT is the time from the first token to the last over the tokens
        after the first; requests of one token have none.
        """
        done = ~np.isnan(self.finish_s)
        arrival, output = self.traffic.arrival_s[done], self.traffic.output_tokens[done]
        first, finish = self.first_s[done], self.finish_s[done]
        several = output > 1
        return {"ttft_s": percentiles(first - arrival),
                "tpot_s": percentiles((finish - first)[several] / (output[several] - 1)),
                "e2e_s": percentiles(finish - arrival)}

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "baseline": self.machine, "model": self.model, "traffic": self.traffic.as_dict(),
            "refused": self.refused, "output_tokens": self.output_tokens, "seconds": self.seconds,
            "output_tokens_per_s": self.tokens_per_s, "recomputed_tokens": self.recomputed,
            **self.latencies(), **self.notes,
            "energy": [{"counted": one.name, "joules": one.joules, "source": one.source,
                        "joules_per_output_token": self.joules_per_token().get(one.name)}
                       for one in self.energies]}


def percentiles(values: Times) -> dict[str, float]:
    """Mean and percentiles; nothing of nothing."""
    if not len(values):
        return {}
    found = {f"p{share}": float(np.percentile(values, share)) for share in PERCENTILES}
    return {"mean": float(values.mean())} | found
