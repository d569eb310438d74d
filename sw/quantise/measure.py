"""The protocol of a comparison with the float model: on which tokens, apart from the calibration's.

A figure of perplexity means nothing without it, so it is part of the result.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.lib import read
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.integer import QuantModel, QuantModelError
from ouroboros.sw.models.loss import Loss
from ouroboros.sw.quantise.calibrate import CALIBRATION_TOKENS, Progress, Tokens, cut, first_tokens
from ouroboros.sw.quantise.evaluate import TOKENS_MAX, evaluate, sample_evaluation
from ouroboros.sw.quantise.source import ModelSource

__all__ = ["MeasureOptions", "Measured", "measure"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureOptions:
    """What to compare on."""

    text: Path | None = None
    """File of the text; None: what the float model writes."""
    calibration: Path | None = None
    """File that the calibration read, if it read one: of the same text what it saw is left out."""
    tokens: int = 4096
    """Predictions at least, if the text has as many; positive."""
    sequence_tokens: int = 512
    """Tokens of a sequence, BOS among them, or as many as the model takes; at least 2."""
    seed: int = 0
    """Of text that the float model writes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A comparison and the tokens it was made on."""

    text: str | None
    """File of the text; None: written by the float model."""
    seed: int | None
    """Of text that the float model wrote."""
    first_token: int
    """Place of the first token in the text, from 0; those before it were the calibration's."""
    sequences: int
    """Sequences, each begun anew; one follows the other in the text."""
    sequence_tokens: int
    """Tokens of the longest, BOS among them."""
    bos: bool
    """Whether every sequence begins with BOS."""
    loss: Loss
    """What was found."""

    def as_dict(self) -> dict[str, Any]:
        """For a file: the figures, and beside them the protocol."""
        found = asdict(self)
        figures: dict[str, Any] = found.pop("loss")
        return figures | {"protocol": found}

    @property
    def place(self) -> str:
        """Where the tokens are from, in words."""
        bos = "BOS and " if self.bos else ""
        text = f"the model's own text, seed {self.seed}" if self.text is None else (
            f"{Path(self.text).name} from token {self.first_token}")
        return f"{text}, {bos}{self.sequence_tokens - self.bos} a sequence"


def measure(source: ModelSource, model: QuantModel, options: MeasureOptions,
            progress: Progress | None = None) -> Measured:
    """Compare the integer model of a checkpoint with the float model.

    Raises
    ------
    CheckpointError
        If the text cannot be read, or there is no tokenizer for it.
    QuantModelError
        If there is nothing to predict; the message says how many tokens there are.
    """
    length = min(options.sequence_tokens, model.shape.seq_len)
    if not 1 <= options.tokens <= TOKENS_MAX:
        raise QuantModelError(f"tokens must be between 1 and {TOKENS_MAX}, not {options.tokens}")
    if length < 2:
        raise QuantModelError(f"sequences must have at least 2 tokens to predict any, not {length}")
    first = 0
    if options.text is None:
        rows: list[Tokens] = list(sample_evaluation(source.checkpoint, options.tokens,
                                                    options.seed, length))
    else:
        rows, first = _rows(source, options.text, options, length)
    return Measured(
        text=None if options.text is None else str(options.text),
        seed=options.seed if options.text is None else None, first_token=first,
        sequences=len(rows), sequence_tokens=max(map(len, rows)),
        bos=source.checkpoint.special.bos_id is not None,
        loss=evaluate(source.checkpoint, model, rows, progress))


def _rows(source: ModelSource, path: Path, options: MeasureOptions,
          length: int) -> tuple[list[Tokens], int]:
    """Sequences of a text, and the place in it where they begin."""
    coder = source.tokenizer
    if coder is None:
        raise CheckpointError(f"{path}: a text to compare on needs a tokenizer: "
                              f"{source.tokenizer_fault}")
    text = read.text(path, "a text to compare on", CheckpointError)
    seen = options.calibration is not None and text == read.text(
        options.calibration, "a calibration text", CheckpointError)
    first = CALIBRATION_TOKENS if seen else 0
    begins = int(coder.special.bos_id is not None)
    count = math.ceil(options.tokens / (length - 1))
    tokens = first_tokens(coder, text, first + count * (length - begins))[first:]
    rows = [row for row in cut(coder, tokens, length) if len(row) > 1]
    if not rows:
        after = f" after the first {first}, which the calibration saw" if first else ""
        raise QuantModelError(
            f"{path}: must have at least one token to predict{after}, not {len(tokens)} tokens")
    return rows, first
