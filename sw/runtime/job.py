"""A run as data: the same job goes to the golden model and to every simulator."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.position import Position
from ouroboros.sw.golden.pool_end import PoolEnd
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.attend import attend
from ouroboros.sw.runtime.device import CoreCounters, Device, TraceEntry
from ouroboros.sw.runtime.difference import Sent
from ouroboros.sw.runtime.engine import Engine, Request
from ouroboros.sw.runtime.fault import Fault, FaultError, Hurts
from ouroboros.sw.runtime.link import Link, Noting
from ouroboros.sw.runtime.play import CycleClock, TokenClock, play
from ouroboros.sw.runtime.pools import (
    PoolLoss,
    Whereabouts,
    check_pools,
    kept_where,
    serve_losing,
)
from ouroboros.sw.runtime.sampling import Logits, Sampling
from ouroboros.sw.runtime.stopping import StopTexts
from ouroboros.sw.runtime.watchdog import ClockedLink, RecoveryError, Watched
from ouroboros.sw.runtime.waves import Waves
from ouroboros.sw.serving.meter import Meter, Sample
from ouroboros.sw.serving.options import ServingOptions

if TYPE_CHECKING:       # runs without faults need not wait for the compiler behind it
    from ouroboros.sw.runtime.recovery import Recovered, Recovery

__all__ = ["BRANCH", "IMAGE", "MESH", "SAID", "Backend", "Generated", "Held", "Job", "JobResult",
           "Part", "Progress", "RequestSpec", "execute", "partial"]

Progress = Callable[[str, int, int], None]
"""Told (what, done, of how many): ``what`` is ``build``, ``load`` or ``token``.

Of a job whose tokens are told: also ``SAID``, number of the request, id of every generated token.
Of a job with branches: also ``BRANCH`` and how many are over.
"""
SAID, BRANCH = "said", "branch"
"""See ``Progress``."""
Part = Callable[[int], int | None]
"""Goes on as so many branches and the run itself: gives the number of this one; None: the run."""
MESH, IMAGE = "mesh", "image"
"""How a program gets into the cores: by packets, or by memory images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestSpec:
    """One prompt."""

    prompt: tuple[int, ...]
    """Token ids, BOS included."""
    limit: int
    """Tokens to generate at most."""
    logits: str = "last"
    """See ``sw.runtime.engine.Request``."""
    arrival: int = 0
    """When it is submitted, in cycles from the end of loading; on the golden machine, which has no
    clock, in tokens that have gone in. No earlier than that of the request before."""
    priority: int = 0
    """See ``sw.serving.request.Request``."""
    deadline: int | None = None
    """The same; in the unit of ``arrival``."""
    cancel_at: int | None = None
    """When it is given up, in the unit of ``arrival``; None: never."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to run."""

    program: Program
    """Placed model."""
    model: QuantModel
    """The integer model, for embedding and RoPE rows."""
    requests: tuple[RequestSpec, ...]
    """Served together, in this order."""
    stop_ids: tuple[int, ...] = ()
    """Ids that end a sequence."""
    window: int | None = None
    """Most tokens under way; None: as the policy says."""
    options: ServingOptions = field(default_factory=ServingOptions)
    """Policy of serving."""
    observe: bool = True
    """Read counters and traces afterwards (only where there is a clock)."""
    twin: bool = False
    """Simulators: the behavioural twin of the macro instead of the bit-serial one."""
    waves: Waves | None = None
    """Simulators: what to record."""
    sampling: Sampling | None = None
    """How the host draws tokens; None: the machine's likeliest."""
    stops: StopTexts | None = None
    """Texts that end a sequence."""
    told: bool = False
    """Tell generated tokens as they come (``Progress``)."""
    built: frozenset[Position] | None = None
    """Simulators: the cores that are built, all that packets can reach; None: the whole mesh."""
    load: str = MESH
    """``MESH``, or ``IMAGE``: every core is given its own image, all at once."""
    tap: bool = False
    """Keep what the host injects and what the cores send (``sw.runtime.locate``)."""
    measured: bool = False
    """Keep what was alive, held and under way over time."""
    door: str | None = None
    """Path of a Unix socket: requests come from there while it is open (``sw.runtime.attend``)."""
    faults: tuple[Fault, ...] = ()
    """What happens to the machine while it runs; counters and traces are not read then."""
    branches: tuple[tuple[Fault, ...], ...] = ()
    """Simulators: go on as so many runs with these faults, one after the other, and at last as
    the one without; what comes before the first of all faults is simulated once."""
    pool_lost: int | None = None
    """When the program's pools disappear, in the unit of ``RequestSpec.arrival``; None: never."""
    without: Program | None = None
    """What goes on then, from the first token of every request; None: requests are refused."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Generated:
    """A generated token: all that is kept of a run that the user ends."""

    request: int
    """Number of the request."""
    token: int
    """Its id."""
    vectors: dict[int, npt.NDArray[np.int32]]
    """Logits that have come since the request's token before, by position."""
    run_s: float
    """Wall time since the machine was loaded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What a run held; times are those of ``RequestSpec.arrival``."""

    samples: tuple[Sample, ...]
    """Over time."""
    means: dict[str, float]
    """Time averages by quantity of a sample."""
    peaks: dict[str, int]
    """The most of each."""
    until: int
    """When all had ended."""


