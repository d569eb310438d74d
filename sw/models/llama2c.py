"""Reader and writer of llama2.c checkpoints (``.bin``, the legacy version 0).

The file is 7 int32 (dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len), then
float32 arrays, little-endian, one kind after the other over all layers. A negative vocab_size says
that a classifier of its own follows. Two tables, cosines and sines of the RoPE angles, say which
base the model was trained with; the header does not. Tables of zeros say nothing: base 10000.

Ref: Karpathy, llama2.c, export.py ``legacy_export`` and run.c ``memory_map_weights``.
"""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from ouroboros.sw.lib.read import raw, refuse_foreign
from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError, FloatArray, Layer
from ouroboros.sw.models.decoder_shape import DecoderShape, positive
from ouroboros.sw.models.special import LLAMA2C

__all__ = ["read", "write"]

_HEADER = struct.Struct("<7i")
_MAGIC_OF_LATER_VERSIONS = 0x616B3432
_ORDER = ("norm1", "wq", "wk", "wv", "wo", "norm2", "w1", "w2", "w3")
_FIELDS = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, too long, of another format or of an impossible shape,
        or its RoPE tables are of no base.
    """
    shape, tied, body = _open(path)
    words = np.frombuffer(body, dtype="<f4")
    offset = 0

    def take(*dims: int) -> FloatArray:
        nonlocal offset
        count = int(np.prod(dims, dtype=np.int64))
        array = words[offset:offset + count].reshape(dims).astype(np.float32)
        offset += count
        return array

    embedding = take(shape.vocab_size, shape.dim)
    sizes = shape.layer_shapes()
    stacked = {name: take(shape.n_layers, *sizes[name]) for name in _ORDER}
    final_norm = take(shape.dim)
    tables = take(2, shape.seq_len, shape.head_dim // 2)
    head = embedding if tied else take(shape.vocab_size, shape.dim)
    return Checkpoint(
        shape=replace(shape, rope_theta=_rope_theta(path, shape, tables)),
        embedding=embedding,
        layers=tuple(Layer(**{name: stacked[name][n] for name in _ORDER})
                     for n in range(shape.n_layers)),
        final_norm=final_norm,
        head=head,
        tied=tied,
        special=LLAMA2C.within(shape.vocab_size),
        name=str(path),
    )


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; ``read`` gives the same arrays back.

    Raises
    ------
    CheckpointError
        If the format has no field for a property of the model.
    """
    shape = checkpoint.shape
    if shape.norm_eps != 1e-5 or shape.rope_scaling is not None:
        raise CheckpointError(
            f"{path}: norm_eps must be 1e-05 and RoPE not scaled, as a llama2.c file implies, "
            f"not {shape.norm_eps:g} and {shape.rope_scaling}")
    if checkpoint.biased or shape.q_width != shape.dim:
        raise CheckpointError(f"{path}: attention must have no bias and heads that fill dim = "
                              f"{shape.dim}, as a llama2.c file implies")
    special = LLAMA2C.within(shape.vocab_size)
    if checkpoint.special != special:
        raise CheckpointError(f"{path}: special tokens must be {special}, as a llama2.c file "
                              f"implies, not {checkpoint.special}")
    dims = [getattr(shape, name) for name in _FIELDS]
    if not checkpoint.tied:
        dims[_FIELDS.index("vocab_size")] *= -1
    angle = _angles(shape)
    arrays = [checkpoint.embedding]
    arrays += [getattr(layer, name) for name in _ORDER for layer in checkpoint.layers]
    arrays += [checkpoint.final_norm, np.cos(angle), np.sin(angle)]
    if not checkpoint.tied:
        arrays.append(checkpoint.head)
    with path.open("wb") as file:
        file.write(_HEADER.pack(*dims))
        for array in arrays:
            file.write(np.ascontiguousarray(array, dtype="<f4").tobytes())


def _angles(shape: DecoderShape) -> FloatArray:
    angle = np.outer(np.arange(shape.seq_len), shape.rope_frequencies)
    return angle.astype(np.float32)


def _rope_theta(path: Path, shape: DecoderShape, tables: FloatArray) -> float:
    """Base of the angles whose cosines and sines are the tables, (2, seq_len, head_dim / 2)."""
    default = shape.rope_theta
    if not tables.any() or _have_base(tables, shape):
        return default
    # The slowest pair at position 1 tells the base: its angle is base ** (2 / head_dim - 1).
    if shape.seq_len > 1 and shape.head_dim > 2:
        angle = float(np.arctan2(*tables[::-1, 1, -1].astype(np.float64)))
        base = angle ** (shape.head_dim / (2 - shape.head_dim)) if angle > 0 else 0.0
        # The tables are float32, the base a round number in all models.
        base = float(f"{base:.6g}")
        if positive(base) and _have_base(tables, replace(shape, rope_theta=base)):
            return base
    raise CheckpointError(f"{path}: RoPE tables (freq_cis_real and freq_cis_imag) must be cosines "
                          "and sines of position * base ** (-2 * pair / head_dim) for some base, "
                          "not others: scaled RoPE is not supported in this format")


def _have_base(tables: FloatArray, shape: DecoderShape) -> bool:
    # Exporters multiply positions and frequencies as float32.
    angle = np.outer(np.arange(shape.seq_len), shape.rope_frequencies)
    error = 1e-4 + 2.0**-22 * angle
    return bool((np.abs(tables[0] - np.cos(angle)) <= error).all()
                and (np.abs(tables[1] - np.sin(angle)) <= error).all())


def _open(path: Path) -> tuple[DecoderShape, bool, memoryview]:
    content = raw(path, CheckpointError)
    refuse_foreign(path, content, "a llama2.c checkpoint", CheckpointError)
    if len(content) < _HEADER.size:
        raise CheckpointError(
            f"{path}: header must be {_HEADER.size} bytes, not {len(content)}")
    dims = dict(zip(_FIELDS, _HEADER.unpack_from(content), strict=True))
    if dims["dim"] == _MAGIC_OF_LATER_VERSIONS:
        raise CheckpointError(
            f"{path}: version must be 0 (legacy), not {dims['hidden_dim']} of llama2.c's export")
    tied = dims["vocab_size"] > 0
    dims["vocab_size"] = abs(dims["vocab_size"])
    try:
        shape = DecoderShape(**dims)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: header: {error}") from error
    expected = _HEADER.size + 4 * _word_count(shape, tied)
    if len(content) != expected:
        fault = "truncated" if len(content) < expected else "too long"
        raise CheckpointError(
            f"{path}: {fault}: size must be {expected} bytes for this header, not {len(content)}")
    return shape, tied, memoryview(content)[_HEADER.size:]


def _word_count(shape: DecoderShape, tied: bool) -> int:
    table = shape.vocab_size * shape.dim
    layer = 2 * shape.dim * (1 + shape.dim + shape.kv_width) + 3 * shape.hidden_dim * shape.dim
    angles = shape.seq_len * shape.head_dim
    return table + shape.n_layers * layer + shape.dim + angles + (0 if tied else table)
