"""Golden model of the whole machine: an integer LLaMA-type decoder, exact to the bit.

Written from docs/numerics.md alone. It knows no clock, no core and no placement: the machine
must give the same logits wherever its program puts the work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.golden import numerics, wide
from ouroboros.sw.golden.numerics import Ints
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.integer import (
    Norm,
    QuantLayer,
    QuantModel,
    Requant,
    SigmoidGate,
    TableGate,
)

__all__ = ["DecodeError", "IntegerDecoder", "Observer"]

Observer = Callable[[int, str, Ints], None]
"""Called with layer (-1 outside the blocks), name and value of every intermediate."""

_FIRST_CAPACITY_TOKENS = 64


class DecodeError(OuroborosError):
    """A token or sequence that the model cannot take."""


@dataclass(slots=True)
class _Sequence:
    """Keys and values of one sequence, (n_layers, n_kv_heads, capacity, head_dim)."""

    k8: npt.NDArray[np.int8]
    v8: npt.NDArray[np.int8]
    length: int = 0

    def reserve(self, tokens: int) -> None:
        """Make room for tokens in all."""
        capacity = self.k8.shape[2]
        if tokens > capacity:
            more = [(0, 0), (0, 0), (0, max(tokens - capacity, capacity)), (0, 0)]
            self.k8, self.v8 = np.pad(self.k8, more), np.pad(self.v8, more)


class IntegerDecoder:
    """Integer decoder with a KV cache per sequence.

    Any split of a sequence into ``step`` and ``prefill`` calls gives the same logits.

    Parameters
    ----------
    model : QuantModel
        Weights, multipliers, shifts and tables.
    observer : callable, optional
        Sees every intermediate: acc_q, q, q8, scores, den, acc_o and so on.
    """

    def __init__(self, model: QuantModel, *, observer: Observer | None = None):
        self.model = model
        self._scheme = model.scheme
        self._observer = observer
        self._sequences: dict[int, _Sequence] = {}
        # The arrays multiply as float32 (see numerics.mvm), so they are kept that way.
        self._weights = [{name: getattr(layer, name).astype(np.float32)
                          for name in ("wq", "wk", "wv", "wo", "w1", "w2", "w3")}
                         for layer in model.layers]
        self._head = model.head.astype(np.float32)

    def length(self, seq: int) -> int:
        """Tokens of a sequence in the cache."""
        return self._sequences[seq].length if seq in self._sequences else 0

    def free(self, seq: int) -> None:
        """Forget a sequence."""
        self._sequences.pop(seq, None)

    def step(self, seq: int, token_id: int) -> npt.NDArray[np.int32]:
        """Logits (vocab_size,) after one more token of a sequence."""
        logits: npt.NDArray[np.int32] = self.run([(seq, [token_id])])[0]
        return logits

    def step_batch(self, seqs: Sequence[int], tokens: Sequence[int]) -> npt.NDArray[np.int32]:
        """Logits (sequences, vocab_size) after one more token of each of several sequences."""
        return self.run([(seq, [token]) for seq, token in zip(seqs, tokens, strict=True)])

    def prefill(self, seq: int, tokens: Sequence[int]) -> npt.NDArray[np.int32]:
        """Logits (tokens, vocab_size) after every one of the next tokens of a sequence."""
        return self.run([(seq, tokens)])

    def generate(self, seq: int, prompt: Sequence[int], count: int) -> list[int]:
        """The ``count`` likeliest tokens after a prompt, ending early at a stop or the end."""
        logits = self.prefill(seq, prompt)[-1]
        found: list[int] = []
        while len(found) < count:
            found.append(int(numerics.argmax(logits)))
            if (found[-1] in self.model.special.stop_ids
                    or self.length(seq) == self.model.shape.seq_len):
                break
            logits = self.step(seq, found[-1])
        return found

    def run(self, chunks: Sequence[tuple[int, Sequence[int]]]) -> npt.NDArray[np.int32]:
        """Logits (all tokens, vocab_size) of the next tokens of several sequences, in order."""
        tokens, positions, spans = self._open(chunks)
        model = self.model
        x = model.embedding[tokens].astype(np.int64)
        self._observe(-1, "x", x)
        for n, layer in enumerate(model.layers):
            x = self._attention(n, layer, x, positions, spans)
            x = self._feed_forward(n, layer, x)
        for sequence, span in spans:
            sequence.length += span.stop - span.start
        h = self._norm(-1, "h", x, model.norm_final)
        logits = self._matrix(-1, "logits", h, self._head, model.rq_head)
        return logits.astype(np.int32)

    def _open(self, chunks: Sequence[tuple[int, Sequence[int]]],
              ) -> tuple[Ints, Ints, list[tuple[_Sequence, slice]]]:
        """Check the tokens and make room for them; nothing changes if one is refused."""
        shape = self.model.shape
        if len({seq for seq, _ in chunks}) != len(chunks):
            raise DecodeError("chunks must be of different sequences")
        for seq, tokens in chunks:
            end = self.length(seq) + len(tokens)
            if not len(tokens) or end > shape.seq_len:
                raise DecodeError(f"sequence {seq} must have 1 to {shape.seq_len} tokens with at "
                                  f"least one new one, not {end}")
            for token in tokens:
                if not 0 <= token < shape.vocab_size:
                    raise DecodeError(f"token of sequence {seq} must be between 0 and "
                                      f"{shape.vocab_size - 1}, not {token!r}")
        spans: list[tuple[_Sequence, slice]] = []
        positions: list[Ints] = []
        start = 0
        for seq, tokens in chunks:
            if seq not in self._sequences:
                capacity = min(_FIRST_CAPACITY_TOKENS, shape.seq_len)
                room = (shape.n_layers, shape.n_kv_heads, capacity, shape.head_dim)
                self._sequences[seq] = _Sequence(np.zeros(room, np.int8), np.zeros(room, np.int8))
            sequence = self._sequences[seq]
            sequence.reserve(sequence.length + len(tokens))
            spans.append((sequence, slice(start, start + len(tokens))))
            positions.append(sequence.length + np.arange(len(tokens)))
            start += len(tokens)
        flat = np.concatenate([np.asarray(tokens, np.int64) for _, tokens in chunks])
        return flat, np.concatenate(positions), spans

    def _attention(self, n: int, layer: QuantLayer, x: Ints, positions: Ints,
                   spans: list[tuple[_Sequence, slice]]) -> Ints:
        """Steps 3 to 8 for tokens (n, dim)."""
        shape, weights = self.model.shape, self._weights[n]
        h = self._norm(n, "h1", x, layer.norm1)
        q16 = numerics.sat16(self._matrix(n, "q", h, weights["wq"], layer.rq_q))
        k16 = numerics.sat16(self._matrix(n, "k", h, weights["wk"], layer.rq_k))
        v8 = numerics.sat8(self._matrix(n, "v", h, weights["wv"], layer.rq_v))
        rows = self.model.rope[positions][:, None, :]
        q8 = self._observe(n, "q8", numerics.rope(
            q16.reshape(-1, shape.n_heads, shape.head_dim), rows))
        k8 = self._observe(n, "k8", numerics.rope(
            k16.reshape(-1, shape.n_kv_heads, shape.head_dim), rows))
        v8 = self._observe(n, "v8", v8.reshape(-1, shape.n_kv_heads, shape.head_dim))
        o8 = np.empty_like(q8)
        for sequence, span in spans:
            past, end = sequence.length, sequence.length + span.stop - span.start
            sequence.k8[n, :, past:end] = k8[span].swapaxes(0, 1)
            sequence.v8[n, :, past:end] = v8[span].swapaxes(0, 1)
            o8[span] = self._attend(n, layer, q8[span], sequence.k8[n, :, :end],
                                    sequence.v8[n, :, :end])
        o8 = self._observe(n, "o8", o8.reshape(-1, shape.dim))
        delta = self._matrix(n, "o", o8, weights["wo"], layer.rq_o)
        return self._observe(n, "x_mid", numerics.residual_add(
            x, delta, self._scheme.residual_limits))

    def _attend(self, n: int, layer: QuantLayer, q8: Ints, k8: npt.NDArray[np.int8],
                v8: npt.NDArray[np.int8]) -> Ints:
        """Steps 6 and 7: context (n, heads, head_dim) of the last n tokens of one sequence."""
        count, heads = q8.shape[:2]
        kv_heads, end = k8.shape[:2]
        valid = np.arange(end)[None, :] <= np.arange(end - count, end)[:, None]
        o8 = np.empty_like(q8)
        for kv_head in range(kv_heads):
            group = slice(kv_head * heads // kv_heads, (kv_head + 1) * heads // kv_heads)
            scores = numerics.mvm(q8[:, group].swapaxes(0, 1), k8[kv_head])
            self._observe(n, "scores", scores)
            top = numerics.score_max(scores, valid)
            e = numerics.exp_weights(scores, top, layer.me[group, None, None], layer.se, valid,
                                     self._scheme.exp_bits)
            # Unsigned: one bit more as a signed operand.
            acc = self._observe(n, "acc_pv", wide.mvm_digits(
                e, v8[kv_head].T, self._scheme.exp_bits + 1))
            den = self._observe(n, "den", e.sum(axis=-1))
            o8[:, group] = numerics.normalise(acc, den).swapaxes(0, 1)
        return o8

    def _feed_forward(self, n: int, layer: QuantLayer, x: Ints) -> Ints:
        """Step 9 for tokens (n, dim)."""
        weights, scheme = self._weights[n], self._scheme
        h = self._norm(n, "h2", x, layer.norm2)
        u = self._matrix(n, "1", h, weights["w1"], layer.rq_1)
        t = self._matrix(n, "3", h, weights["w3"], layer.rq_3)
        gate = layer.gate
        if isinstance(gate, TableGate):
            f, ef = self._table_gate(n, gate, u, t), np.zeros(len(x), np.int64)
        else:
            f, ef = self._sigmoid_gate(n, gate, u, t)
        acc = self._observe(n, "acc_2", wide.mvm_digits(f, weights["w2"], scheme.f_bits))
        delta = self._observe(n, "2", numerics.requant(
            acc, layer.rq_2.m, (layer.rq_2.s - ef)[:, None]))
        return self._observe(n, "x", numerics.residual_add(x, delta, scheme.residual_limits))

    def _table_gate(self, n: int, gate: TableGate, u: Ints, t: Ints) -> Ints:
        u8 = self._observe(n, "u8", numerics.clip8(u))
        t8 = self._observe(n, "t8", numerics.sat8(t))
        return self._observe(n, "f8", numerics.silu_mul(u8, t8, gate.silu, gate.mf, gate.sf))

    def _sigmoid_gate(self, n: int, gate: SigmoidGate, u: Ints, t: Ints) -> tuple[Ints, Ints]:
        u16 = self._observe(n, "u16", numerics.sat16(u))
        t16 = self._observe(n, "t16", numerics.sat16(t))
        w = self._observe(n, "w", wide.gated(u16, t16, gate.fu))
        ef = self._observe(n, "ef", wide.exponent(w, self._scheme.f_bits))
        return self._observe(n, "f", wide.scale_token(w, ef, self._scheme.f_bits)), ef

    def _norm(self, n: int, name: str, x: Ints, norm: Norm) -> Ints:
        """Step 3."""
        total = self._observe(n, f"ss_{name}", numerics.square_sum(x) + self.model.norm_c)
        factor, shift = numerics.rsqrt_norm(total, norm.mg, norm.sg)
        self._observe(n, f"shift_{name}", shift)
        return self._observe(n, name, numerics.scale_norm(x, factor, shift))

    def _matrix(self, n: int, name: str, x: Ints, weights: npt.NDArray[np.float32],
                requant: Requant) -> Ints:
        """Partial sums of one matrix, requantised but not yet saturated."""
        acc = self._observe(n, f"acc_{name}", numerics.mvm(x, weights))
        return self._observe(n, name, numerics.requant(acc, requant.m, requant.s))

    def _observe(self, layer: int, name: str, value: Ints) -> Ints:
        if self._observer is not None:
            self._observer(layer, name, value)
        return value
