"""The integer model of the machine: what a program loads into it, and its file."""

import dataclasses
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.loss import Loss
from ouroboros.sw.models.scheme import SIGMOID_FRACTION_BITS, Gate, Scheme
from ouroboros.sw.models.special import LLAMA2C, SpecialTokens

__all__ = ["FORMAT_VERSION", "POSITIONS_MAX", "Norm", "QuantLayer", "QuantModel",
           "QuantModelError", "Requant", "SigmoidGate", "TableGate", "load"]

FORMAT_VERSION = 3
"""Of the .npz file; a reader takes its own version only."""
POSITIONS_MAX = 1 << 17
"""Positions that an integer model keeps RoPE rows for, whatever more its float model knows: far
more than a page table of any machine holds, and at most 64 MB."""

Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
UInt16 = npt.NDArray[np.uint16]


class QuantModelError(OuroborosError):
    """An integer model that cannot be built or read; names the tensor or the file."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Requant:
    """``rnd(acc * m[c], s)``: one multiplier per output channel, one shift per matrix."""

    m: UInt16
    """Multipliers, (channels,)."""
    s: int
    """Shift, 0 to 63."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Norm:
    """Static part of an RMSNorm: ``mg / 2**sg = sqrt(dim) / (scale of the norm's output)``."""

    mg: int
    """Multiplier, 16 bits."""
    sg: int
    """Shift, before the part that the sum of squares adds."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TableGate:
    """Static part of a gate whose SiLU is looked up (``Gate.TABLE``)."""

    silu: Int16
    """SiLU table, (256,), indexed by the gate in two's complement (u8 & 255)."""
    mf: int
    """Multiplier of SiLU(gate) * up, 16 bits."""
    sf: int
    """Shift of ``mf``, 0 to 63."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SigmoidGate:
    """Static part of a gate whose sigmoid is looked up (``Gate.SIGMOID``)."""

    fu: int
    """Fraction bits of the int16 gate, 5 to 15."""


_GATES = {Gate.TABLE: TableGate, Gate.SIGMOID: SigmoidGate}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QuantLayer:
    """One transformer block; matrices are (outputs, inputs)."""

    wq: Int8
    """Query weights, (dim, dim)."""
    wk: Int8
    """Key weights, (kv_width, dim)."""
    wv: Int8
    """Value weights, (kv_width, dim)."""
    wo: Int8
    """Projection weights, (dim, dim); the scale of V is folded in."""
    w1: Int8
    """Gate weights, (hidden_dim, dim)."""
    w2: Int8
    """Down weights, (dim, hidden_dim)."""
    w3: Int8
    """Up weights, (hidden_dim, dim)."""
    rq_q: Requant
    """To int16 at 1/64 of the int8 scale, (dim,)."""
    rq_k: Requant
    """To int16 at 1/64 of the int8 scale, (kv_width,)."""
    rq_v: Requant
    """To int8, (kv_width,)."""
    rq_o: Requant
    """To the residual's format, (dim,)."""
    rq_1: Requant
    """To the gate, (hidden_dim,)."""
    rq_3: Requant
    """To the up projection's format, (hidden_dim,)."""
    rq_2: Requant
    """To the residual's format, (dim,); for a token exponent of 0."""
    norm1: Norm
    """Before attention."""
    norm2: Norm
    """Before the feed-forward layer."""
    me: UInt16
    """Softmax: score to sixteenths of an octave, (n_heads,)."""
    se: int
    """Shift of ``me``, 0 to 63."""
    gate: TableGate | SigmoidGate
    """Constants of the gate; the kind is the scheme's."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QuantModel:
    """An integer LLaMA-type decoder: everything the datapath needs, and no float."""

    shape: DecoderShape
    """Dimensions; the floats in it are for the record."""
    scheme: Scheme
    """Which integer definition the numbers are for."""
    residual_fraction_bits: int
    """Fraction bits of the residual stream."""
    norm_c: int
    """Added to every sum of squares: ``round(dim * eps * 4**residual_fraction_bits)``."""
    embedding: Int16
    """Residual rows, (vocab_size, dim)."""
    rope: Int16
    """Rows C0, S0, C1, S1, ... of every position in Q1.14, (seq_len, head_dim)."""
    layers: tuple[QuantLayer, ...]
    """Blocks, first to last."""
    norm_final: Norm
    """Before the head."""
    head: Int8
    """Classifier, (vocab_size, dim)."""
    rq_head: Requant
    """To Q.12 int32 logits, (vocab_size,)."""
    special: SpecialTokens = LLAMA2C
    """Tokens that begin and end a text."""
    loss: Loss | None = None
    """What quantising cost, measured on text of the calibration; None if it was not measured."""

    def __post_init__(self) -> None:
        shape = self.shape
        _expect("embedding", self.embedding, np.int16, (shape.vocab_size, shape.dim))
        _expect("rope", self.rope, np.int16, (shape.seq_len, shape.head_dim))
        _expect("head", self.head, np.int8, (shape.vocab_size, shape.dim))
        _expect_requant("rq_head", self.rq_head, shape.vocab_size)
        _expect_norm("norm_final", self.norm_final)
        fitted = self.scheme.fitted(positions=shape.seq_len, hidden_dim=shape.hidden_dim)
        if fitted != self.scheme:
            raise QuantModelError(f"scheme must be {fitted.name}, or an int32 sum could wrap, "
                                  f"not {self.scheme.name}")
        if len(self.layers) != shape.n_layers:
            raise QuantModelError(f"layers must be {shape.n_layers}, not {len(self.layers)}")
        for n, layer in enumerate(self.layers):
            _expect_layer(f"layers.{n}", layer, shape)
            _expect_gate(f"layers.{n}", layer, self.scheme)

    @property
    def digest(self) -> str:
        """Hash of every number that a machine needs; equal models have equal digests.

        The loss is not in it, which floats of another computer may give another last digit.
        """
        return _digest({name: array for name, array in _flatten(self).items() if name != "loss"})

    def save(self, path: Path) -> None:
        """Write one .npz with a version and the digest; equal models give equal files."""
        arrays = _flatten(self)
        arrays["digest"] = np.array(_digest(arrays))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, array, allow_pickle=False)
                # A fixed date: the file depends on the model alone.
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue())


def load(path: Path) -> QuantModel:
    """Read a model that ``QuantModel.save`` wrote.

    Raises
    ------
    QuantModelError
        If the file is missing, corrupt, of another version, or does not match its digest.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise QuantModelError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise QuantModelError(f"{path}: corrupt: not an .npz file of arrays") from error
    if "version" not in arrays or "digest" not in arrays:
        raise QuantModelError(f"{path}: corrupt: version and digest must be present")
    if arrays["version"].tolist() != FORMAT_VERSION:
        raise QuantModelError(
            f"{path}: version must be {FORMAT_VERSION}, not {arrays['version'].tolist()!r}")
    digest = str(arrays.pop("digest"))
    if digest != _digest(arrays):
        raise QuantModelError(f"{path}: corrupt: its content does not match its digest")
    try:
        return _unflatten(arrays)
    except (KeyError, TypeError, OuroborosError) as error:
        raise QuantModelError(f"{path}: corrupt: {error}") from error


