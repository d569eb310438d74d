"""Hugging Face checkpoints: the order of q and k rows, number formats, shards, refusals."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from ouroboros.sw.models import hf
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.special import SpecialTokens

CONFIG = {
    "model_type": "llama", "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 23,
    "max_position_embeddings": 24, "rms_norm_eps": 1e-5, "rope_theta": 500.0,
    "tie_word_embeddings": False, "bos_token_id": 3,
}


def random_tensors(config=CONFIG, seed=0):
    rng = np.random.default_rng(seed)
    dim, hidden = config["hidden_size"], config["intermediate_size"]
    kv = dim // config["num_attention_heads"] * config["num_key_value_heads"]
    sizes = {"model.embed_tokens.weight": (config["vocab_size"], dim), "model.norm.weight": (dim,),
             "lm_head.weight": (config["vocab_size"], dim)}
    for n in range(config["num_hidden_layers"]):
        at = f"model.layers.{n}."
        sizes |= {
            at + "input_layernorm.weight": (dim,),
            at + "post_attention_layernorm.weight": (dim,),
            at + "self_attn.q_proj.weight": (dim, dim), at + "self_attn.k_proj.weight": (kv, dim),
            at + "self_attn.v_proj.weight": (kv, dim), at + "self_attn.o_proj.weight": (dim, dim),
            at + "mlp.gate_proj.weight": (hidden, dim), at + "mlp.up_proj.weight": (hidden, dim),
            at + "mlp.down_proj.weight": (dim, hidden)}
    return {name: rng.standard_normal(size).astype(np.float32) * np.float32(0.5)
            for name, size in sizes.items()}


@pytest.fixture
def write_model(tmp_path):
    def write(tensors=None, **changes):
        tensors = random_tensors() if tensors is None else tensors
        config = {key: value for key, value in (CONFIG | changes).items() if value != "absent"}
        (tmp_path / "config.json").write_text(json.dumps(config))
        save_file(tensors, tmp_path / "model.safetensors")
        return tmp_path
    return write


def forward_half_split(tensors, config, tokens):
    """Logits by the half-split RoPE of Hugging Face, one token at a time, in float64."""
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    dim = config["hidden_size"]
    width = dim // heads
    weights = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    frequency = config["rope_theta"] ** (-np.arange(0, width, 2) / width)

    def norm(x, gain):
        return x / np.sqrt((x * x).mean() + config["rms_norm_eps"]) * gain

    def rope(x, position):
        angle = np.concatenate([frequency, frequency]) * position
        half = np.concatenate([-x[:, width // 2:], x[:, :width // 2]], axis=1)
        return x * np.cos(angle) + half * np.sin(angle)

    caches = [([], []) for _ in range(config["num_hidden_layers"])]
    logits = []
    for position, token in enumerate(tokens):
        x = weights["model.embed_tokens.weight"][token]
        for n, (keys, values) in enumerate(caches):
            at = {name.removeprefix(f"model.layers.{n}.").removesuffix(".weight"): w
                  for name, w in weights.items() if name.startswith(f"model.layers.{n}.")}
            h = norm(x, at["input_layernorm"])
            q = rope((at["self_attn.q_proj"] @ h).reshape(heads, width), position)
            keys.append(rope((at["self_attn.k_proj"] @ h).reshape(kv_heads, width), position))
            values.append((at["self_attn.v_proj"] @ h).reshape(kv_heads, width))
            out = []
            for head in range(heads):
                kv = head // (heads // kv_heads)
                score = np.array([q[head] @ k[kv] for k in keys]) / np.sqrt(width)
                p = np.exp(score - score.max())
                out.append((p / p.sum()) @ np.array([v[kv] for v in values]))
            x = x + at["self_attn.o_proj"] @ np.concatenate(out)
            h = norm(x, at["post_attention_layernorm"])
            gate = at["mlp.gate_proj"] @ h
            x = x + at["mlp.down_proj"] @ (gate / (1 + np.exp(-gate)) * (at["mlp.up_proj"] @ h))
        logits.append(weights["lm_head.weight"] @ norm(x, weights["model.norm.weight"]))
    return np.array(logits)


def test_logits_equal_half_split_rope(write_model):
    tensors = random_tensors()
    checkpoint = hf.read(write_model(tensors))
    tokens = np.random.default_rng(1).integers(0, 23, 12)
    expected = forward_half_split(tensors, CONFIG, tokens.tolist())
    got = FloatLlama(checkpoint).forward(tokens[None])[0]
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()
    assert checkpoint.special == SpecialTokens(bos_id=3, stop_ids=(2,))
    assert checkpoint.shape.rope_theta == 500.0


def test_interleave_rows():
    rows = np.arange(16, dtype=np.float32)[:, None]
    assert hf.interleave_rows(rows, 8)[:, 0].tolist() == [
        0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]


def test_half_precision_formats(write_model, tmp_path):
    tensors = random_tensors()
    folder = write_model({name: t.astype(np.float16) for name, t in tensors.items()})
    name = "model.layers.1.mlp.up_proj.weight"
    assert (hf.read(folder).layers[1].w3 == tensors[name].astype(np.float16)).all()

    # bfloat16: the upper half of a float32, which numpy cannot name.
    upper = {n: (t.view(np.uint32) >> 16).astype("<u2") for n, t in tensors.items()}
    header, offset = {}, 0
    for n, t in upper.items():
        header[n] = {"dtype": "BF16", "shape": t.shape, "data_offsets": [offset, offset + t.nbytes]}
        offset += t.nbytes
    coded = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(
        struct.pack("<Q", len(coded)) + coded + b"".join(t.tobytes() for t in upper.values()))
    expected = (upper[name].astype(np.uint32) << 16).view(np.float32)
    assert (hf.read(folder).layers[1].w3 == expected).all()


def test_shards_and_a_single_file_path(write_model, tmp_path):
    tensors = random_tensors()
    whole = hf.read(write_model(tensors))
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    assert (hf.read(tmp_path / "other.safetensors").head == whole.head).all()
    names = sorted(tensors)
    weight_map = {}
    for n, part in enumerate((names[:7], names[7:])):
        save_file({name: tensors[name] for name in part}, tmp_path / f"part-{n}.safetensors")
        weight_map |= dict.fromkeys(part, f"part-{n}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert (hf.read(tmp_path).layers[1].wk == whole.layers[1].wk).all()

    (tmp_path / "part-1.safetensors").unlink()
    with pytest.raises(CheckpointError) as caught:
        hf.read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'part-1.safetensors'}: cannot be read: No such file or directory")
    index.write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    with pytest.raises(CheckpointError) as caught:
        hf.read(tmp_path)
    assert str(caught.value) == (
        f"{index}: weight_map must name files of its own folder, not '../x.safetensors'")
    index.write_text("{}")
    with pytest.raises(CheckpointError) as caught:
        hf.read(tmp_path)
    assert str(caught.value) == f"{index}: key weight_map must hold the file of every tensor"


def test_tied_head(write_model):
    tensors = random_tensors()
    del tensors["lm_head.weight"]
    tied = hf.read(write_model(tensors, tie_word_embeddings=True))
    assert tied.tied
    assert tied.head is tied.embedding
    folder = write_model(tensors)
    with pytest.raises(CheckpointError) as caught:
        hf.read(folder)
    assert str(caught.value) == f"{folder}: tensor lm_head.weight must be present"


CONFIGS = [
    ({"model_type": "gpt2"}, "model_type must be one of llama, mistral, qwen2, not 'gpt2'"),
    ({"hidden_size": "absent"}, "key hidden_size must be present"),
    ({"hidden_size": 17}, "hidden_size must be a multiple of num_attention_heads = 2, not 17"),
    ({"hidden_size": "16"}, "hidden_size must be a whole number, not '16'"),
    ({"hidden_size": 16.0}, "hidden_size must be a whole number, not 16.0"),
    ({"num_hidden_layers": True}, "num_hidden_layers must be a whole number, not True"),
    ({"vocab_size": 0}, "vocab_size must be between 1 and 2147483647, not 0"),
    ({"max_position_embeddings": 10**12},
     "max_position_embeddings must be between 1 and 2147483647, not 1000000000000"),
    ({"num_key_value_heads": 3}, "num_key_value_heads must divide num_attention_heads = 2, not 3"),
    ({"num_key_value_heads": "1"}, "num_key_value_heads must be a whole number, not '1'"),
    ({"num_attention_heads": 16, "num_key_value_heads": 16},
     "hidden_size / num_attention_heads must be even for RoPE, not 1"),
    ({"rms_norm_eps": "1e-5"}, "rms_norm_eps must be a positive number, not '1e-5'"),
    ({"rms_norm_eps": 0}, "rms_norm_eps must be a positive number, not 0"),
    ({"head_dim": 4.0}, "head_dim must be a whole number, not 4.0"),
    ({"head_dim": 5}, "head_dim must be even for RoPE, not 5"),
    ({"hidden_act": "gelu"}, "hidden_act must be silu, not 'gelu'"),
    ({"attention_bias": True}, "attention_bias must be false"),
    ({"tie_word_embeddings": 1}, "tie_word_embeddings must be true or false, not 1"),
    ({"sliding_window": 8},
     "sliding_window must be null or at least max_position_embeddings = 24, not 8"),
]


@pytest.mark.parametrize(("changes", "message"), CONFIGS)
def test_refused_configs(changes, message, write_model):
    folder = write_model(**changes)
    with pytest.raises(CheckpointError) as caught:
        hf.read(folder)
    assert str(caught.value) == f"{folder / 'config.json'}: {message}"


def test_defaults_and_newer_keys(write_model):
    folder = write_model(num_key_value_heads=None, rope_theta="absent", rms_norm_eps="absent",
                         rope_parameters={"rope_theta": 7.0, "rope_type": "default"},
                         tensors=random_tensors(CONFIG | {"num_key_value_heads": 2}))
    shape = hf.read(folder).shape
    assert (shape.n_kv_heads, shape.rope_theta, shape.norm_eps) == (2, 7.0, 1e-6)


def test_refused_tensors(write_model, tmp_path):
    name = "model.layers.0.self_attn.q_proj.weight"
    bias = "model.layers.0.self_attn.q_proj.bias"
    good, file = random_tensors(), tmp_path / "model.safetensors"
    cases = [
        ({n: t for n, t in good.items() if n != name},
         f"{tmp_path}: tensor {name} must be present"),
        (good | {bias: np.zeros(16, np.float32)},
         f"{tmp_path}: tensor {bias} must not be present in a LLaMA-type model of 2 layers"),
        (good | {name: np.zeros((16, 16), np.int8)},
         f"{file}: tensor {name} must be of type F16, BF16 or F32, not I8"),
        (good | {name: np.zeros((15, 16), np.float32)},
         f"{tmp_path}: tensor {name} must have shape (16, 16), not (15, 16)"),
        (good | {name: np.full((16, 16), np.nan, np.float32)},
         f"{tmp_path}: tensor {name} holds NaN or infinity"),
    ]
    for tensors, message in cases:
        with pytest.raises(CheckpointError) as caught:
            hf.read(write_model(tensors))
        assert str(caught.value) == message


def test_stored_frequencies_must_be_those_of_the_config(write_model, tmp_path):
    name, good = "model.layers.0.self_attn.rotary_emb.inv_freq", random_tensors()
    right = (500.0 ** (-np.arange(4) / 4)).astype(np.float32)
    scaling = {"rope_type": "linear", "factor": 4.0}
    for stored, options in ((right, {}), (right.astype(np.float16), {}),
                            (right, {"rope_scaling": scaling}),
                            (right / 4, {"rope_scaling": scaling})):
        hf.read(write_model(good | {name: stored}, **options))
    for wrong in (np.zeros(4, np.float32), right[:3], right / 4,
                  (1e4 ** (-np.arange(4) / 4)).astype(np.float32)):
        with pytest.raises(CheckpointError) as caught:
            hf.read(write_model(good | {name: wrong}))
        assert str(caught.value) == (
            f"{tmp_path}: tensor {name} must hold the frequencies of rope_theta = 500 in "
            "config.json, not others")


def test_other_formats_are_named(write_model, tmp_path):
    folder = write_model()
    weights, config = folder / "model.safetensors", folder / "config.json"
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError) as caught:
        hf.read(folder)
    assert str(caught.value) == (f"{weights}: must be a safetensors file, not a pointer of Git "
                                 "LFS: fetch the file: git lfs pull")
    weights.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(CheckpointError) as caught:
        hf.read(folder)
    assert str(caught.value) == (f"{folder}: must hold model.safetensors, not pytorch_model.bin "
                                 "alone: save the model as safetensors")
    config.write_text("<!DOCTYPE html>")
    with pytest.raises(CheckpointError) as caught:
        hf.read(folder)
    assert str(caught.value) == (
        f"{config}: must be a JSON file, not a web page: download the file itself")


def test_config_with_a_byte_order_mark(write_model):
    folder = write_model()
    whole, config = hf.read(folder), folder / "config.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert hf.read(folder).digest == whole.digest


def test_corrupt_files(write_model, tmp_path):
    folder = write_model()
    file = folder / "model.safetensors"
    content = file.read_bytes()
    for broken in (content[:-3], b"\xff" * 40, b""):
        file.write_bytes(broken)
        with pytest.raises(CheckpointError, match="^" + str(file) + ": corrupt: "):
            hf.read(folder)
    config = folder / "config.json"
    config.write_text("{")
    with pytest.raises(CheckpointError, match="^" + str(config) + r": not JSON \("):
        hf.read(folder)
    config.write_text("[]")
    with pytest.raises(CheckpointError) as caught:
        hf.read(folder)
    assert str(caught.value) == f"{config}: must hold one JSON object, not []"
    config.unlink()
    with pytest.raises(CheckpointError) as caught:
        hf.read(folder)
    assert str(caught.value) == f"{config}: cannot be read: No such file or directory"
