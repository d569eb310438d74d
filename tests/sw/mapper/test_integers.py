"""Which integers a machine's programs take of a checkpoint."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.mapper.integers import integer_model, scheme_of, taken_positions
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models import llama2c
from ouroboros.sw.models.scheme import R2, SCHEMES, R
from ouroboros.sw.quantise.source import open_model

TINY = load_machine("tiny")
WIDE = replace(TINY, core=replace(TINY.core, residual_bits=24))


@pytest.fixture
def source(make_checkpoint, tmp_path, monkeypatch):
    """A model of more positions than a program of scheme R2 takes."""
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    llama2c.write(tmp_path / "long.bin", make_checkpoint(
        dim=32, hidden_dim=44, n_layers=1, n_heads=4, n_kv_heads=2, vocab_size=59, seq_len=4500))
    return open_model(tmp_path / "long.bin")


def test_the_machine_chooses_the_scheme(source):
    assert scheme_of(TINY) == R and scheme_of(WIDE) == R2
    assert integer_model(source, TINY).scheme == R
    assert integer_model(source, WIDE).scheme == R2
    assert integer_model(source, WIDE, "R").scheme == R


@pytest.mark.parametrize("name", [*SCHEMES])
def test_most_positions(name):
    """One more, and the exponentials are a bit narrower."""
    scheme = SCHEMES[name]
    most = scheme.positions_max
    assert scheme.fitted(positions=most, hidden_dim=1) == scheme
    assert (2**scheme.exp_bits - 1) * 127 * most < 2**31
    assert (2**scheme.exp_bits - 1) * 127 * (most + 1) >= 2**31


@pytest.mark.parametrize(("scheme", "machine"), [("R", TINY), ("R2", WIDE)])
def test_too_few_cores_are_told_before_the_work(scheme, machine, make_checkpoint, tmp_path,
                                                monkeypatch):
    """With the words of the mapper, which would say so once the model is quantised."""
    llama2c.write(tmp_path / "deep.bin", make_checkpoint(dim=32, hidden_dim=44, n_layers=9))
    deep = open_model(tmp_path / "deep.bin")
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    with pytest.raises(BlockError, match=r"12 cores.* takes \d+: \d+ too few") as later:
        map_model(machine, integer_model(deep, machine, scheme))
    monkeypatch.setattr(type(deep), "quantised", None)
    with pytest.raises(BlockError) as told:
        integer_model(deep, machine, scheme, placement="plain")
    assert str(told.value) == str(later.value)


def test_positions_are_those_that_a_program_takes(source, caplog):
    model = integer_model(source, WIDE)
    assert "sequences are of at most 4,129 positions in scheme R2, not 4,500" in caplog.text
    assert model.shape.seq_len == taken_positions(source, R2) == 4129
    assert map_model(WIDE, model).context
    assert integer_model(source, TINY).shape.seq_len == taken_positions(source, R) == 4500
