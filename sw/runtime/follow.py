"""A job on the cycle model: the scheduler's decisions, every token followed through the machine.

The same program, requests and policy as on RTL, and no numbers: what is generated does not change
when.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.flow import Flow, follow
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.engine import book_of, flags_of, room_of
from ouroboros.sw.runtime.job import Job
from ouroboros.sw.runtime.request import Request
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.serving.scheduler import Scheduler, Step, Verdict

__all__ = ["Followed", "follow_job"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """What the model says of a job."""

    flow: Flow
    """Every token; cycles since the first flit."""
    requests: tuple[Request, ...]
    """Times of their tokens; what is generated is not there, only how much."""


def follow_job(job: Job, generated: Sequence[int]) -> Followed:
    """Serve a job's requests, all of which are there at its start.

    Parameters
    ----------
    generated : sequence of int
        Tokens of each request, as no stop token is known here.

    Raises
    ------
    PerfError
        If requests arrive later or are given up, parts break, or KV runs out; and if packets go
        around dead parts.
    """
    if job.faults or any(spec.arrival or spec.deadline is not None or spec.cancel_at is not None
                         for spec in job.requests):
        raise PerfError("followed jobs must have all requests at their start, and no faults")
    policy = job.options if job.window is None else replace(job.options, window=job.window)
    requests = tuple(
        Request(prompt=spec.prompt, limit=count, logits=spec.logits, priority=spec.priority)
        for spec, count in zip(job.requests, generated, strict=True))
    serving = _Serving(job.program, policy, requests)
    found = follow(job.program, read_stages(job.program), serving)
    if not serving.scheduler.idle:
        raise PerfError("followed jobs must come to their end, and nothing can go in any more")
    return Followed(flow=found, requests=requests)


class _Serving:
    """The host: ``sw.runtime.engine`` without packets."""

    def __init__(self, program: Program, options: ServingOptions, requests: Sequence[Request]):
        self.scheduler: Scheduler[Request] = Scheduler(
            book_of(program, options), room_of(program), sequences=program.sequences,
            context=program.context, options=options)
        self.steps: list[Step[Request]] = []
        for request in requests:
            self.scheduler.submit(request, 0)

    def next(self, now: int) -> Token | None:
        """See ``sw.perf.host.Host``."""
        scheduler = self.scheduler
        scheduler.admit(now)
        step = scheduler.next()
        if step is None:
            return None
        scheduler.inject(step, now)
        alive = [(one.id, one.request.length) for one in scheduler.active]
        if scheduler.book.free(alive) < 0:
            raise PerfError("followed jobs must have room for the KV of all sequences alive, and "
                            f"{len(alive)} have none")
        self.steps.append(step)
        return Token(step.position, int(flags_of(step)), step.sequence.id)

    def credit(self, counter: int) -> None:
        """See ``sw.perf.host.Host``."""
        self.scheduler.credits.give(counter)

    def back(self, number: int, now: int) -> None:
        """See ``sw.perf.host.Host``."""
        step = self.steps[number]
        if step.free:
            self.scheduler.freed(step.sequence)
        elif self.scheduler.done(step.sequence, step.position, stops=False,
                                 now=now) is Verdict.GENERATED:
            # Which one it is changes nothing.
            step.sequence.request.tokens.append(0)
