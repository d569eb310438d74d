"""A run as data: the same job goes to the golden model and to every simulator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.position import Position
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.device import CoreCounters, TraceEntry
from ouroboros.sw.runtime.difference import Sent
from ouroboros.sw.runtime.engine import Request
from ouroboros.sw.runtime.faults.fault import Fault
from ouroboros.sw.runtime.pools import PoolLoss, Whereabouts
from ouroboros.sw.runtime.sampling import Sampling
from ouroboros.sw.runtime.stopping import StopTexts
from ouroboros.sw.runtime.waves import Waves
from ouroboros.sw.serving.meter import Sample
from ouroboros.sw.serving.options import ServingOptions

if TYPE_CHECKING:       # runs without faults need not wait for the compiler behind it
    from ouroboros.sw.runtime.faults.recovery import Recovered

__all__ = ["BRANCH", "IMAGE", "MESH", "SAID", "Backend", "Generated", "Held", "Job", "JobResult",
           "Part", "Progress", "RequestSpec"]

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
