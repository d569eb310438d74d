"""The back end ``golden``: the instruction-level golden machine, no simulator."""

from ouroboros.sw.golden.machine import GoldenLink
from ouroboros.sw.program.image import images
from ouroboros.sw.runtime.device import Device
from ouroboros.sw.runtime.execute import execute, partial
from ouroboros.sw.runtime.job import (
    IMAGE,
    Generated,
    Job,
    JobResult,
    Progress,
)

__all__ = ["run"]


def run(job: Job, progress: Progress) -> JobResult:
    """Run a job on the golden machine."""
    tokens: list[Generated] = []
    link = GoldenLink(job.program.machine, pools=job.program.pools)

    async def load(device: Device) -> None:
        for core, writes in images(device.program).items():
            for write in writes:
                for address, value in enumerate(write.values, write.address):
                    link.golden.cores[core].write(write.unit, address, value)

    # Its link never waits, so that one step runs it all; an event loop would keep the first Ctrl-C
    # for the next wait, which never comes.
    try:
        execute(link, job, progress, tokens.append,
                load if job.load == IMAGE else None, pools=link.golden.pools).send(None)
    except KeyboardInterrupt:
        return partial(job, tokens)
    except StopIteration as end:
        result: JobResult = end.value
        return result
    raise RuntimeError("the golden machine must never wait")
