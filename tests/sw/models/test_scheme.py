"""The fields of a scheme, and the widths at which no int32 sum wraps."""

from dataclasses import replace

import pytest

from ouroboros.sw.models.scheme import R2, Gate, R, Scheme, SchemeError


def test_names_say_what_differs():
    assert (R.name, R2.name) == ("R", "R2")
    assert replace(R2, exp_bits=11).name == "R2 exp_bits=11"
    assert replace(R, residual_bits=24).name == "R2 exp_bits=7 f_bits=8 gate=table"


def test_operands_are_narrowed_until_no_sum_can_wrap():
    assert R2.fitted(positions=4129, hidden_dim=8260) == R2
    assert R2.fitted(positions=4130, hidden_dim=8260) == replace(R2, exp_bits=11)
    assert R2.fitted(positions=4129, hidden_dim=8261) == replace(R2, f_bits=11)
    assert R2.fitted(positions=1 << 17, hidden_dim=133_144) == replace(R2, exp_bits=7, f_bits=8)
    assert R.fitted(positions=1 << 17, hidden_dim=100) == R
    for positions, hidden in ((5000, 9000), (20_000, 20_000), (70_000, 100_000)):
        found = R2.fitted(positions=positions, hidden_dim=hidden)
        for most, count in ((2**found.exp_bits - 1, positions), (found.f_max, hidden)):
            assert most * 127 * count < 2**31 <= (2 * most + 1) * 127 * count
    for name in ("positions", "hidden_dim"):
        with pytest.raises(SchemeError) as caught:
            R2.fitted(**{"positions": 1, "hidden_dim": 1, name: 133_145})
        field = "seq_len" if name == "positions" else name
        assert str(caught.value) == (
            f"{field} must be at most 133144, or an int32 sum could wrap, not 133145")


def test_limits():
    assert R.residual_limits == (-32768, 32767)
    assert R2.residual_limits == (1 - 2**23, 2**23 - 1)
    assert (R.f_max, R2.f_max) == (127, 2047)
    assert (R.exponent_max, R2.exponent_max, replace(R2, f_bits=8).exponent_max) == (0, 20, 24)


def test_refusals():
    cases = [
        ({"residual_bits": 32}, "residual_bits must be one of ['16', '24'], not 32"),
        ({"exp_bits": 13}, "exp_bits must be one of ['7', '8', '9', '10', '11', '12'], not 13"),
        ({"f_bits": 7}, "f_bits must be one of ['8', '9', '10', '11', '12'], not 7"),
        ({"gate": "relu"}, "gate must be one of ['table', 'sigmoid'], not 'relu'"),
        ({"gate": Gate.TABLE}, "f_bits must be 8 where the gate is a table, not 12"),
    ]
    for changes, message in cases:
        with pytest.raises(SchemeError) as caught:
            replace(R2, **changes)
        assert str(caught.value) == message
    assert Scheme(residual_bits=24, exp_bits=12, f_bits=12, gate=Gate.SIGMOID) == R2
