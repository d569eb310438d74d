"""Small random models, and third-party data where a checkout has it beside it."""

from pathlib import Path

import numpy as np
import pytest

from sw.models.checkpoint import Checkpoint, Layer, Shape

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def make_checkpoint():
    """Factory of random checkpoints; keyword arguments change the shape."""
    def make(*, tied=True, seed=0, gain=1.0, **changes):
        dims = {"dim": 16, "hidden_dim": 20, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2,
                "vocab_size": 23, "seq_len": 24}
        shape = Shape(**(dims | changes))
        rng = np.random.default_rng(seed)

        def draw(*size):
            scale = gain / np.sqrt(size[-1])
            return (rng.standard_normal(size) * scale).astype(np.float32)

        layers = tuple(
            Layer(**{name: draw(*size) if len(size) == 2
                     else rng.uniform(0.5, 1.5, size).astype(np.float32)
                     for name, size in shape.layer_shapes().items()})
            for _ in range(shape.n_layers))
        embedding = draw(shape.vocab_size, shape.dim) * np.float32(np.sqrt(shape.dim))
        head = embedding if tied else draw(shape.vocab_size, shape.dim)
        return Checkpoint(
            shape=shape, embedding=embedding, layers=layers, head=head, tied=tied,
            final_norm=rng.uniform(0.5, 1.5, shape.dim).astype(np.float32))

    return make


@pytest.fixture
def shared_file():
    """Path of a third-party file; the test is skipped where it is absent."""
    def find(name):
        path = DATA / name
        if not path.exists():
            pytest.skip(f"third-party file {name} is not beside this checkout")
        return path

    return find
