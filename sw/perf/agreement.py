"""A run on RTL beside the cycle model: prefill, every decoded token, every stage.

Of one sequence, from the traces of its cores. Its decoded tokens are alone in the machine; those of
its prompt follow each other, which the model bounds from below.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.perf.pipeline import Prediction
from ouroboros.sw.perf.walk import StageWalk, walk
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
    """From the first stage's start of the first token to the last END of the prompt's last."""
    decode: dict[int, Pair]
    """From the first stage's start to the last END, by position."""
    stages: dict[str, Pair]
    """From a stage's start to its END, over all decoded tokens, by its name."""

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
                "worst_stage": self.worst_stage,
                "stages": {name: pair.as_dict() for name, pair in self.stages.items()}}


def agreement(program: Program, traces: Mapping[Position, Iterable[Traced]], *,
              prompt_tokens: int, fed_tokens: int, stream: bool) -> Agreement | None:
    """Hold traces against the model.

    Parameters
    ----------
    prompt_tokens : int
        Tokens of the prompt.
    fed_tokens : int
        Tokens of the sequence that went through the machine, those of the prompt included.
    stream : bool
        Whether logits went to the host, from the prompt's last token on.

    Returns
    -------
    Agreement | None
        None where traces do not reach so far back, or no token was decoded.
    """
    stages = read_stages(program)
    seen = {(core, entry.stage, entry.position): entry for core, entries in traces.items()
            for entry in entries if not entry.flags & Flag.FREE}
    whole = all((stage.info.core, stage.info.index, position) in seen
                for stage in stages for position in range(fed_tokens))
    if not whole or fed_tokens <= prompt_tokens:
        return None
    flags = int(Flag.STREAM) if stream else 0

    def entry(one: StageWalk, position: int) -> Traced:
        return seen[one.stage.info.core, one.stage.info.index, position]

    def span(found: Sequence[StageWalk], first: int, last: int) -> int:
        begin = min(found, key=lambda one: one.start)
        return max(entry(one, last).end for one in found) - entry(begin, first).start

    decode: dict[int, Pair] = {}
    measured: dict[str, int] = {}
    predicted: dict[str, int] = {}
    for position in range(prompt_tokens, fed_tokens):
        found = walk(program, stages, Token(position, flags)).stages
        decode[position] = Pair(
            span(found, position, position),
            max(one.end for one in found) - min(one.start for one in found))
        for one in found:
            name, at = one.stage.info.name, entry(one, position)
            measured[name] = measured.get(name, 0) + at.end - at.start
            predicted[name] = predicted.get(name, 0) + one.end - one.start
    last = walk(program, stages, Token(prompt_tokens - 1, flags))
    # The prediction counts from the host's first flit to the host's last: not what lies outside.
    outside = (min(one.start for one in last.stages)
               + last.result - max(one.end for one in last.stages))
    prefill = Prediction(program, prompt_tokens=prompt_tokens, context=prompt_tokens,
                         stream=stream).prefill_cycles - outside
    return Agreement(prefill=Pair(span(last.stages, 0, prompt_tokens - 1), prefill), decode=decode,
                     stages={name: Pair(measured[name], predicted[name]) for name in measured})
