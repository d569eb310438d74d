"""A run on RTL beside the cycle model: prefill, every decoded token, every stage.

Of one sequence. Its decoded tokens are alone in the machine; those of its prompt follow each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.perf.flow import flow
from ouroboros.sw.perf.pipeline import Prediction
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.program.program import Program

__all__ = ["Agreement", "Pair", "Traced", "agreement"]


class Traced(Protocol):
    """One token in one stage, as a core's trace has it."""

    @property
    def stage(self) -> int:
        """Stage number in the core."""
    @property
    def position(self) -> int:
        """Position of the token."""
    @property
    def flags(self) -> int:
        """Flags at the end."""
    @property
    def start(self) -> int:
        """Cycle in which its operands were complete."""
    @property
    def end(self) -> int:
        """Cycle of its END."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Cycles measured and predicted."""

    measured: int
    """On RTL."""
    predicted: int
    """By the model."""

    @property
    def error(self) -> float:
        """Predicted over measured, minus 1."""
        return self.predicted / self.measured - 1

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "error": self.error}


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """One sequence, measured and predicted."""

    prefill: Pair
    """From the host's first flit of the prompt to the result of its last token."""
    decode: dict[int, Pair]
    """From a token's first flit to its result, by position."""
    stages: dict[str, Pair]
    """From a stage's start to its END, over all decoded tokens, by its name."""
    interval: Pair | None
    """Between results of the second half of the prompt, but for its last token; None for a prompt
    of less than 5 tokens."""

    @property
    def total(self) -> Pair:
        """Prefill and decoded tokens together."""
        parts = [self.prefill, *self.decode.values()]
        return Pair(sum(part.measured for part in parts), sum(part.predicted for part in parts))

    @property
    def worst_stage(self) -> str:
        """The stage that is furthest from its prediction."""
        return max(self.stages, key=lambda name: abs(self.stages[name].error))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"total": self.total.as_dict(), "prefill": self.prefill.as_dict(),
                "decode": {str(n): pair.as_dict() for n, pair in self.decode.items()},
                "interval": self.interval and self.interval.as_dict(),
                "worst_stage": self.worst_stage,
                "stages": {name: pair.as_dict() for name, pair in self.stages.items()}}


def agreement(program: Program, traces: Mapping[Position, Iterable[Traced]], *,
              starts: Mapping[int, int], ends: Mapping[int, int], prompt_tokens: int,
              stream: bool) -> Agreement | None:
    """Hold a sequence against the model.

    Parameters
    ----------
    traces : mapping of Position to iterable of Traced
        Of all cores with stages.
    starts, ends : mapping of int to int
        Cycles in which the host had a position's first flit, and its result.
    prompt_tokens : int
        Tokens of the prompt.
    stream : bool
        Whether logits went to the host, from the prompt's last token on.

    Returns
    -------
    Agreement | None
        None where no token was decoded, or traces have lost one that was.
    """
    stages = read_stages(program)
    seen = {(core, entry.stage, entry.position): entry for core, entries in traces.items()
            for entry in entries if not entry.flags & Flag.FREE}
    positions = sorted(position for position in ends if position >= prompt_tokens)
    if not positions or not all((stage.info.core, stage.info.index, position) in seen
                                for stage in stages for position in positions):
        return None
    flags = int(Flag.STREAM) if stream else 0
    decode: dict[int, Pair] = {}
    measured: dict[str, int] = {}
    predicted: dict[str, int] = {}
    for position in positions:
        token = Token(position, flags)
        met = flow(program, stages, [token], routers=True)
        decode[position] = Pair(ends[position] - starts[position], met.results[0])
        for info in (stage.info for stage in stages):
            at = info.core, info.index, position
            span = met.spans[info.core, info.index, 0]
            measured[info.name] = measured.get(info.name, 0) + seen[at].end - seen[at].start
            predicted[info.name] = predicted.get(info.name, 0) + span.end - span.start
    prediction = Prediction(program, prompt_tokens=prompt_tokens, context=prompt_tokens,
                            stream=stream, routers=True)
    first, last = prompt_tokens // 2, prompt_tokens - 2
    results = prediction.prefill.results
    interval = Pair((ends[last] - ends[first]) // (last - first),
                    (results[last] - results[first]) // (last - first)) if last > first else None
    return Agreement(prefill=Pair(ends[prompt_tokens - 1] - starts[0], prediction.prefill_cycles),
                     decode=decode, interval=interval,
                     stages={name: Pair(measured[name], predicted[name]) for name in measured})
