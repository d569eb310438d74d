"""A trace played on a machine: options in, latencies and what was held out."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnMachine, WithPlacement, WithScheme
from ouroboros.sw.api.waves import WithWaves
from ouroboros.sw.api.weights import WithTexts
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.replay.compare import Case, cases, compare_policies, factors
from ouroboros.sw.replay.load import Load, ReplayError, scale
from ouroboros.sw.replay.perfetto import TRACE_MARK
from ouroboros.sw.replay.picture import PICTURE_MARK, SUFFIXES
from ouroboros.sw.replay.play import Stage, play
from ouroboros.sw.replay.played import Played
from ouroboros.sw.runtime.job import Progress
from ouroboros.sw.serving.options import FIRST, GRAINS, ServingOptions
from ouroboros.sw.wafer.requests import at_rate, of_lengths, read_trace

__all__ = ["PLAYED_ON", "PolicyOptions", "ServeTraceOptions", "compare_trace", "serve_trace"]

PLAYED_ON = ("golden", "verilator", "icarus", "model")


@dataclass(frozen=True, kw_only=True)
class PolicyOptions(Options):
    """How requests are scheduled, as ``sw.serving.options`` has it."""

    headroom_blocks: int = option(1, least=0, metavar="N")
    """KV blocks of a core kept free for growth when a sequence is admitted."""
    static_tokens: int = option(0, least=0, metavar="N")
    """Tokens that every sequence reserves, as a static KV cache does; 0: as many as it has."""
    grain: str = option("token", choices=lambda: GRAINS)
    """What goes in as one: a token, or all of a prompt with nothing else under way."""
    first: str = option("decode", choices=lambda: FIRST)
    """Which tokens go first where both could: those of decode or of a prompt."""
    chunk_tokens: int | None = option(None, least=1, metavar="N")
    """Prompt tokens of a sequence before the next sequence's prompt has its turn; by default
    all."""
    window: int | None = option(None, least=1, metavar="N")
    """Tokens under way at most; by default as many as the machine has room for."""

    speculate: int = option(0, least=0, metavar="N")
    """Tokens guessed of each sequence at most: looked up in its own text, they go in where nothing
    else can, and count only if they were right."""

    def policy(self) -> ServingOptions:
        """The policy."""
        return ServingOptions(**{one.name: getattr(self, one.name)
                                 for one in fields(PolicyOptions)})


@dataclass(frozen=True, kw_only=True)
class ServeTraceOptions(PolicyOptions, WithWaves, WithTexts, WithScheme, WithPlacement, OnMachine):
    """A model on a machine, what is asked of it, and what is shown."""

    on: str = option("golden", choices=lambda: PLAYED_ON)
    """What plays it: golden machine (times in tokens), a simulator or the model (in cycles)."""
    trace: Path | None = option(None)
    """Requests: a CSV file with the columns arrival_s, input_tokens, output_tokens."""
    lengths: str = option("", metavar="PROMPT:OUTPUT")
    """Or requests that are alike, such as 24:6."""
    requests: int | None = option(None, least=1, metavar="N")
    """How many: of a trace the first, by default all; of --lengths 32."""
    scale: float | None = option(None, above=0, metavar="F")
    """Multiplies all lengths; by default the largest factor, at most 1, with which all fit."""
    rate: str = option("", metavar="xF|N|all")
    """When they arrive: xF times as fast as in the trace, N a second, or all at once; by default as
    in the trace, those of --lengths at once."""
    second: float | None = option(None, above=0, metavar="N")
    """Cycles (golden: tokens) that a second of the trace takes; by default 20,000 (golden: 50)."""
    cancel: float = option(0.0, least=0, most=1, metavar="SHARE")
    """Share of requests that are given up at a random time."""
    context: int | None = option(None, metavar="N", least=1)
    """Positions per sequence; by default what model and machine allow, at most 256."""
    kv_blocks: int | None = option(None, least=1, metavar="N")
    """KV blocks that each KV core may use, to see a crowded machine; by default all."""
    ring: bool = option(True, off="--no-ring")
    """Sequences begin at different members of a KV head, one after the other."""
    twin: bool | None = option(None, off="--bit-serial")
    """Simulate the macro's behavioural twin, or its bit-serial RTL; by default the RTL on meshes of
    at most 64 cores."""
    seed: int = option(0, least=0, metavar="N")
    """Of prompts, and of arrivals and cancellations that are drawn."""
    compare: bool = False
    """Play it under several policies: token and sequence grain, distributed and static KV,
    thresholds, with and without ring."""
    picture: Path | None = option(None, written=True, mark=PICTURE_MARK, suffixes=SUFFIXES)
    """Draw every request over time."""
    perfetto: Path | None = option(None, written=True, mark=TRACE_MARK)
    """Write what happened for Perfetto (ui.perfetto.dev) or chrome://tracing."""

    def stage(self) -> Stage:
        """What it is played on.

        Raises
        ------
        OuroborosError
            If the model does not fit, or a file is wrong.
        """
        machine = load_machine(self.machine)
        return Stage(machine=machine, model=integer_model(self.source(), machine, self.scheme),
                     on=self.on, placement=self.placement, context=self.context,
                     kv_blocks=self.kv_blocks, ring=self.ring, twin=self.twin,
                     waves=self.recorded())

    def load(self, stage: Stage) -> Load:
        """What is asked for, scaled.

        Raises
        ------
        OuroborosError
            If it is neither or both of a trace and lengths, or one of them is wrong.
        """
        if (self.trace is not None) == bool(self.lengths):
            raise ReplayError("requests must be those of --trace or of --lengths, one of the two")
        found = (read_trace(self.trace, self.requests) if self.trace is not None
                 else of_lengths(self.lengths, self.requests or 32))
        if self.rate:
            found = at_rate(found, self.rate, self.seed)
        return scale(found, context=stage.program().context, factor=self.scale,
                     second=self.second or (50.0 if self.on == "golden" else 20_000.0))


def serve_trace(options: ServeTraceOptions,
                progress: Progress = lambda what, done, total: None) -> Played:
    """Play it.

    Raises
    ------
    OuroborosError
        If the model or a request does not fit, or the trace is wrong.
    """
    stage = options.stage()
    return play(stage, options.load(stage), options.policy(), seed=options.seed,
                cancel=options.cancel, progress=progress)


def compare_trace(options: ServeTraceOptions,
                  told: Callable[[Case, Played], None] = lambda case, played: None,
                  progress: Progress = lambda what, done, total: None) -> dict[str, Any]:
    """Play it under several policies; what ``--json`` writes.

    Raises
    ------
    OuroborosError
        As ``serve_trace``, or if requests are to be given up.
    """
    if options.cancel:
        raise ReplayError("cancel must be 0 with --compare: runs have to do the same work")
    if options.waves is not None:
        raise ReplayError("waves must be of one run, without --compare")
    stage = options.stage()
    found = compare_policies(cases(stage, options.policy()), options.load(stage),
                             seed=options.seed, told=told, progress=progress)
    return {"runs": {name: played.as_dict() for name, played in found.items()},
            "factors": factors(found)}
