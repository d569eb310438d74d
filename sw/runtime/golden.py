"""The back end ``golden``: the instruction-level golden machine, no simulator."""

from ouroboros.sw.golden.machine import GoldenLink
from ouroboros.sw.runtime.job import Generated, Job, JobResult, Progress, execute, partial

__all__ = ["run"]


def run(job: Job, progress: Progress) -> JobResult:
    """Run a job on the golden machine."""
    tokens: list[Generated] = []
    # Its link never waits, so that one step runs it all; an event loop would keep the first Ctrl-C
    # for the next wait, which never comes.
    try:
        execute(GoldenLink(job.program.machine), job, progress, tokens.append).send(None)
    except KeyboardInterrupt:
        return partial(job, tokens)
    except StopIteration as end:
        result: JobResult = end.value
        return result
    raise RuntimeError("the golden machine must never wait")
