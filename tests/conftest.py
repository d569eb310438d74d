"""Small random models, third-party data where it lies beside the checkout, simulators found."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ouroboros.sw.api.fetch import FetchError, FetchOptions, fetch
from ouroboros.sw.models.checkpoint import Checkpoint, Layer
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.special import LLAMA2C
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


SHARED = Path(__file__).parents[2] / "shared"
DATA, CASES = SHARED / "data", SHARED / "cases"


@pytest.fixture(autouse=True)
def _ctrl_c():
    """Ctrl-C as in a terminal: a shell's background job ignores it, and so would the tests' own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def make_checkpoint():
    """Factory of random checkpoints; keyword arguments change the shape."""
    def make(*, tied=True, seed=0, gain=1.0, special=LLAMA2C, **changes):
        dims = {"dim": 16, "hidden_dim": 20, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2,
                "vocab_size": 23, "seq_len": 24}
        shape = DecoderShape(**(dims | changes))
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
            shape=shape, embedding=embedding, layers=layers, head=head, tied=tied, special=special,
            final_norm=rng.uniform(0.5, 1.5, shape.dim).astype(np.float32))

    return make


HF_LAYER = {
    "norm1": "input_layernorm", "norm2": "post_attention_layernorm", "wq": "self_attn.q_proj",
    "wk": "self_attn.k_proj", "wv": "self_attn.v_proj", "wo": "self_attn.o_proj",
    "w1": "mlp.gate_proj", "w2": "mlp.down_proj", "w3": "mlp.up_proj"}


@pytest.fixture
def write_hf():
    """Writer of a checkpoint as a Hugging Face folder; keyword arguments change config.json.

    A key of None becomes null, one of "absent" is left out.
    """
    def write(folder, checkpoint, *, file="model.safetensors", **changes):
        shape = checkpoint.shape
        config = {
            "model_type": "llama", "hidden_size": shape.dim, "intermediate_size": shape.hidden_dim,
            "num_hidden_layers": shape.n_layers, "num_attention_heads": shape.n_heads,
            "num_key_value_heads": shape.n_kv_heads, "vocab_size": shape.vocab_size,
            "max_position_embeddings": shape.seq_len, "rms_norm_eps": shape.norm_eps,
            "rope_theta": shape.rope_theta, "bos_token_id": 1, "eos_token_id": 2} | changes

        def halves(rows):
            pairs = rows.reshape(-1, shape.head_dim // 2, 2, rows.shape[-1])
            return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows.shape)

        tensors = {"model.embed_tokens.weight": checkpoint.embedding,
                   "model.norm.weight": checkpoint.final_norm,
                   "lm_head.weight": checkpoint.head.copy()}
        for n, layer in enumerate(checkpoint.layers):
            for name, label in HF_LAYER.items():
                weights = getattr(layer, name)
                tensors[f"model.layers.{n}.{label}.weight"] = (
                    halves(weights) if name in ("wq", "wk") else weights)
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(
            {key: value for key, value in config.items() if value != "absent"}))
        save_file(tensors, folder / file)
        return folder

    return write


def _beside(folder, what):
    """Finds paths in a folder beside this checkout; a test is skipped where one is absent."""
    def find(name):
        path = folder / name
        if not path.exists():
            pytest.skip(f"{what.format(name)} is not beside this checkout")
        return path

    return find


@pytest.fixture
def case():
    """Path in the inputs of public bug reports; the test is skipped where they are absent."""
    return _beside(CASES, "input {} of a public bug report")


@pytest.fixture(scope="session")
def smollm2():
    """Path of the published checkpoint smollm2, fetched once; skipped where it cannot be."""
    try:
        return fetch(FetchOptions(checkpoint="smollm2")).published.path
    except FetchError as error:
        pytest.skip(f"checkpoint smollm2 cannot be fetched: {error}")


@pytest.fixture
def shared_file():
    """Path of a third-party file; the test is skipped where it is absent."""
    return _beside(DATA, "third-party file {}")
