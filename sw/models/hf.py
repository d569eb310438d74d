"""Reader of Hugging Face LLaMA-type checkpoints: ``config.json`` and ``.safetensors`` files.

Hugging Face stores the rows of q and k for the half-split form of RoPE, where element i of a head
turns with element i + head_dim / 2. This project, like llama2.c, turns neighbours, 2i with 2i + 1:
the reader puts the rows into that order, which changes no score.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError, FloatArray, Layer, Shape

__all__ = ["interleave_rows", "read"]

_KEYS = {
    "dim": "hidden_size",
    "hidden_dim": "intermediate_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "vocab_size": "vocab_size",
    "seq_len": "max_position_embeddings",
}
_LAYER_TENSORS = {
    "norm1": "input_layernorm",
    "wq": "self_attn.q_proj",
    "wk": "self_attn.k_proj",
    "wv": "self_attn.v_proj",
    "wo": "self_attn.o_proj",
    "norm2": "post_attention_layernorm",
    "w1": "mlp.gate_proj",
    "w2": "mlp.down_proj",
    "w3": "mlp.up_proj",
}
_MODEL_TYPES = ("llama", "mistral")
# The library has no types. Its numpy interface would refuse bfloat16, which numpy does not have.
_deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize


def read(path: Path) -> Checkpoint:
    """Read a checkpoint directory, or one ``.safetensors`` file with its config.json beside it.

    Raises
    ------
    CheckpointError
        If a file, key or tensor is missing or corrupt, or the model is not LLaMA-type.
    """
    folder = path if path.is_dir() else path.parent
    config_path = folder / "config.json"
    config = _read_json(config_path)
    shape = _shape(config_path, config)
    tensors = _read_tensors(_weight_files(path))
    tied = _flag(config_path, config, "tie_word_embeddings")

    def take(name: str) -> FloatArray:
        if name not in tensors:
            raise CheckpointError(f"{path}: tensor {name} must be present")
        return tensors.pop(name)

    embedding = take("model.embed_tokens.weight")
    layers = []
    for n in range(shape.n_layers):
        arrays = {name: take(f"model.layers.{n}.{label}.weight")
                  for name, label in _LAYER_TENSORS.items()}
        for name in ("wq", "wk"):
            if arrays[name].shape == shape.layer_shapes()[name]:
                arrays[name] = interleave_rows(arrays[name], shape.head_dim)
        layers.append(Layer(**arrays))
    final_norm = take("model.norm.weight")
    stored_head = tensors.pop("lm_head.weight", None)
    if stored_head is None and not tied:
        raise CheckpointError(f"{path}: tensor lm_head.weight must be present")
    # Some files keep inverse frequencies, which follow from rope_theta.
    extra = sorted(name for name in tensors if not name.endswith("rotary_emb.inv_freq"))
    if extra:
        raise CheckpointError(f"{path}: tensor {extra[0]} must not be present in a LLaMA-type "
                              f"model of {shape.n_layers} layers")
    return Checkpoint(
        shape=shape, embedding=embedding, layers=tuple(layers), final_norm=final_norm,
        head=embedding if tied or stored_head is None else stored_head, tied=tied,
        bos_id=_bos_id(config_path, config, shape), name=str(path))


def interleave_rows(weights: FloatArray, head_dim: int) -> FloatArray:
    """Rows (heads * head_dim, k) of half-split RoPE in the order of interleaved RoPE."""
    halves = weights.reshape(-1, 2, head_dim // 2, weights.shape[-1])
    rows: FloatArray = np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weights.shape)
    return rows


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: corrupt: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: corrupt: must hold an object")
    return content


def _shape(path: Path, config: dict[str, Any]) -> Shape:
    if config.get("model_type") not in _MODEL_TYPES:
        raise CheckpointError(f"{path}: model_type must be one of {', '.join(_MODEL_TYPES)}, "
                              f"not {config.get('model_type')!r}")
    dims = {}
    for name, key in _KEYS.items():
        if key not in config:
            raise CheckpointError(f"{path}: key {key} must be present")
        dims[name] = config[key]
    # Absent or null means plain multi-head attention.
    kv_heads = config.get("num_key_value_heads")
    dims["n_kv_heads"] = dims["n_heads"] if kv_heads is None else kv_heads
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, dict) else rope
    if kind != "default":
        raise CheckpointError(f"{path}: rope_scaling must be absent or default, not {kind!r}")
    if config.get("hidden_act", "silu") != "silu":
        raise CheckpointError(f"{path}: hidden_act must be silu, not {config['hidden_act']!r}")
    for key in ("attention_bias", "mlp_bias"):
        if _flag(path, config, key):
            raise CheckpointError(f"{path}: {key} must be false")
    theta = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    try:
        shape = Shape(**dims, norm_eps=config.get("rms_norm_eps", 1e-6), rope_theta=theta)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if config.get("head_dim") not in (None, shape.head_dim):
        raise CheckpointError(f"{path}: head_dim must be hidden_size / num_attention_heads = "
                              f"{shape.head_dim}, not {config['head_dim']!r}")
    window = config.get("sliding_window")
    if window is not None and (type(window) is not int or window < shape.seq_len):
        raise CheckpointError(f"{path}: sliding_window must be null or at least "
                              f"max_position_embeddings = {shape.seq_len}, not {window!r}")
    return shape


def _flag(path: Path, config: dict[str, Any], key: str) -> bool:
    value = config.get(key, False)
    if type(value) is not bool:
        raise CheckpointError(f"{path}: {key} must be true or false, not {value!r}")
    return value


def _bos_id(path: Path, config: dict[str, Any], shape: Shape) -> int:
    value = config.get("bos_token_id")
    if value is None:
        return min(1, shape.vocab_size - 1)
    if type(value) is not int or not 0 <= value < shape.vocab_size:
        raise CheckpointError(f"{path}: bos_token_id must be between 0 and "
                              f"{shape.vocab_size - 1}, not {value!r}")
    return value


def _weight_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    single, index = path / "model.safetensors", path / "model.safetensors.index.json"
    if single.exists() or not index.exists():
        return [single]
    shards = _read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise CheckpointError(f"{index}: key weight_map must hold the file of every tensor")
    names = sorted({str(name) for name in shards.values()})
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(f"{index}: weight_map must name files of its own folder, "
                                  f"not {name!r}")
    return [path / name for name in names]


def _read_tensors(files: list[Path]) -> dict[str, FloatArray]:
    tensors: dict[str, FloatArray] = {}
    for file in files:
        try:
            entries = _deserialize(file.read_bytes())
        except OSError as error:
            raise CheckpointError(f"{file}: cannot be read: {error.strerror}") from error
        except safetensors.SafetensorError as error:
            raise CheckpointError(f"{file}: corrupt: {error}") from error
        for name, entry in entries:
            if name in tensors:
                raise CheckpointError(f"{file}: tensor {name} must be in one file only")
            tensors[name] = _floats(file, name, entry)
    return tensors


def _floats(file: Path, name: str, entry: dict[str, Any]) -> FloatArray:
    content, kind = entry["data"], entry["dtype"]
    if kind == "BF16":
        # The upper half of a float32.
        wide = np.frombuffer(content, "<u2").astype(np.uint32) << 16
        values: FloatArray = wide.view(np.float32)
    elif kind in ("F16", "F32"):
        values = np.frombuffer(content, "<f2" if kind == "F16" else "<f4").astype(np.float32)
    else:
        raise CheckpointError(
            f"{file}: tensor {name} must be of type F16, BF16 or F32, not {kind}")
    return values.reshape(entry["shape"])
