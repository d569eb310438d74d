"""Reader of GGUF checkpoints: LLaMA-type models in any of ggml's quantisation types.

What was quantised is turned into float32 again: the machine has a quantisation of its own. The rows
of q and k lie in the order of interleaved RoPE, which is also this project's.

Ref: ggml, docs/gguf.md; llama.cpp, src/llama-arch.cpp and src/llama-model.cpp, for the keys.
"""

import math
import mmap
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from ouroboros.sw.models import gguf_header
from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError, FloatArray, Layer
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.gguf_header import Header, Tensor
from ouroboros.sw.models.rope import LinearScaling, PairScaling, Scaling
from ouroboros.sw.models.special import SpecialTokens

__all__ = ["ARCHITECTURES", "checkpoint", "read", "special_tokens"]

ARCHITECTURES = ("llama",)
"""Of GGUF files that are read."""
_KEYS = {
    "dim": "llama.embedding_length",
    "hidden_dim": "llama.feed_forward_length",
    "n_layers": "llama.block_count",
    "n_heads": "llama.attention.head_count",
    "n_kv_heads": "llama.attention.head_count_kv",
    "head_dim": "llama.attention.key_length",
    "seq_len": "llama.context_length",
    "norm_eps": "llama.attention.layer_norm_rms_epsilon",
    "rope_theta": "llama.rope.freq_base",
    "vocab_size": "llama.vocab_size",
}
"""Dimensions and their keys."""
_OTHER_KEYS = {
    "llama.attention.value_length", "llama.rope.dimension_count", "llama.rope.scaling.type",
    "llama.rope.scaling.factor", "llama.rope.scaling.original_context_length",
    "llama.rope.scaling.finetuned", "llama.rope.scale_linear", "llama.tensor_data_layout",
    "llama.expert_count", "llama.expert_used_count"}
"""Keys that are looked at or change nothing; any other would change the model's arithmetic."""
_TENSORS = {
    "norm1": "attn_norm.weight", "wq": "attn_q.weight", "wk": "attn_k.weight",
    "wv": "attn_v.weight", "wo": "attn_output.weight", "norm2": "ffn_norm.weight",
    "w1": "ffn_gate.weight", "w2": "ffn_down.weight", "w3": "ffn_up.weight",
    "bq": "attn_q.bias", "bk": "attn_k.bias", "bv": "attn_v.bias",
}
"""Arrays of a layer and what the file calls them after ``blk.N.``; biases may be absent."""
_EMBEDDING, _NORM, _HEAD, _PAIRS = (
    "token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight")
_STOPS = ("eos", "eot", "eom")
_MISSING_BOS: dict[str, int | None] = {"llama": 1}
_MISSING_EOS: dict[str, int | None] = {"llama": 2}


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated or corrupt, a key or tensor is missing or wrong, or the
        architecture or the type of a tensor is not supported.
    """
    return checkpoint(gguf_header.read(path))


def checkpoint(header: Header) -> Checkpoint:
    """The checkpoint of a header, as ``read``."""
    path = header.path
    shape = _shape(header)
    tensors = dict(header.tensors)
    tensors.pop(_PAIRS, None)           # part of the shape
    try:
        with path.open("rb") as file, \
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:

            def take(name: str, expected: tuple[int, ...]) -> FloatArray:
                if name not in tensors:
                    raise CheckpointError(f"{path}: tensor {name} must be present")
                return _floats(header, content, tensors.pop(name), expected)

            table = (shape.vocab_size, shape.dim)
            embedding = take(_EMBEDDING, table)
            sizes = shape.layer_shapes() | shape.bias_shapes()
            layers = []
            for n in range(shape.n_layers):
                names = {name: f"blk.{n}.{label}" for name, label in _TENSORS.items()}
                layers.append(Layer(**{
                    name: take(label, sizes[name]) for name, label in names.items()
                    if label in tensors or name not in shape.bias_shapes()}))
            final_norm = take(_NORM, (shape.dim,))
            tied = _HEAD not in tensors
            head = embedding if tied else take(_HEAD, table)
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read: {fault.strerror}") from fault
    if tensors:
        raise CheckpointError(f"{path}: tensor {min(tensors)} must not be present in a LLaMA-type "
                              f"model of {shape.n_layers} layers")
    return Checkpoint(
        shape=shape, embedding=embedding, layers=tuple(layers), final_norm=final_norm, head=head,
        tied=tied, special=special_tokens(header, shape.vocab_size),
        labels=_KEYS | _labels(shape, tied), name=str(path))


def special_tokens(header: Header, vocab_size: int) -> SpecialTokens:
    """Tokens that begin and end a text, as the file's tokenizer keys say."""
    kind = header.values.get("tokenizer.ggml.model", "llama")

    def find(name: str, default: int | None) -> int | None:
        key = f"tokenizer.ggml.{name}_token_id"
        token: int | None = header.get(key, int, -1 if default is None else default)
        if key in header.values and not 0 <= (token or 0) < vocab_size:
            raise CheckpointError(f"{header.path}: {key} must be between 0 and {vocab_size - 1}, "
                                  f"not {token}")
        return token if token is not None and 0 <= token < vocab_size else None

    # llama.cpp begins texts of these with BOS if the file does not say.
    begins = header.get("tokenizer.ggml.add_bos_token", bool,
                        kind == "llama" or header.values.get("tokenizer.ggml.pre") in LLAMA3)
    if header.get("tokenizer.ggml.add_eos_token", bool, False):
        raise CheckpointError(f"{header.path}: tokenizer.ggml.add_eos_token must be false: nothing "
                              "follows a text that has ended")
    stops = [find(name, _MISSING_EOS.get(kind) if name == "eos" else None) for name in _STOPS]
    return SpecialTokens(
        bos_id=find("bos", _MISSING_BOS.get(kind)) if begins else None,
        stop_ids=tuple(dict.fromkeys(token for token in stops if token is not None)))


