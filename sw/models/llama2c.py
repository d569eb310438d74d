"""Reader and writer of llama2.c checkpoints (``.bin``, the legacy version 0).

The file is 7 int32 (dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len), then
float32 arrays, little-endian, one kind after the other over all layers. A negative vocab_size says
that a classifier of its own follows. Two tables of RoPE angles are in the file for history; they
are skipped when read.

Ref: Karpathy, llama2.c, export.py ``legacy_export`` and run.c ``memory_map_weights``.
"""

import struct
from pathlib import Path

import numpy as np

from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError, FloatArray, Layer, Shape

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
        If the file is missing, truncated, too long or of an impossible shape.
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
    offset += shape.seq_len * shape.head_dim
    head = embedding if tied else take(shape.vocab_size, shape.dim)
    return Checkpoint(
        shape=shape,
        embedding=embedding,
        layers=tuple(Layer(**{name: stacked[name][n] for name in _ORDER})
                     for n in range(shape.n_layers)),
        final_norm=final_norm,
        head=head,
        tied=tied,
        # A vocabulary of one or two tokens is only ever a toy without special tokens.
        bos_id=min(1, shape.vocab_size - 1),
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
    if shape.rope_theta != 10000.0 or shape.norm_eps != 1e-5:
        raise CheckpointError(
            f"{path}: rope_theta and norm_eps must be 10000 and 1e-05, which a llama2.c file "
            f"implies, not {shape.rope_theta:g} and {shape.norm_eps:g}")
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


def _angles(shape: Shape) -> FloatArray:
    pair = np.arange(0, shape.head_dim, 2)
    angle = np.outer(np.arange(shape.seq_len), shape.rope_theta ** (-pair / shape.head_dim))
    return angle.astype(np.float32)


def _open(path: Path) -> tuple[Shape, bool, memoryview]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
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
        shape = Shape(**dims)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: header: {error}") from error
    expected = _HEADER.size + 4 * _word_count(shape, tied)
    if len(content) != expected:
        fault = "truncated" if len(content) < expected else "too long"
        raise CheckpointError(
            f"{path}: {fault}: size must be {expected} bytes for this header, not {len(content)}")
    return shape, tied, memoryview(content)[_HEADER.size:]


def _word_count(shape: Shape, tied: bool) -> int:
    table = shape.vocab_size * shape.dim
    layer = 2 * shape.dim * (1 + shape.dim + shape.kv_dim) + 3 * shape.hidden_dim * shape.dim
    angles = shape.seq_len * shape.head_dim
    return table + shape.n_layers * layer + shape.dim + angles + (0 if tied else table)
