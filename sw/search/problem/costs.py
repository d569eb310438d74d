"""What a layer costs on each kind of chip: cycles, energy, bytes that it reads and writes.

Tiles of a stage cost the same, so the tables have one row for each stage of a block.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ouroboros.sw.search.problem.instance import Energy, Instance, Kind, Request
from ouroboros.sw.search.problem.layers import STAGES, Layers

__all__ = ["Moved", "OnKind", "check_totals", "gemm", "moved", "on_kind"]

Product = tuple[int, int, int]
"""Rows, inner dimension and columns of a matrix product."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """Work of one tile of a stage for a micro-batch, and its bytes, whatever the chip."""

    weights: int = 0
    """Weights."""
    kv_read: int = 0
    """Keys and values of tokens before, from DRAM."""
    kv_write: int = 0
    """New keys and values, a part of the output, to DRAM."""
    given: int = 0
    """Input of the first block, from DRAM."""
    result: bool = False
    """The output is the last block's, which goes to DRAM."""
    output: int
    """Output, keys and values included."""
    input: int
    """Input, as far as the buffer has to hold it."""
    from_each: int = 0
    """Of each tile of the stage that it reads as a whole."""
    from_single: int = 0
    """Of the other layer that it reads."""
    products: tuple[Product, ...] = ()
    """Matrix products."""
    elementwise: int = 0
    """Element-wise operations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OnKind:
    """A layer on a kind of chip."""

    cycles: int
    """Of the array and the element-wise unit, one after the other."""
    energy_pj: float
    """Of arithmetic and buffer."""
    input_reads: int
    """How often inputs are read, because the weights do not fit beside them."""
    weight_reads: int
    """How often weights are read, likewise."""
    keeps: bool
    """Everything fits, so that the next layer of equal index finds the weights there."""


def moved(instance: Instance, batch: Iterable[Request], stage: str, *, first: bool,
          last: bool) -> Moved:
    """Work and bytes of one tile of a stage.

    Parameters
    ----------
    batch : Iterable[Request]
        The micro-batch.
    stage : str
        One of ``STAGES``.
    first, last : bool
        Of the blocks.
    """
    model, tiles, ffn = instance.model, instance.tiles, instance.ffn_tiles
    d, dff, gate = model.d, model.dff, 2 if model.gated else 1
    batch = tuple(batch)
    tokens = sum(request.new for request in batch)
    row = tokens * d
    if stage == "norm1":
        return Moved(output=row, input=row, given=row if first else 0,
                     from_single=0 if first else row, elementwise=5 * row)
    if stage == "qkv":
        wide = (model.h + 2 * model.kv) * model.dh // tiles
        return Moved(weights=d * wide, output=tokens * wide, input=row, from_single=row,
                     kv_write=tokens * 2 * model.kv * model.dh // tiles,
                     products=((tokens, d, wide),))
    if stage == "attn":
        return _attention(instance, batch, tokens)
    if stage == "proj":
        return Moved(weights=d * d // tiles, output=row // tiles, input=row,
                     from_each=row // tiles, products=((tokens, d, d // tiles),))
    if stage == "res1":
        return Moved(output=row, input=2 * row, from_each=row // tiles, given=row if first else 0,
                     from_single=0 if first else row, elementwise=7 * row)
    if stage == "ffn1":
        wide = dff // ffn * gate
        return Moved(weights=d * wide, output=tokens * dff // ffn, input=row, from_single=row,
                     products=((tokens, d, wide),), elementwise=4 * tokens * dff // ffn)
    if stage == "ffn2":
        return Moved(weights=dff * d // ffn, output=row // ffn, input=tokens * dff,
                     from_each=tokens * dff // ffn, products=((tokens, dff, d // ffn),))
    return Moved(output=row, input=2 * row, from_each=row // ffn, from_single=row, result=last,
                 elementwise=2 * row)


def _attention(instance: Instance, batch: tuple[Request, ...], tokens: int) -> Moved:
    model, tiles = instance.model, instance.tiles
    group, heads = model.h // model.kv, model.kv // tiles
    products: list[Product] = []
    elementwise = kv_read = 0
    for request in batch:
        context = request.hist + request.new
        products += [(request.new * group, model.dh, context),
                     (request.new * group, context, model.dh)] * heads
        elementwise += 5 * request.new * context * model.h // tiles
        kv_read += request.hist * 2 * model.kv * model.dh // tiles
    wide = tokens * (model.h + 2 * model.kv) * model.dh // tiles
    return Moved(kv_read=kv_read, output=tokens * model.d // tiles, input=wide, from_single=wide,
                 products=tuple(products), elementwise=elementwise)


def gemm(kind: Kind, product: Product) -> tuple[int, float]:
    """Cycles, and bytes to and from the buffer, of a matrix product on a chip.

    ``ws``: the array holds weights while inputs stream; the next weights are loaded behind them.
    ``os``: the array holds outputs.
    """
    m, k, n = product
    across, down, tall = -(-n // kind.cols), -(-k // kind.rows), -(-m // kind.rows)
    if kind.type == "ws":
        return down * across * max(m, kind.rows), m * k * across + k * n + 4 * m * n * (
            2 * down - 1)
    return tall * across * k, m * k * across + k * n * tall + m * n


def on_kind(work: Moved, kind: Kind, energy: Energy) -> OnKind:
    """A layer on a kind of chip."""
    cycles, buffer_bytes, macs = -(-work.elementwise // energy.eltwise_per_cycle), 0.0, 0
    for product in work.products:
        taken, bytes_ = gemm(kind, product)
        cycles += taken
        buffer_bytes += bytes_
        macs += product[0] * product[1] * product[2]
    buffer_bytes += work.input + work.output + work.weights + work.kv_read
    fits = work.input + work.weights + work.output <= kind.buffer
    input_reads = weight_reads = 1
    if work.weights and not fits:
        half = kind.buffer // 2
        for_weights, for_inputs = -(-work.weights // half), -(-work.input // half)
        if (for_weights - 1) * work.input <= (for_inputs - 1) * work.weights:
            input_reads = for_weights
        else:
            weight_reads = for_inputs
    return OnKind(
        cycles=cycles, input_reads=input_reads, weight_reads=weight_reads,
        keeps=bool(work.weights) and fits,
        energy_pj=macs * energy.e_mac + work.elementwise * energy.e_eltwise
        + buffer_bytes * kind.e_buf)


def check_totals(instance: Instance) -> dict[str, int]:
    """Totals by which implementations of the rules are compared: the key ``check`` of a file.

    ``cycles_kind0`` and ``cycles_kind1`` are of all layers on the first and on the last kind.
    """
    layers = Layers(instance)
    found = {"layers": instance.layers, "micro_batches": len(instance.micro_batches),
             "genes": instance.genes, "weight_bytes": 0, "kv_read_bytes": 0, "kv_write_bytes": 0,
             "cycles_kind0": 0, "cycles_kind1": 0}
    counts = np.bincount(layers.kind, minlength=len(STAGES)).tolist()
    for n, batch in enumerate(instance.micro_batches):
        for stage, count in zip(STAGES, counts, strict=True):
            work = moved(instance, batch, stage, first=False, last=False)
            if n == 0:
                found["weight_bytes"] += count * work.weights
            found["kv_read_bytes"] += count * work.kv_read
            found["kv_write_bytes"] += count * work.kv_write
            for key, kind in (("cycles_kind0", instance.kinds[0]),
                              ("cycles_kind1", instance.kinds[-1])):
                found[key] += count * on_kind(work, kind, instance.energy).cycles
    return found
