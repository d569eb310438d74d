import numpy as np
import pytest

from ouroboros.sw.program.vectors import pack_vector, unpack_vector


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("flit_bits", [128, 256])
def test_vectors_fill_flits_from_the_low_end(bits, flit_bits):
    values = np.random.default_rng(bits).integers(-1 << bits - 1, 1 << bits - 1, 37)
    flits = pack_vector(values, bits, flit_bits)
    assert len(flits) == -(-37 * bits // flit_bits)
    assert flits[0] & (1 << bits) - 1 == int(values[0]) % (1 << bits)
    assert (unpack_vector(flits, bits, 37, flit_bits) == values).all()


@pytest.mark.parametrize("values, bits, message", [
    ([1, 128], 8, "value must fit 8 bits, not 128"),
    ([-32769], 16, "value must fit 16 bits, not -32769"),
    ([1], 12, r"element bits must be one of \(8, 16, 32\), not 12"),
    ([[1]], 8, r"values must be a vector, not of shape \(1, 1\)"),
])
def test_vectors_refused(values, bits, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        pack_vector(values, bits, 128)
