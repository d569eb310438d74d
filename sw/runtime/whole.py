"""A whole run on RTL beside the cycle model: events, totals, when each stage has its tokens."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ouroboros.hw.params.packet import Flag
from ouroboros.sw.perf.agreement import Pair
from ouroboros.sw.perf.counted import Counted, counted
from ouroboros.sw.program.image import read_stages
from ouroboros.sw.runtime.follow import follow_job
from ouroboros.sw.runtime.job import Job, JobResult
from ouroboros.sw.runtime.request import Request

__all__ = ["Whole", "whole"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """All requests of a run, measured and predicted."""

    total: Pair
    """From the first flit to the last token's result."""
    prefill: Pair
    """From the first flit to the last result of any prompt."""
    decode: Pair | None
    """From the first flit of a generated token to the last result; None: none was sent in."""
    starts: dict[str, Pair]
    """When a stage's tokens start, in the mean over those that its core's trace has kept, since
    the run's first flit; by its name."""
    ends: dict[str, Pair]
    """The same of their ends."""
    counted: Counted
    """Events of every core."""

    @property
    def worst(self) -> tuple[str, float]:
        """The stage whose tokens start or end furthest from the prediction, and how far."""
        every = [(name, pair.error) for part in (self.starts, self.ends)
                 for name, pair in part.items()]
        return max(every, key=lambda one: abs(one[1]))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        name, error = self.worst
        return {
            "total": self.total.as_dict(), "prefill": self.prefill.as_dict(),
            "decode": self.decode and self.decode.as_dict(), "worst_stage": name,
            "worst_stage_error": error,
            "starts": {key: pair.as_dict() for key, pair in self.starts.items()},
            "ends": {key: pair.as_dict() for key, pair in self.ends.items()}}


def whole(job: Job, result: JobResult) -> Whole | None:
    """Hold a run against the model.

    Returns
    -------
    Whole | None
        None without traces, or where requests took turns with sequence numbers, so that traces do
        not say whose a token is.

    Raises
    ------
    PerfError
        As ``follow_job``.
    """
    if not result.requests or len(result.requests) > job.program.sequences:
        return None
    found = follow_job(job, [len(request.tokens) for request in result.requests])
    stages, tokens = read_stages(job.program), found.flow.tokens
    places = {(stage.info.core, stage.info.index): stage.info.name for stage in stages}
    seen = {(core, one.stage, one.sequence, one.position): one
            for core, entries in result.traces.items() for one in entries if _counts(one.flags)}
    mine = {(*place, tokens[n].sequence, tokens[n].position): span
            for (*place, n), span in found.flow.spans.items() if _counts(tokens[n].flags)}
    if not seen or not seen.keys() <= mine.keys():
        return None
    first = min(request.start_times[0] for request in result.requests)
    starts, ends = dict[str, Pair](), dict[str, Pair]()
    for place, name in places.items():
        keys = [key for key in seen if key[:2] == place]
        if not keys:
            continue
        starts[name] = _mean((seen[k].start - first for k in keys), (mine[k].start for k in keys))
        ends[name] = _mean((seen[k].end - first for k in keys), (mine[k].end for k in keys))
    measured, predicted = result.requests, found.requests

    def span(begin: str, end: str) -> Pair:
        return Pair(*(_last(rs, end) - _first(rs, begin) for rs in (measured, predicted)))

    return Whole(
        total=span("prompt", "all"), prefill=span("prompt", "prompt"),
        decode=(span("decode", "all") if any(len(r.tokens) > 1 for r in measured) else None),
        starts=starts, ends=ends, counted=counted(
            job.program, {core: one.events for core, one in result.counters.items()}, tokens))


def _counts(flags: int) -> bool:
    return not flags & Flag.FREE


def _mean(measured: Iterable[int], predicted: Iterable[int]) -> Pair:
    return Pair(round(fmean(measured)), round(fmean(predicted)))


def _first(requests: Iterable[Request], part: str) -> int:
    return min(at for request in requests for position, at in request.start_times.items()
               if part == "prompt" or position >= request.prompt_tokens)


def _last(requests: Iterable[Request], part: str) -> int:
    return max(at for request in requests for position, at in request.finish_times.items()
               if part == "all" or position < request.prompt_tokens)
