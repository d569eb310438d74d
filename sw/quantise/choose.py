"""Which scheme a model gets where the user names none, and the loss that every model carries."""

from dataclasses import replace

from ouroboros.sw.models.checkpoint import Checkpoint
from ouroboros.sw.models.integer import QuantModel, QuantModelError
from ouroboros.sw.models.loss import LIMIT_PERCENT, Loss
from ouroboros.sw.quantise import quantise as quantiser
from ouroboros.sw.quantise.calibrate import Progress, Tokens
from ouroboros.sw.quantise.evaluate import evaluate
from ouroboros.sw.quantise.recipe import recipe

__all__ = ["AUTO", "quantise_with_loss"]

AUTO = "auto"
"""R where it can be made and loses no more than a user need not be told of, else R2."""
LOSS_SEQUENCES, LOSS_TOKENS = 4, 128
"""Text of the calibration on which every model's loss is measured."""


def quantise_with_loss(checkpoint: Checkpoint, tokens: Tokens, *, scheme: str = AUTO,
                       residual_fraction_bits: int | None = None, positions: int | None = None,
                       progress: Progress | None = None) -> QuantModel:
    """The integer model of a scheme by name, with its loss on the first of the calibration.

    Raises
    ------
    QuantModelError
        If there is no such scheme or no such model of it.
    """
    def make(name: str) -> QuantModel:
        model = quantiser.quantise(checkpoint, tokens, recipe=recipe(name), progress=progress,
                                   residual_fraction_bits=residual_fraction_bits,
                                   positions=positions)
        return replace(model, loss=_loss(checkpoint, model, tokens))

    if scheme != AUTO:
        return make(scheme)
    try:
        model = make("R")
    except QuantModelError:
        return make("R2")       # which says itself what it cannot hold either
    if model.loss is None or model.loss.expected_change_percent <= LIMIT_PERCENT:
        return model
    return make("R2")


def _loss(checkpoint: Checkpoint, model: QuantModel, tokens: Tokens) -> Loss | None:
    """None if the tokens are too few to predict any."""
    length = min(LOSS_TOKENS, model.shape.seq_len, tokens.shape[-1])
    rows = tokens if tokens.ndim == 2 else (
        tokens[:tokens.size // length * length].reshape(-1, length))
    return None if length < 2 else evaluate(checkpoint, model, rows[:LOSS_SEQUENCES, :length])
