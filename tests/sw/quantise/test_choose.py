"""Which scheme a model gets where none is named."""

import dataclasses

import numpy as np
import pytest

from ouroboros.sw.models.integer import QuantModelError
from ouroboros.sw.models.loss import LIMIT_PERCENT
from ouroboros.sw.models.scheme import R2, R
from ouroboros.sw.quantise import quantise as quantiser
from ouroboros.sw.quantise.choose import quantise_with_loss

TOKENS = np.random.default_rng(0).integers(0, 23, (4, 24))


def louder(checkpoint, *, channel, factor):
    embedding = checkpoint.embedding.copy()
    embedding[:, channel] *= np.float32(factor)
    return dataclasses.replace(checkpoint, embedding=embedding)


def test_r_where_it_loses_little(make_checkpoint):
    checkpoint = make_checkpoint(tied=False, gain=0.5)
    model = quantise_with_loss(checkpoint, TOKENS)
    assert model.scheme == R
    assert model.loss.expected_change_percent <= LIMIT_PERCENT
    assert model.digest == quantiser.quantise(checkpoint, TOKENS).digest
    assert quantise_with_loss(checkpoint, TOKENS, scheme="R2").scheme == R2


def test_r2_where_r_loses_more_than_a_user_need_not_be_told_of(make_checkpoint):
    checkpoint = make_checkpoint(tied=False, gain=0.5)
    checkpoint.embedding[1, 3] = 3000.0     # a step of the residual that no other value reaches
    poor = quantise_with_loss(checkpoint, TOKENS, scheme="R")
    assert poor.loss.expected_change_percent > LIMIT_PERCENT
    model = quantise_with_loss(checkpoint, TOKENS)
    assert model.scheme == R2
    assert model.loss.kl_nats < poor.loss.kl_nats / 3


def test_r2_where_r_does_not_fit(make_checkpoint):
    checkpoint = louder(make_checkpoint(tied=False), channel=3, factor=5000)
    with pytest.raises(QuantModelError, match="residual stream must be at most 4096"):
        quantise_with_loss(checkpoint, TOKENS, scheme="R")
    assert quantise_with_loss(checkpoint, TOKENS).scheme == R2


def test_what_neither_fits_is_refused(make_checkpoint):
    checkpoint = louder(make_checkpoint(tied=False), channel=3, factor=1e8)
    with pytest.raises(QuantModelError, match="an int24 with room for 6 times that"):
        quantise_with_loss(checkpoint, TOKENS)
    with pytest.raises(QuantModelError) as caught:
        quantise_with_loss(checkpoint, TOKENS, scheme="R3")
    assert str(caught.value) == "scheme must be one of ['R', 'R2'], not 'R3'"
