"""Angles of RoPE against formulas written another way."""

import math

import numpy as np
import pytest

from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.rope import LinearScaling, Llama3Scaling, frequencies
from ouroboros.sw.quantise.quantise import quantise

LLAMA31 = Llama3Scaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                        original_positions=8192)


def apply_scaling(frequency, scale, low, high, old_context):
    """``apply_scaling`` of the Llama 3.1 reference code, by wavelengths, for one frequency."""
    wavelength = 2 * math.pi / frequency
    if wavelength < old_context / high:
        return frequency
    if wavelength > old_context / low:
        return frequency / scale
    smooth = (old_context / wavelength - low) / (high - low)
    return (1 - smooth) * frequency / scale + smooth * frequency


@pytest.mark.parametrize(("theta", "head_dim", "factor", "low", "high", "old"), [
    (5e5, 128, 8.0, 1.0, 4.0, 8192), (5e5, 64, 32.0, 1.0, 4.0, 8192), (1e4, 16, 4.0, 1.0, 4.0, 64)])
def test_llama3_scaling(theta, head_dim, factor, low, high, old):
    plain = [theta ** (-2 * n / head_dim) for n in range(head_dim // 2)]
    expected = [apply_scaling(each, factor, low, high, old) for each in plain]
    scaling = Llama3Scaling(factor=factor, low_freq_factor=low, high_freq_factor=high,
                            original_positions=old)
    found = frequencies(theta, head_dim, scaling)
    assert found == pytest.approx(expected, rel=1e-12)
    # All three kinds of pairs are in it.
    assert found[0] == plain[0]
    assert found[-1] == pytest.approx(plain[-1] / factor, rel=1e-12)
    assert any(p / factor * 1.001 < f < p * 0.999 for p, f in zip(plain, found, strict=True))


def test_linear_scaling_divides_positions():
    found = frequencies(1e4, 8, LinearScaling(factor=4.0))
    assert found == pytest.approx([1 / 4, 0.1 / 4, 0.01 / 4, 0.001 / 4])


def test_both_models_turn_by_scaled_angles(make_checkpoint):
    plain = make_checkpoint(dim=64)
    scaled = make_checkpoint(dim=64, rope_scaling=LinearScaling(factor=4.0))
    # Every fourth row of the scaled table is a row of the plain one.
    rope = quantise(scaled, np.arange(20)).rope
    assert (rope[::4] == quantise(plain, np.arange(20)).rope[:6]).all()
    floats, expected = FloatLlama(scaled), FloatLlama(plain)
    cos, sin = floats._rope_rows(np.array([12]))
    assert (cos, sin) == (pytest.approx(expected._rope_rows(np.array([3]))[0]),
                          pytest.approx(expected._rope_rows(np.array([3]))[1]))
