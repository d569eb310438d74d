"""Reader of Hugging Face LLaMA-type checkpoints: ``config.json`` and ``.safetensors`` files.

Hugging Face stores the rows of q and k for the half-split form of RoPE, where element i of a head
turns with element i + head_dim / 2. This project, like llama2.c, turns neighbours, 2i with 2i + 1:
the reader puts the rows into that order, which changes no score.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from ouroboros.sw.lib.json_file import read_object
from ouroboros.sw.lib.read import raw, refuse_foreign
from ouroboros.sw.models import hf_config, rope
from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError, FloatArray, Layer
from ouroboros.sw.models.decoder_shape import DecoderShape

__all__ = ["interleave_rows", "read"]

_LAYER_TENSORS = {
    "norm1": "input_layernorm.weight",
    "wq": "self_attn.q_proj.weight",
    "wk": "self_attn.k_proj.weight",
    "wv": "self_attn.v_proj.weight",
    "wo": "self_attn.o_proj.weight",
    "norm2": "post_attention_layernorm.weight",
    "w1": "mlp.gate_proj.weight",
    "w2": "mlp.down_proj.weight",
    "w3": "mlp.up_proj.weight",
}
_BIASES = {
    "bq": "self_attn.q_proj.bias",
    "bk": "self_attn.k_proj.bias",
    "bv": "self_attn.v_proj.bias",
}
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
    config = read_object(config_path, CheckpointError)
    shape = hf_config.shape(config_path, config)
    special = hf_config.special_tokens(folder, config, shape.vocab_size)
    tied = hf_config.flag(config_path, config, "tie_word_embeddings")
    tensors = _read_tensors(_weight_files(path))

    def take(name: str) -> FloatArray:
        if name not in tensors:
            raise CheckpointError(f"{path}: tensor {name} must be present")
        return tensors.pop(name)

    embedding = take("model.embed_tokens.weight")
    wanted = _LAYER_TENSORS | (_BIASES if hf_config.biased(config) else {})
    sizes = shape.layer_shapes() | shape.bias_shapes()
    layers = []
    for n in range(shape.n_layers):
        arrays = {name: take(f"model.layers.{n}.{label}") for name, label in wanted.items()}
        for name in {"wq", "wk", "bq", "bk"} & arrays.keys():
            if arrays[name].shape == sizes[name]:
                arrays[name] = interleave_rows(arrays[name], shape.head_dim)
        layers.append(Layer(**arrays))
    final_norm = take("model.norm.weight")
    stored_head = tensors.pop("lm_head.weight", None)
    if stored_head is None and not tied:
        raise CheckpointError(f"{path}: tensor lm_head.weight must be present")
    for name in [name for name in tensors if name.endswith("rotary_emb.inv_freq")]:
        _check_frequencies(f"{path}: tensor {name}", tensors.pop(name), shape)
    if tensors:
        raise CheckpointError(f"{path}: tensor {min(tensors)} must not be present in a LLaMA-type "
                              f"model of {shape.n_layers} layers")
    return Checkpoint(
        shape=shape, embedding=embedding, layers=tuple(layers), final_norm=final_norm,
        head=embedding if tied or stored_head is None else stored_head, tied=tied,
        special=special, labels=hf_config.KEYS | _labels(shape, tied), name=str(path))


def _labels(shape: DecoderShape, tied: bool) -> dict[str, str]:
    """Names of all tensors in the file."""
    named = {f"layers.{n}.{name}": f"model.layers.{n}.{label}"
             for n in range(shape.n_layers)
             for name, label in (_LAYER_TENSORS | _BIASES).items()}
    embedding = "model.embed_tokens.weight"
    return named | {"embedding": embedding, "final_norm": "model.norm.weight",
                    "head": embedding if tied else "lm_head.weight"}


def _check_frequencies(where: str, found: FloatArray, shape: DecoderShape) -> None:
    """Some files keep inverse frequencies, of which nothing is read: they must be the config's."""
    plain = rope.frequencies(shape.rope_theta, shape.head_dim)
    # Kept as half precision by some, and before linear scaling by others.
    if not any(found.shape == each.shape and np.allclose(found, each, rtol=2**-7, atol=1e-7)
               for each in (shape.rope_frequencies, plain)):
        raise CheckpointError(f"{where} must hold the frequencies of rope_theta = "
                              f"{shape.rope_theta:g} in config.json, not others")


def interleave_rows(weights: FloatArray, head_dim: int) -> FloatArray:
    """Rows (heads * head_dim, ...) of half-split RoPE in the order of interleaved RoPE."""
    halves = weights.reshape(-1, 2, head_dim // 2, *weights.shape[1:])
    rows: FloatArray = np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weights.shape)
    return rows


def _weight_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    single, index = path / "model.safetensors", path / "model.safetensors.index.json"
    if not single.exists() and not index.exists():
        others = sorted(file.name for pattern in ("pytorch_model*", "*.pth", "*.pt", "*.gguf")
                        for file in path.glob(pattern))
        if others:
            raise CheckpointError(f"{path}: must hold model.safetensors, not {others[0]} alone: "
                                  "save the model as safetensors")
    if single.exists() or not index.exists():
        return [single]
    shards = read_object(index, CheckpointError).get("weight_map")
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
        content = raw(file, CheckpointError)
        refuse_foreign(file, content, "a safetensors file", CheckpointError,
                       ("a safetensors file",))
        try:
            entries = _deserialize(content)
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