_RECORDS = ("shape", "scheme", "special", "loss")
"""Fields of ``QuantModel`` that are kept as JSON."""


def _flatten(model: QuantModel) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {"version": np.array(FORMAT_VERSION)}
    for name in _RECORDS:
        value = getattr(model, name)
        record = value and (value.record() if name == "shape" else dataclasses.asdict(value))
        arrays[name] = np.array(json.dumps(record, sort_keys=True))
    for field in dataclasses.fields(model):
        if field.name == "layers":
            for n, layer in enumerate(model.layers):
                for inner in dataclasses.fields(layer):
                    _put(arrays, f"layers.{n}.{inner.name}", getattr(layer, inner.name))
        elif field.name not in _RECORDS:
            _put(arrays, field.name, getattr(model, field.name))
    return arrays


def _put(arrays: dict[str, npt.NDArray[Any]], name: str, value: object) -> None:
    if isinstance(value, Requant | Norm | TableGate | SigmoidGate):
        for field in dataclasses.fields(value):
            _put(arrays, f"{name}.{field.name}", getattr(value, field.name))
    else:
        arrays[name] = np.asarray(value)


def _unflatten(arrays: dict[str, npt.NDArray[Any]]) -> QuantModel:
    records = {name: json.loads(str(arrays[name])) for name in _RECORDS}
    shape = DecoderShape.from_record(records["shape"])
    special = records["special"]
    special["stop_ids"] = tuple(special["stop_ids"])
    loss = None if records["loss"] is None else Loss(**records["loss"])
    scheme = Scheme(**records["scheme"] | {"gate": Gate(records["scheme"]["gate"])})
    layers = tuple(
        QuantLayer(**{field.name: _get(arrays, f"layers.{n}.{field.name}",
                                       _GATES[scheme.gate] if field.name == "gate" else field.type)
                      for field in dataclasses.fields(QuantLayer)})
        for n in range(shape.n_layers))
    return QuantModel(shape=shape, scheme=scheme, layers=layers, loss=loss,
                      special=SpecialTokens(**special), **{
        field.name: _get(arrays, field.name, field.type)
        for field in dataclasses.fields(QuantModel)
        if field.name not in (*_RECORDS, "layers")})


