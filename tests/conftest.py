"""Small random models, third-party data where it lies beside the checkout, simulators found."""

import os
from pathlib import Path

import numpy as np
import pytest

from ouroboros.sw.models.checkpoint import Checkpoint, Layer, Shape
from ouroboros.tb.flow.toolchain import SIMULATORS, ToolError, find

# Two BLAS threads are slower than one on small matrices, and the test runner has its own workers.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_report_header() -> list[str]:
    """Which simulators the tests will use; a missing one fails the tests that need it."""
    lines = []
    for name in SIMULATORS:
        try:
            lines.append(f"{name}: {find(name).version}")
        except ToolError as error:
            lines.append(f"{name}: {error}")
    return lines


DATA = Path(__file__).parents[2] / "shared" / "data"


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
