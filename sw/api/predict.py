"""Cycles of a placed model without a simulator: options in, a prediction out."""

from dataclasses import dataclass
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnMachine, WithPlacement, WithScheme
from ouroboros.sw.api.weights import WithCheckpoint
from ouroboros.sw.experiments.levels import Level, levels
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.pipeline import Decode, Prediction

__all__ = ["PredictOptions", "Predicted", "predict_cycles"]


@dataclass(frozen=True, kw_only=True)
class PredictOptions(WithScheme, WithPlacement, WithCheckpoint, OnMachine):
    """A model on a machine, and its tokens."""

    prompt_tokens: int = option(64, metavar="N")
    """Length of the prompt."""
    context: int = option(128, metavar="N")
    """Tokens that a decoded token attends to."""
    sequences: str = option("1,2,4,8", metavar="N,N,..")
    """Numbers of sequences that are decoded together."""
    stream: bool = False
    """Logits go to the host."""
    levels: str = option("", metavar="P:O:N,..")
    """Also serve N requests of P prompt tokens that generate O, every core followed, and on the
    chain of the wafer model: 24:1:1,1:12:4."""

    def counts(self) -> tuple[int, ...]:
        """What ``sequences`` names."""
        try:
            return tuple(int(part) for part in self.sequences.split(","))
        except ValueError:
            raise PerfError(f"sequences must be whole numbers with commas between, "
                            f"not {self.sequences!r}") from None


    def runs(self) -> tuple[tuple[int, int, int], ...]:
        """What ``levels`` names."""
        found = []
        for part in self.levels.split(",") if self.levels else ():
            numbers = part.split(":")
            if len(numbers) != 3 or not all(n.isdecimal() and int(n) for n in numbers):
                raise PerfError("levels must be prompt tokens, output tokens and requests, as in "
                                f"24:1:1, with commas between, not {self.levels!r}")
            prompt, output, count = map(int, numbers)
            found.append((prompt, output, count))
        return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Predicted:
    """Prefill and decode of a placed model."""

    prediction: Prediction
    """Stage times, latency and prefill."""
    decode: tuple[Decode, ...]
    """By number of sequences."""
    levels: tuple[Level, ...] = ()
    """Machine model beside wafer model."""

    def as_dict(self) -> dict[str, Any]:
        """For a file; all stages are in it."""
        return {**self.prediction.as_dict([one.sequences for one in self.decode]),
                "levels": [one.as_dict() for one in self.levels]}


def predict_cycles(options: PredictOptions) -> Predicted:
    """Quantise, place and count.

    Raises
    ------
    OuroborosError
        If the model does not fit, or the machine has no room for so many tokens or sequences.
    """
    counts, runs = options.counts(), options.runs()
    machine = load_machine(options.machine)
    model = integer_model(options.source(), machine, options.scheme,
                          placement=options.placement)
    program = place_model(machine, model, placement=options.placement)
    found = Prediction(program, prompt_tokens=options.prompt_tokens, context=options.context,
                       stream=options.stream)
    return Predicted(prediction=found, decode=tuple(map(found.decode, counts)),
                     levels=tuple(levels(program, model, runs)) if runs else ())
