"""Token-grained pipelining, measured on RTL: options in, cycles and formulas out."""

from dataclasses import dataclass
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnMachine, OnSimulator, WithPlacement, WithScheme
from ouroboros.sw.api.weights import WithCheckpoint
from ouroboros.sw.experiments.overlap import Overlap, measure
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.runtime.job import Progress
from ouroboros.sw.runtime.service import backend

__all__ = ["OverlapOptions", "Overlapped", "measure_overlap"]

FIRST_TOKEN = 3
"""Past <unk>, BOS and EOS."""
STEP = 37
"""Between two tokens of a prompt."""


@dataclass(frozen=True, kw_only=True)
class OverlapOptions(OnSimulator, WithScheme, WithPlacement, WithCheckpoint, OnMachine):
    """A model on a machine under a simulator."""

    prompt_tokens: int = option(64, metavar="N")
    """Length of the prefill."""
    decode_tokens: int = option(12, metavar="N", least=3)
    """Tokens that each sequence generates."""
    bit_serial: bool = False
    """Simulate the bit-serial macro instead of its twin (same cycles)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlapped:
    """What was measured, and on what."""

    options: OverlapOptions
    """What was run."""
    overlap: Overlap
    """Cycles."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        run = self.options
        return {"machine": run.machine, "placement": run.placement, "on": run.on,
                **self.overlap.as_dict()}


def measure_overlap(options: OverlapOptions,
                    progress: Progress = lambda what, done, total: None) -> Overlapped:
    """Prefill against one token at a time, decode of 1, 2, 4 and 8 sequences.

    Raises
    ------
    OuroborosError
        If the model does not fit, or a tool is missing.
    """
    machine = load_machine(options.machine)
    model = integer_model(options.source(), machine, options.scheme,
                          placement=options.placement)
    found = measure(machine, model, backend(options.on),
                    lambda count: _prompt(model, count), placement=options.placement,
                    prompt_tokens=options.prompt_tokens, decode_tokens=options.decode_tokens,
                    twin=not options.bit_serial, progress=progress)
    return Overlapped(options=options, overlap=found)


def _prompt(model: QuantModel, count: int) -> list[int]:
    """So many token ids, the first of them BOS."""
    return [model.special.bos_id or 0,
            *(FIRST_TOKEN + n * STEP % (model.shape.vocab_size - FIRST_TOKEN)
              for n in range(count - 1))]