def _get(arrays: dict[str, npt.NDArray[Any]], name: str, kind: Any) -> Any:
    if kind in (Requant, Norm, TableGate, SigmoidGate):
        return kind(**{field.name: _get(arrays, f"{name}.{field.name}", field.type)
                       for field in dataclasses.fields(kind)})
    return int(arrays[name]) if kind is int else arrays[name]


def _digest(arrays: dict[str, npt.NDArray[Any]]) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _expect(name: str, array: npt.NDArray[Any], dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise QuantModelError(f"{name} must be {np.dtype(dtype)} of shape {shape}, "
                              f"not {array.dtype} of shape {array.shape}")


def _expect_shift(name: str, value: int) -> None:
    if not 0 <= value <= 63:
        raise QuantModelError(f"{name} must be between 0 and 63, not {value!r}")


def _expect_multiplier(name: str, value: int) -> None:
    if not 0 <= value <= 65535:
        raise QuantModelError(f"{name} must be between 0 and 65535, not {value!r}")


def _expect_requant(name: str, requant: Requant, channels: int) -> None:
    _expect(f"{name}.m", requant.m, np.uint16, (channels,))
    _expect_shift(f"{name}.s", requant.s)


def _expect_norm(name: str, norm: Norm) -> None:
    _expect_multiplier(f"{name}.mg", norm.mg)
    _expect_shift(f"{name}.sg", norm.sg)


def _expect_layer(name: str, layer: QuantLayer, shape: DecoderShape) -> None:
    for matrix, requant in (("wq", "rq_q"), ("wk", "rq_k"), ("wv", "rq_v"), ("wo", "rq_o"),
                            ("w1", "rq_1"), ("w3", "rq_3"), ("w2", "rq_2")):
        expected = shape.layer_shapes()[matrix]
        _expect(f"{name}.{matrix}", getattr(layer, matrix), np.int8, expected)
        _expect_requant(f"{name}.{requant}", getattr(layer, requant), expected[0])
    _expect_norm(f"{name}.norm1", layer.norm1)
    _expect_norm(f"{name}.norm2", layer.norm2)
    _expect(f"{name}.me", layer.me, np.uint16, (shape.n_heads,))
    _expect_shift(f"{name}.se", layer.se)


def _expect_gate(name: str, layer: QuantLayer, scheme: Scheme) -> None:
    gate = layer.gate
    if not isinstance(gate, _GATES[scheme.gate]):
        raise QuantModelError(f"{name}.gate must be a {_GATES[scheme.gate].__name__} in scheme "
                              f"{scheme.name}, not a {type(gate).__name__}")
    if isinstance(gate, TableGate):
        _expect(f"{name}.gate.silu", gate.silu, np.int16, (256,))
        _expect_multiplier(f"{name}.gate.mf", gate.mf)
        _expect_shift(f"{name}.gate.sf", gate.sf)
    elif not SIGMOID_FRACTION_BITS <= gate.fu <= 15:
        raise QuantModelError(f"{name}.gate.fu must be between {SIGMOID_FRACTION_BITS} and 15, "
                              f"not {gate.fu!r}")
    # A token's exponent is taken off this shift.
    if layer.rq_2.s < scheme.exponent_max:
        raise QuantModelError(f"{name}.rq_2.s must be at least {scheme.exponent_max}, the largest "
                              f"exponent of a token, not {layer.rq_2.s}")
