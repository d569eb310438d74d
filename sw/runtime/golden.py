"""The back end ``golden``: the instruction-level golden machine, no simulator."""

import asyncio

from ouroboros.sw.golden.machine import GoldenLink
from ouroboros.sw.runtime.job import Job, JobResult, Progress, execute

__all__ = ["run"]


def run(job: Job, progress: Progress) -> JobResult:
    """Run a job on the golden machine."""
    return asyncio.run(execute(GoldenLink(job.program.machine), job, progress))
