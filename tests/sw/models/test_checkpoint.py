"""Shapes and weights that are refused, in the exact words."""

import dataclasses
import json

import numpy as np
import pytest

from ouroboros.sw.models.decoder_shape import CheckpointError, DecoderShape
from ouroboros.sw.models.rope import LinearScaling, Llama3Scaling
from ouroboros.sw.models.special import SpecialTokens

GOOD = {"dim": 16, "hidden_dim": 20, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2,
        "vocab_size": 23, "seq_len": 24}

REFUSED = [
    ({"dim": 18}, "dim must be a multiple of n_heads (4), not 18"),
    ({"n_kv_heads": 3}, "n_heads must be a multiple of n_kv_heads (3), not 4"),
    ({"dim": 12}, "head_dim must be even for RoPE, not 3"),
    ({"n_layers": 0}, "n_layers must be between 1 and 2147483647, not 0"),
    ({"seq_len": 2.0}, "seq_len must be between 1 and 2147483647, not 2.0"),
    ({"n_heads": True}, "n_heads must be between 1 and 2147483647, not True"),
    ({"head_dim": 7}, "head_dim must be even for RoPE, not 7"),
    ({"gated": False}, ("kind, gated, positions and head must be those of a LLaMA-type decoder, "
                        "not decoder, False, rope and True")),
    ({"norm_eps": 0.0}, "norm_eps must be a positive number, not 0.0"),
    ({"rope_theta": float("inf")}, "rope_theta must be a positive number, not inf"),
    ({"rope_theta": "1e4"}, "rope_theta must be a positive number, not '1e4'"),
    ({"rope_theta": 10**400}, f"rope_theta must be a positive number, not {10**400}"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_impossible_shapes(changes, message):
    with pytest.raises(CheckpointError) as caught:
        DecoderShape(**(GOOD | changes))
    assert str(caught.value) == message


def test_a_record_gives_the_shape_back():
    for scaling in (None, LinearScaling(factor=2.0),
                    Llama3Scaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                  original_positions=12)):
        shape = DecoderShape(**GOOD, rope_scaling=scaling, name="one")
        again = DecoderShape.from_record(json.loads(json.dumps(shape.record())))
        # A name does not tell one shape from another.
        assert again == shape
        assert again.name != shape.name


def test_derived_sizes():
    shape = DecoderShape(**GOOD)
    assert (shape.head_dim, shape.kv_width, shape.heads_per_kv) == (4, 8, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(value, make_checkpoint):
    checkpoint = make_checkpoint()
    checkpoint.layers[1].w2[3, 4] = value
    with pytest.raises(CheckpointError) as caught:
        dataclasses.replace(checkpoint, name="a.bin")
    assert str(caught.value) == "a.bin: tensor layers.1.w2 holds NaN or infinity"


def test_tensors_of_another_shape_or_type(make_checkpoint):
    checkpoint = make_checkpoint()
    changes = [
        ({"final_norm": checkpoint.final_norm[1:]},
         "checkpoint: tensor final_norm must have shape (16,), not (15,)"),
        ({"head": checkpoint.head.astype(float)},
         "checkpoint: tensor head must be float32, not float64"),
        ({"layers": checkpoint.layers[1:]}, "checkpoint: layers must be 2, not 1"),
        ({"special": SpecialTokens(bos_id=23, stop_ids=())},
         "checkpoint: bos_id must be below vocab_size = 23, not 23"),
        ({"special": SpecialTokens(bos_id=None, stop_ids=(2, 40))},
         "checkpoint: stop_ids must be below vocab_size = 23, not 40"),
    ]
    for change, message in changes:
        with pytest.raises(CheckpointError) as caught:
            dataclasses.replace(checkpoint, **change)
        assert str(caught.value) == message


def test_parameter_count_counts_a_tied_head_once(make_checkpoint):
    layer = 2 * 16 + 2 * 16 * 16 + 2 * 8 * 16 + 3 * 20 * 16
    assert make_checkpoint().parameter_count == 2 * layer + 16 + 23 * 16
    assert make_checkpoint(tied=False).parameter_count == 2 * layer + 16 + 2 * 23 * 16


def test_digest_sees_all_that_was_read(make_checkpoint):
    whole = make_checkpoint()
    assert whole.digest == make_checkpoint().digest
    assert dataclasses.replace(whole, name="elsewhere").digest == whole.digest
    layers = (whole.layers[0], dataclasses.replace(whole.layers[1], w2=whole.layers[1].w2 + 1))
    for change in ({"layers": layers}, {"special": SpecialTokens(bos_id=1, stop_ids=(1,))},
                   {"shape": dataclasses.replace(whole.shape, rope_theta=5e5)}):
        assert dataclasses.replace(whole, **change).digest != whole.digest
