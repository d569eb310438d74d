"""The file of the integer model, and the checks of its fields."""

import dataclasses

import numpy as np
import pytest

from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.models import integer as quant_model
from ouroboros.sw.models.integer import QuantModelError
from ouroboros.sw.models.loss import Loss
from ouroboros.sw.models.rope import LinearScaling, Llama3Scaling
from ouroboros.sw.models.special import LLAMA2C, SpecialTokens
from ouroboros.sw.quantise.quantise import quantise


@pytest.fixture
def model(make_checkpoint):
    return quantise(make_checkpoint(tied=False), np.arange(20))


def test_round_trip(model, tmp_path):
    model.save(tmp_path / "a.npz")
    again = quant_model.load(tmp_path / "a.npz")
    assert again.digest == model.digest
    assert again.shape == model.shape
    assert (again.special, again.loss) == (LLAMA2C, None)
    assert type(again.layers[1].rq_q.s) is int
    assert type(again.norm_final.mg) is int
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    tokens = [1, 2, 3]
    assert (IntegerDecoder(again).prefill(0, tokens)
            == IntegerDecoder(model).prefill(0, tokens)).all()


def test_round_trip_of_what_is_not_an_array(make_checkpoint, tmp_path):
    loss = Loss(tokens=3, float_perplexity=2.0, integer_perplexity=3.0, kl_nats=0.5,
                perplexity_change_percent=50.0, standard_error_percent=None,
                top1_agreement_percent=60.0)
    for scaling in (None, LinearScaling(factor=2.0),
                    Llama3Scaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                  original_positions=12)):
        for special in (SpecialTokens(bos_id=None, stop_ids=()),
                        SpecialTokens(bos_id=0, stop_ids=(3, 5))):
            made = make_checkpoint(n_layers=1, rope_scaling=scaling, special=special)
            made = dataclasses.replace(quantise(made, np.arange(20)), loss=loss)
            made.save(tmp_path / "a.npz")
            again = quant_model.load(tmp_path / "a.npz")
            assert (again.shape, again.special, again.loss) == (made.shape, special, loss)
            assert again.digest == made.digest == dataclasses.replace(made, loss=None).digest


def test_digest_sees_every_array(model):
    weights = model.layers[1].w2.copy()
    weights[3, 5] ^= 1
    layers = (model.layers[0], dataclasses.replace(model.layers[1], w2=weights))
    assert dataclasses.replace(model, layers=layers).digest != model.digest
    assert dataclasses.replace(model, norm_c=model.norm_c + 1).digest != model.digest
    special = SpecialTokens(bos_id=1, stop_ids=(2,))
    assert dataclasses.replace(model, special=special).digest != model.digest


def test_damaged_files(model, tmp_path, monkeypatch):
    path = tmp_path / "model.npz"

    def message():
        with pytest.raises(QuantModelError) as caught:
            quant_model.load(path)
        return str(caught.value).removeprefix(f"{path}: ")

    assert message() == "cannot be read: No such file or directory"
    path.write_bytes(b"")
    assert message() == "corrupt: not an .npz file of arrays"
    path.write_bytes(b"something else")
    assert message() == "corrupt: not an .npz file of arrays"
    model.save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-200])
    assert message() == "corrupt: not an .npz file of arrays"
    at = content.index(b"layers.0.wq") + 200
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
    assert message().startswith("corrupt: ")
    np.savez(path, a=np.zeros(3))
    assert message() == "corrupt: version and digest must be present"
    with np.load(tmp_path / "model.npz") as archive:
        assert archive.files == ["a"]
    monkeypatch.setattr(quant_model, "FORMAT_VERSION", 2)
    model.save(path)
    monkeypatch.undo()
    assert message() == "version must be 3, not 2"
    arrays = quant_model._flatten(model)
    arrays["residual_fraction_bits"] = np.array(8)
    np.savez(path, digest=np.array("0" * 64), **arrays)
    assert message() == "corrupt: its content does not match its digest"
    del arrays["head"]
    np.savez(path, digest=np.array(quant_model._digest(arrays)), **arrays)
    assert message() == "corrupt: 'head'"


def test_fields_are_checked(model):
    layer = model.layers[0]
    rq = layer.rq_q

    def with_layer(**changes):
        return {"layers": (dataclasses.replace(layer, **changes), model.layers[1])}

    cases = [
        ({"head": model.head.astype(np.int16)},
         "head must be int8 of shape (23, 16), not int16 of shape (23, 16)"),
        ({"rope": model.rope[1:]},
         "rope must be int16 of shape (24, 4), not int16 of shape (23, 4)"),
        ({"layers": model.layers[:1]}, "layers must be 2, not 1"),
        (with_layer(rq_q=dataclasses.replace(rq, s=64)),
         "layers.0.rq_q.s must be between 0 and 63, not 64"),
        (with_layer(rq_q=dataclasses.replace(rq, m=rq.m[1:])),
         "layers.0.rq_q.m must be uint16 of shape (16,), not uint16 of shape (15,)"),
        (with_layer(norm2=dataclasses.replace(layer.norm2, mg=65536)),
         "layers.0.norm2.mg must be between 0 and 65535, not 65536"),
        (with_layer(gate=dataclasses.replace(layer.gate, sf=-1)),
         "layers.0.gate.sf must be between 0 and 63, not -1"),
        (with_layer(gate=dataclasses.replace(layer.gate, silu=layer.gate.silu[:255])),
         "layers.0.gate.silu must be int16 of shape (256,), not int16 of shape (255,)"),
    ]
    for changes, message in cases:
        with pytest.raises(QuantModelError) as caught:
            dataclasses.replace(model, **changes)
        assert str(caught.value) == message
