"""A design under a trace: the wafer model's run, and its energy."""

from dataclasses import dataclass
from typing import Any

from ouroboros.sw.energy.joules import joules, leakage_w
from ouroboros.sw.energy.technology import Technology
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.designs import Model
from ouroboros.sw.search.wafer.search import Candidate, at_context
from ouroboros.sw.wafer.counts import run_events, token_events
from ouroboros.sw.wafer.mixed import MixedService, MixedWafer
from ouroboros.sw.wafer.requests import Requests
from ouroboros.sw.wafer.run import Run

__all__ = ["Served", "serve"]


@dataclass(frozen=True)
class Served:
    """What came of the requests."""

    run: Run
    """All times."""
    output_tokens_per_s: float
    """Generated tokens over the time until the last."""
    joules_per_output: float
    """Dynamic energy, and leakage of the homogeneous machine's area, over generated tokens."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"output_tokens_per_s": self.output_tokens_per_s, "cycles": self.run.cycles,
                "requests_refused": int(self.run.refused.sum()), "sequences": self.run.sequences,
                "kv_share": self.run.kv_share, "joules_per_output_token": self.joules_per_output}


def serve(model: Model, found: Candidate, requests: Requests,
          technology: Technology) -> Served:
    """Send requests through a design, with programs that have room for the longest that fits.

    Raises
    ------
    SearchError
        If none fits.
    """
    size = model.base.block_tokens
    shortest = model.half(found.design.kv, found.design.heads, found.design.members, size)
    longest = min(-(-requests.longest // size) * size, shortest.most_context)
    mixed = at_context(model, found, longest).wafer
    run = MixedService(mixed).serve(requests)
    generated = int(run.generated.sum())
    if not generated:
        raise SearchError(f"requests must be at most {longest:,} tokens, the KV of this wafer, and "
                          "none is")
    seconds = run.cycles / mixed.weights.clock_hz
    # Both wafers have the same area; what of it is cells does not change leakage by much.
    leakage = leakage_w(model.base, mixed.weights.value("core_area_mm2"), technology) * seconds
    return Served(run, generated / seconds,
                  (_dynamic(mixed, run, technology) + leakage) / generated)


def _dynamic(mixed: MixedWafer, run: Run, technology: Technology) -> float:
    """Joules of events: attention on KV cores, all else on those of the weights."""
    theirs, rest = (token_events(wafer).outside_attention(run.tokens, int(run.generated.sum()))
                    for wafer in (mixed.kv, mixed.weights))
    attention = run_events(mixed.kv, run) + theirs * -1
    return (joules(attention, mixed.kv.machine, technology).total
            + joules(rest, mixed.weights.machine, technology).total)