@dataclass(kw_only=True, slots=True)
class JobResult:
    """What came of it."""

    requests: list[Request]
    """In the job's order."""
    load_cycles: int | None = None
    """Cycles of loading the program."""
    cycles: int | None = None
    """Cycles from the first token to the last result; None without a clock."""
    run_s: float = 0.0
    """Wall time of the same part."""
    load_s: float = 0.0
    """Wall time of loading."""
    build_s: float = 0.0
    """Wall time of making the simulator's program; 0 if it was there."""
    peak_bytes: int | None = None
    """Most memory that the simulator's process held."""
    tokens: int = 0
    """Tokens that went through the machine: prompt, generated and control tokens."""
    counters: dict[Position, CoreCounters] = field(default_factory=dict)
    """Event counters of the run, by core."""
    traces: dict[Position, list[TraceEntry]] = field(default_factory=dict)
    """Tokens by stage, by core."""
    flit_hops: int | None = None
    """Data flits that routers sent through mesh ports during the run, idle cores' routers
    included; credits are not in it. None without counters."""
    errors: int | None = None
    """Packets that cores and routers refused or dropped, idle cores' routers included; on a network
    with dead parts also while the program was loaded. None without counters."""
    waves: Path | None = None
    """File of what was recorded."""
    recorded: tuple[int, int] | None = None
    """First cycle of it, and the one after the last."""
    injected: list[Packet] = field(default_factory=list)
    """Packets of tokens that the host sent, if they were to be kept."""
    sent: list[Sent] = field(default_factory=list)
    """Data packets that cores sent, each core's in their order, if they were to be kept."""
    held: Held | None = None
    """What was held over time, if it was measured."""
    come: list[Fault] = field(default_factory=list)
    """The job's faults that came before the last token was back."""
    recovered: "list[Recovered]" = field(default_factory=list)
    """How the machine was brought back each time."""
    where: list[Whereabouts] = field(default_factory=list)
    """Where K and V were over time, if the program has pools or it was measured."""
    pool_loss: PoolLoss | None = None
    """The loss of the job's pools, if it came."""
    refused: str | None = None
    """Why it could not be brought back: then some requests are ``refused``, and hold what was
    generated before."""
    branches: "list[JobResult]" = field(default_factory=list)
    """Of the job's branches, in their order; wall times are from the common start."""
    interrupted: bool = False
    """The user ended the run: requests are as far as they were, ``finished`` is ``interrupted``."""


Backend = Callable[[Job, Progress], JobResult]
"""Runs a job; registered under the entry-point group ``ouroboros.backends``.

When the user interrupts it, it returns what there is (``partial``).
"""


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
    from ouroboros.sw.runtime.recovery import silence_limit
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
    from ouroboros.sw.runtime.recovery import Recovery
    watched.begin()
    return Recovery(watched, job.model, engine)


async def _observe(device: Device, result: JobResult) -> None:
    result.flit_hops = await device.flit_hops()
    result.counters = await device.counters(device.program.images)
    result.traces = await device.traces(device.program.images)