LLAMA3 = ("llama-bpe", "llama3", "llama-v3")
"""Names of one pre-tokeniser."""


def _shape(header: Header) -> DecoderShape:
    path = header.path
    found = header.get("general.architecture", str)
    if found not in ARCHITECTURES:
        raise CheckpointError(f"{path}: general.architecture must be one of "
                              f"{', '.join(ARCHITECTURES)}, not {found!r}")
    if header.get("split.count", int, 1) > 1:
        raise CheckpointError(f"{path}: split.count must be 1, not {header.values['split.count']}: "
                              "merge the parts into one file (gguf-split --merge)")
    known = {*_KEYS.values(), *_OTHER_KEYS}
    for key, value in header.values.items():
        if key.startswith("llama.") and key not in known:
            raise CheckpointError(f"{path}: {key} must be absent, as it is not supported, "
                                  f"not {str(value)[:40]}")
    if header.get("llama.expert_count", int, 0):
        raise CheckpointError(f"{path}: llama.expert_count must be 0: mixtures of experts are not "
                              "supported")
    dims: dict[str, Any] = {name: header.whole(_KEYS[name]) for name in (
        "dim", "hidden_dim", "n_layers", "n_heads", "seq_len")}
    dims["n_kv_heads"] = header.whole(_KEYS["n_kv_heads"], dims["n_heads"])
    dims["head_dim"] = header.whole(_KEYS["head_dim"], max(dims["dim"] // dims["n_heads"], 1))
    dims["vocab_size"] = _vocab_size(header)
    for key in ("llama.attention.value_length", "llama.rope.dimension_count"):
        if header.whole(key, dims["head_dim"]) != dims["head_dim"]:
            raise CheckpointError(f"{path}: {key} must be the {dims['head_dim']} channels of a "
                                  f"head, not {header.values[key]}")
    _check_room(header, dims)
    try:
        shape = DecoderShape(**dims, norm_eps=header.positive(_KEYS["norm_eps"]),
                             rope_theta=header.positive(_KEYS["rope_theta"], 10000.0))
        return DecoderShape.from_record(shape.record() | {"rope_scaling": _scaling(header, shape)})
    except CheckpointError as error:
        text = str(error)
        raise CheckpointError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _vocab_size(header: Header) -> int:
    """Rows of the embedding; other statements of them must say the same."""
    if _EMBEDDING not in header.tensors:
        raise CheckpointError(f"{header.path}: tensor {_EMBEDDING} must be present")
    rows = header.tensors[_EMBEDDING].shape[0]
    if header.whole(_KEYS["vocab_size"], rows) != rows:
        raise CheckpointError(f"{header.path}: {_KEYS['vocab_size']} must be the {rows} rows of "
                              f"{_EMBEDDING}, not {header.values[_KEYS['vocab_size']]}")
    return rows


def _check_room(header: Header, dims: dict[str, Any]) -> None:
    """Refuse a shape whose layers the file does not have before anything is made by their number.

    Without this a few bytes of a header would ask for a table of 2**31 layers.
    """
    if dims["n_layers"] > len(header.tensors):
        raise CheckpointError(f"{header.path}: {_KEYS['n_layers']} must be at most the number of "
                              f"tensors, {len(header.tensors)}, not {dims['n_layers']}")


def _scaling(header: Header, shape: DecoderShape) -> dict[str, Any] | None:
    """How RoPE is scaled: by the keys, or pair by pair by a tensor."""
    path, kind = header.path, header.get("llama.rope.scaling.type", str, "none")
    scaling: Scaling | None = None
    if kind == "linear":
        factor = header.positive("llama.rope.scaling.factor")
        scaling = LinearScaling(factor=factor)
    elif kind != "none":
        raise CheckpointError(f"{path}: llama.rope.scaling.type must be none or linear, "
                              f"not {kind!r}")
    elif header.positive("llama.rope.scaling.factor",
                         header.positive("llama.rope.scale_linear", 1.0)) != 1:
        # Older files have the factor alone, which means linear.
        scaling = LinearScaling(factor=header.positive(
            "llama.rope.scaling.factor", header.values.get("llama.rope.scale_linear")))
    if _PAIRS in header.tensors:
        if scaling is not None:
            raise CheckpointError(f"{path}: tensor {_PAIRS} must not be present beside "
                                  "llama.rope.scaling")
        with path.open("rb") as file, \
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            factors = _floats(header, content, header.tensors[_PAIRS], (shape.head_dim // 2,))
        if not (np.isfinite(factors) & (factors > 0)).all():
            raise CheckpointError(f"{path}: tensor {_PAIRS} must hold positive numbers")
        scaling = PairScaling(factors=tuple(factors.tolist()))
    if scaling is None:
        return None
    return {"factor": scaling.factor} if isinstance(scaling, LinearScaling) else {
        "factors": list(scaling.factors)}


def _floats(header: Header, content: mmap.mmap, tensor: Tensor,
            expected: tuple[int, ...]) -> FloatArray:
    """Contents of a tensor as float32."""
    where = f"{header.path}: tensor {tensor.name}"
    if tensor.shape != expected:
        raise CheckpointError(f"{where} must have shape {expected}, not {tensor.shape}")
    try:
        kind = gguf.GGMLQuantizationType(tensor.kind)
    except ValueError:
        raise CheckpointError(f"{where} must be of a type that is supported ({_types()}), "
                              f"not of number {tensor.kind}") from None
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    if tensor.shape[-1] % block:
        raise CheckpointError(f"{where} must have rows of a multiple of {block} for type "
                              f"{kind.name}, not {tensor.shape[-1]}")
    row = tensor.shape[-1] // block * block_bytes
    size = math.prod(tensor.shape[:-1]) * row
    if tensor.start + size > header.size:
        raise CheckpointError(f"{where}: truncated: needs {size:,} bytes at {tensor.start:,}, but "
                              f"the file ends at {header.size:,}")
    stored = np.frombuffer(content, np.uint8, size, tensor.start)
    try:
        # A copy: nothing may point into the file once it is closed.
        values = gguf.dequantize(stored.reshape(*tensor.shape[:-1], row).copy(), kind)
    except NotImplementedError:
        raise CheckpointError(f"{where} must be of a type that is supported ({_types()}), "
                              f"not {kind.name}") from None
    finally:
        del stored
    floats: FloatArray = np.ascontiguousarray(values, np.float32)
    return floats


def _types() -> str:
    """Names of the types that the library turns into floats."""
    found = []
    for kind in gguf.GGMLQuantizationType:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        try:
            gguf.dequantize(np.zeros((1, size), np.uint8), kind)
        except NotImplementedError:
            continue
        found.append(kind.name)
    return ", ".join(found)


def _labels(shape: DecoderShape, tied: bool) -> dict[str, str]:
    """Names of all tensors in the file."""
    named = {f"layers.{n}.{name}": f"blk.{n}.{label}"
             for n in range(shape.n_layers) for name, label in _TENSORS.items()}
    return named | {"embedding": _EMBEDDING, "final_norm": _NORM,
                    "head": _EMBEDDING if tied else _HEAD}
