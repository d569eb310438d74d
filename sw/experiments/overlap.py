"""Token-grained overlap, measured on RTL and held against the cycle formula."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.perf.pipeline import Prediction
from ouroboros.sw.runtime.job import Backend, Job, JobResult, Progress, RequestSpec

__all__ = ["DecodePoint", "Overlap", "measure"]

Tokens = Callable[[int], Sequence[int]]
"""Gives a prompt of n token ids."""


@dataclass(frozen=True, slots=True)
class DecodePoint:
    """Decode of N sequences of equal length."""

    sequences: int
    """N."""
    cycles: int
    """Of the slowest sequence, from its first decoded token's injection to its last result.

    Prompts are BOS alone, so that no other sequence's prefill falls into it."""
    predicted_cycles: int
    """Rounds of max(latency, N x slowest interval), each at its own context."""
    ratio: float
    """Cycles over those of one sequence."""

    @property
    def error(self) -> float:
        """Measured over predicted, minus 1."""
        return self.cycles / self.predicted_cycles - 1


@dataclass(frozen=True, slots=True)
class Overlap:
    """What ``measure`` found."""

    prompt_tokens: int
    """Length of the prefill."""
    prefill_cycles: int
    """First injection to the last prompt token's result, tokens following each other."""
    alone_cycles: int
    """The same, each token sent when the one before is back."""
    predicted_cycles: int
    """Formula: fill + the intervals of the tokens before the last."""
    decode: tuple[DecodePoint, ...]
    """The curve over N."""

    def as_dict(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {
            "prompt_tokens": self.prompt_tokens, "prefill_cycles": self.prefill_cycles,
            "alone_cycles": self.alone_cycles,
            "speedup": self.alone_cycles / self.prefill_cycles,
            "prefill_predicted_cycles": self.predicted_cycles,
            "prefill_error": self.prefill_cycles / self.predicted_cycles - 1,
            "decode": [{**asdict(point), "error": point.error} for point in self.decode]}


def measure(machine: Machine, model: QuantModel, run: Backend, tokens: Tokens, *,
            placement: str = "plain", prompt_tokens: int = 64, decode_prompt: int = 1,
            decode_tokens: int = 12, sequences: Sequence[int] = (1, 2, 4, 8), twin: bool = True,
            progress: Progress = lambda what, done, total: None) -> Overlap:
    """Run prefill both ways, then decode of several numbers of sequences.

    Parameters
    ----------
    twin : bool
        Macro twin instead of bit-serial macro: the same cycles, simulated faster.
    """
    program = place_model(machine, model, placement=placement)

    def serve(count: int, length: int, limit: int, window: int | None = None) -> JobResult:
        specs = tuple(RequestSpec(prompt=tuple(tokens(length)), limit=limit, logits="none")
                      for _ in range(count))
        return run(Job(program=program, model=model, requests=specs, window=window, twin=twin,
                       observe=False), progress)

    def prefill(window: int | None) -> int:
        [request] = serve(1, prompt_tokens, 1, window).requests
        return request.finish_times[prompt_tokens - 1] - request.start_times[0]

    points: list[DecodePoint] = []
    # A generated token's position p attends to p + 1 tokens; the last is not fed back.
    contexts = range(decode_prompt + 1, decode_prompt + decode_tokens)
    for count in sequences:
        requests = serve(count, decode_prompt, decode_tokens).requests
        cycles = max(max(r.finish_times.values()) - r.start_times[decode_prompt]
                     for r in requests)
        predicted = sum(Prediction(program, prompt_tokens=1, context=context).decode(
            count).round_cycles for context in contexts)
        one = points[0].cycles if points else cycles
        points.append(DecodePoint(count, cycles, predicted, cycles / one))
    return Overlap(
        prompt_tokens=prompt_tokens, prefill_cycles=prefill(None), alone_cycles=prefill(1),
        predicted_cycles=Prediction(program, prompt_tokens=prompt_tokens,
                                    context=prompt_tokens).prefill_cycles,
        decode=tuple(points))
