"""A job's work over a link: load, serve, read what was counted; or what there is when cut short."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from ouroboros.hw.params.position import Position
from ouroboros.sw.golden.pool_end import PoolEnd
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.runtime.attend import attend
from ouroboros.sw.runtime.device import Device
from ouroboros.sw.runtime.engine import Engine, Request
from ouroboros.sw.runtime.faults.fault import FaultError, Hurts
from ouroboros.sw.runtime.faults.watchdog import ClockedLink, RecoveryError, Watched
from ouroboros.sw.runtime.job import SAID, Generated, Held, Job, JobResult, Part, Progress
from ouroboros.sw.runtime.link import Link, Noting
from ouroboros.sw.runtime.play import CycleClock, TokenClock, play
from ouroboros.sw.runtime.pools import Whereabouts, check_pools, kept_where, serve_losing
from ouroboros.sw.runtime.sampling import Logits
from ouroboros.sw.serving.meter import Meter

if TYPE_CHECKING:       # runs without faults need not wait for the compiler behind it
    from ouroboros.sw.runtime.faults.recovery import Recovery

__all__ = ["execute", "partial"]


def partial(job: Job, tokens: Iterable[Generated]) -> JobResult:
    """What a job that was interrupted has generated.

    Raises
    ------
    KeyboardInterrupt
        If that is nothing.
    """
    result = JobResult(interrupted=True, requests=[
        Request(prompt=spec.prompt, limit=spec.limit, logits=spec.logits, finished="interrupted")
        for spec in job.requests])
    for token in tokens:
        request = result.requests[token.request]
        request.tokens.append(token.token)
        request.vectors.update(token.vectors)
        result.run_s = token.run_s
    if not any(request.tokens for request in result.requests):
        raise KeyboardInterrupt
    return result


async def execute(link: Link, job: Job, progress: Progress,
                  record: Callable[[Generated], None] = lambda token: None,
                  load: Callable[[Device], Awaitable[None]] | None = None,
                  part: Part | None = None,
                  pools: Mapping[Position, PoolEnd] = MappingProxyType({})) -> JobResult:
    """Run a job over a link.

    Parameters
    ----------
    record : callable, optional
        Takes every generated token at once.
    load : callable, optional
        Loads images; by default the program is sent through the mesh.
    part : callable, optional
        Makes branches of this run.
    pools : mapping of Position to PoolEnd
        What is at the program's edge ports; whoever made the link connects them.
    """
    check_pools(job, pools)
    watched = _watched(link, job, part) if job.faults or job.branches else None
    link = link if watched is None else watched
    device = Device(link, job.program, job.built)
    started, start_cycles = time.perf_counter(), link.cycles
    progress("load", 0, 1)
    if load is not None:
        await load(device)
    elif start_cycles is None:
        # The golden machine has no counters to read, so no barrier either.
        await link.send(device.load_packets())
    else:
        await device.load()
    errors, reading = 0, 0
    if start_cycles is not None and job.observe:
        if job.program.detours is not None:
            before = link.cycles or 0
            errors = await device.errors()
            reading = (link.cycles or 0) - before
        await device.clear()
    progress("load", 1, 1)
    loaded, loaded_cycles = time.perf_counter(), link.cycles

    total = sum(spec.limit for spec in job.requests)
    count = 0

    def count_token(request: Request, token: int) -> None:
        nonlocal count
        count += 1
        n = requests.index(request)
        vectors = {position: vector for position, vector in request.vectors.items()
                   if position not in recorded[n]}
        recorded[n] |= vectors.keys()
        record(Generated(request=n, token=token, vectors=vectors,
                         run_s=time.perf_counter() - loaded))
        if job.told:
            progress(SAID, n, token)
        progress("token", count, total)

    def choose(request: Request, position: int, logits: Logits) -> int:
        assert job.sampling is not None, "only called where tokens are drawn"
        return job.sampling.choose(logits, requests.index(request), position)

    def ends(request: Request, token: int) -> bool:
        return job.stops is not None and job.stops.reached(
            request.prompt, [*request.tokens, token])

    # Without arrivals times are the link's own, as those of cores' traces.
    timed = job.measured or any(
        spec.arrival or spec.deadline is not None or spec.cancel_at is not None
        for spec in job.requests)
    clock: CycleClock | TokenClock = (
        TokenClock() if loaded_cycles is None else CycleClock(link, loaded_cycles if timed else 0))
    injected: list[Packet] = []
    policy = job.options if job.window is None else replace(job.options, window=job.window)
    engine = Engine(Noting(link, injected) if job.tap else link, job.program, job.model,
                    stop_ids=job.stop_ids, options=policy, on_token=count_token,
                    choose=None if job.sampling is None else choose, ended=ends,
                    clock=clock.now if timed else None,
                    looked=(lambda: look()) if job.measured else None)
    if isinstance(clock, TokenClock):
        clock.engine = engine
    meter = Meter(scheduler=engine.scheduler, keep=True)

    def look() -> None:
        meter.look(clock.now())
        now = kept_where(engine, requests, pools, clock.now())
        if not where or (where[-1].wafer, where[-1].pool) != (now.wafer, now.pool):
            where.append(now)

    where: list[Whereabouts] = []
    requests: list[Request] = []
    recorded: list[set[int]] = [set() for _ in job.requests]
    if job.door is not None:
        await attend(engine, job.door)
    recovery = None if watched is None else _recovery(watched, job, engine)
    refused = loss = None
    if job.pool_lost is not None:
        requests += [engine.submit(spec.prompt, limit=spec.limit, logits=spec.logits)
                     for spec in job.requests]
        loss = await serve_losing(engine, clock.now, job.pool_lost, job.without, requests, pools)
    elif recovery is None:
        await play(engine, clock, job.requests, requests)
    else:
        requests += [engine.submit(spec.prompt, limit=spec.limit, logits=spec.logits)
                     for spec in job.requests]
        try:
            await recovery.run()
        except RecoveryError as error:
            refused = str(error)
    ended, end_cycles = time.perf_counter(), link.cycles

    result = JobResult(requests=requests, injected=injected, tokens=engine.injected,
                       run_s=ended - loaded, load_s=loaded - started)
    result.pool_loss = loss
    if job.measured:
        until = clock.now()
        result.where = where
        result.held = Held(samples=tuple(meter.samples), means=meter.means(until),
                           peaks=meter.peaks, until=until)
    if start_cycles is not None and loaded_cycles is not None and end_cycles is not None:
        result.load_cycles = loaded_cycles - start_cycles - reading
        result.cycles = end_cycles - loaded_cycles
        if watched is not None and recovery is not None:
            result.come, result.recovered = watched.hurts.come, recovery.recovered
            result.refused = refused
            for request in requests:
                request.finished = request.finished or "refused"
        elif job.observe and loss is None:
            await _observe(device, result)
            result.errors = errors + await device.errors()
    return result


def _watched(link: Link, job: Job, part: Part | None) -> Watched:
    """The link with the job's faults on it."""
    from ouroboros.sw.runtime.faults.recovery import silence_limit
    if job.door is not None or job.measured or any(
            spec.arrival or spec.deadline is not None or spec.cancel_at is not None
            for spec in job.requests):
        raise FaultError("faults must come to a run whose requests are all there at its start, not "
                         "to a server or a trace")
    if link.cycles is None:
        raise FaultError("faults must come to a machine with a clock: simulate it with verilator")
    positions = max(len(spec.prompt) + spec.limit for spec in job.requests)
    machine = job.program.machine
    hurts = [Hurts(machine, faults) for faults in job.branches]
    whole = Hurts(machine, job.faults)
    if not hurts:
        parted = None
    elif job.faults or part is None:
        raise FaultError("branches must be of a simulated run that has no faults itself")
    else:
        def go_on(part: Part = part) -> Hurts:
            number = part(len(hurts))
            return whole if number is None else hurts[number]

        parted = min(one.next_cycle or 0 for one in hurts), go_on
    return Watched(cast(ClockedLink, link), whole, silence_limit(job.program, positions), parted)


def _recovery(watched: Watched, job: Job, engine: Engine) -> "Recovery":
    from ouroboros.sw.runtime.faults.recovery import Recovery
    watched.begin()
    return Recovery(watched, job.model, engine)


async def _observe(device: Device, result: JobResult) -> None:
    result.flit_hops = await device.flit_hops()
    result.counters = await device.counters(device.program.images)
    result.traces = await device.traces(device.program.images)
