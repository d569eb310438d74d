"""What quantising costs: perplexity, KL divergence and agreement against the float model."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.golden.numerics import LOGIT_FRACTION_BITS
from ouroboros.sw.models.checkpoint import Checkpoint
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.integer import QuantModel, QuantModelError
from ouroboros.sw.models.loss import Loss, exp
from ouroboros.sw.quantise.calibrate import Progress

__all__ = ["TOKENS_MAX", "evaluate", "sample_evaluation"]

TOKENS_MAX = 10_000_000
"""Predictions that are compared at most: their text is written and kept all at once."""
_PIECE_TOKENS = 128


def sample_evaluation(checkpoint: Checkpoint, tokens: int, seed: int,
                      sequence_tokens: int = 512) -> npt.NDArray[np.int64]:
    """Token table (sequences, n) from the float model with at least ``tokens`` predictions."""
    if not 1 <= tokens <= TOKENS_MAX:
        raise QuantModelError(f"tokens must be between 1 and {TOKENS_MAX}, not {tokens}")
    if checkpoint.shape.seq_len < 2:
        raise QuantModelError(f"{checkpoint.name}: {checkpoint.label('seq_len')} must be at least "
                              f"2 to predict tokens, not {checkpoint.shape.seq_len}")
    batch = math.ceil(tokens / (min(checkpoint.shape.seq_len, sequence_tokens) - 1))
    return FloatLlama(checkpoint, batch=batch).sample(math.ceil(tokens / batch) + 1, (seed, 1))


def evaluate(checkpoint: Checkpoint, model: QuantModel,
             tokens: npt.NDArray[np.integer[Any]] | Sequence[npt.NDArray[np.integer[Any]]],
             progress: Progress | None = None) -> Loss:
    """Compare both models on every token after the first of every sequence."""
    rows = [np.asarray(row) for row in tokens]
    for row in rows:
        if len(row) < 2:
            raise QuantModelError(f"tokens must be at least 2 in a sequence, not {len(row)}")
    reference = FloatLlama(checkpoint)
    decoder = IntegerDecoder(model)
    differences, losses, divergences, agreements = [], [], [], []
    for n, sequence in enumerate(rows):
        reference.reset()
        # In pieces, which change nothing but the memory that the logits take.
        for start in range(0, len(sequence) - 1, _PIECE_TOKENS):
            piece = sequence[start:min(start + _PIECE_TOKENS, len(sequence) - 1)]
            ours = decoder.prefill(n, piece.tolist()) / 2.0**LOGIT_FRACTION_BITS
            theirs = reference.forward(piece[None])[0]
            log_p, log_q = _log_softmax(theirs), _log_softmax(ours)
            target = (np.arange(len(piece)), sequence[start + 1:start + 1 + len(piece)])
            losses.append(-log_p[target])
            differences.append(log_p[target] - log_q[target])
            divergences.append((np.exp(log_p) * (log_p - log_q)).sum(axis=-1))
            agreements.append(theirs.argmax(axis=-1) == ours.argmax(axis=-1))
        decoder.free(n)
        if progress is not None:
            progress(n + 1, len(rows))
    difference, loss = np.concatenate(differences), np.concatenate(losses)
    ratio, perplexity = exp(difference.mean()), exp(loss.mean())
    error = None if difference.size < 2 else (
        100 * ratio * float(difference.std(ddof=1)) / math.sqrt(difference.size))
    return Loss(
        tokens=difference.size,
        float_perplexity=perplexity,
        integer_perplexity=perplexity * ratio,
        perplexity_change_percent=100 * (ratio - 1),
        standard_error_percent=error,
        kl_nats=float(np.concatenate(divergences).mean()),
        top1_agreement_percent=100 * float(np.concatenate(agreements).mean()),
    )


def _log_softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    logs: npt.NDArray[np.float64] = shifted - np.log(
        np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs
