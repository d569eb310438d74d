"""The wafer with pools of computing memory at its edge: rates, rooms, what lives where.

A pool is a technology's, behind one edge port. Attention of a sequence whose K and V lie there goes
out as q, k, v and comes back as the context, in every block; of a split one both sides attend to
their part, and sums combine exactly (``docs/numerics.md``: one more exchange of the maximum). The
wafer's own rates are those of ``sw.wafer``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.pool_side import PoolSide, link
from ouroboros.sw.tier.technology import Technology
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.members import estimate

__all__ = ["Edge", "Rates", "Wafers"]

TYPICAL = 1024
"""Context that members of a KV head are chosen at."""
SHARES = 64
"""Shares of a split sequence that are tried."""


class Wafers:
    """A model on one wafer, or cut by blocks over several, at any context on the wafer.

    Parameters
    ----------
    machine, shape
        As for ``sw.wafer``.
    wafers : int
        That the blocks are shared out over.
    overrides : dict
        Assumptions of ``sw.wafer``.

    Raises
    ------
    TierError
        If the blocks cannot be shared out.
    PerfError, BlockError
        As ``sw.wafer.estimate``.
    """

    def __init__(self, machine: Machine, shape: ModelShape, wafers: int = 1,
                 overrides: dict[str, float] | None = None):
        if shape.kind == "decoder" and shape.n_layers % wafers:
            raise TierError(f"wafers must divide the {shape.n_layers} blocks of {shape.name}, not "
                            f"{wafers}")
        self.machine, self.shape, self.wafers = machine, shape, wafers
        self.part = replace(shape, n_layers=shape.n_layers // wafers)
        self.overrides = overrides or {}
        typical, _ = estimate(machine, self.part, WaferOptions(
            context=TYPICAL, overrides=self.overrides))
        self.members = typical.members
        self._known = {TYPICAL: typical}
        self.least = self.at(machine.block_tokens)

    @cached_property
    def most_context(self) -> int:
        """Longest sequence that one of them holds, and whose programs a core has buffers for."""
        context, block = self.least.most_context, self.machine.block_tokens
        while context > block:
            try:
                _ = self.at(context).interval_cycles
            except BlockError:
                context = context // 2 // block * block
            else:
                break
        return context

    def at(self, context: int) -> Wafer:
        """One of them at a context, with members that are best at ``TYPICAL``."""
        if context not in self._known:
            self._known[context] = Wafer(self.machine, self.part, WaferOptions(
                context=context, overrides=self.overrides), self.members)
        return self._known[context]

    def rate(self, context: int) -> tuple[float, int]:
        """Tokens/s of decode without a tier, and sequences; 0 where not one fits."""
        if context > self.most_context:
            return 0.0, 0
        one = self.at(context)
        return min(one.prefill_tokens_per_s, one.sequences / self.latency_s(one)), one.sequences

    def latency_s(self, one: Wafer) -> float:
        """Of a token through all wafers."""
        return (one.latency_cycles / one.clock_hz * self.wafers
                + (self.wafers - 1) * link().wafer_us.mid * 1e-6)

    def attention_s(self, context: int) -> float:
        """Of a block: straight between the shortest context and the longest that fits."""
        if context <= 0:
            return 0.0
        short, long = self.least, self.at(self.most_context)
        a, b = (one.block_latency["attention"] / one.clock_hz for one in (short, long))
        return a + (b - a) * (context - short.context) / max(long.context - short.context, 1)

    @cached_property
    def rest_s(self) -> float:
        """Latency of a token without its attention."""
        return (self.latency_s(self.least)
                - self.shape.n_layers * self.attention_s(self.least.context))


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Decode at a context."""

    tokens_per_s: float
    """Of all sequences together."""
    sequences: int
    """That are alive."""
    binds: str
    """What limits them."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"tokens_per_s": self.tokens_per_s, "sequences": self.sequences,
                "binds": self.binds}


@dataclass(frozen=True, kw_only=True)
class Edge(PoolSide):
    """Pools at the edge of wafers."""

    wafers: Wafers
    """The wafers."""
    technology: Technology
    """Of every pool."""
    pools: int
    """How many."""
    banks: str = "lockstep"
    """Of ``BANKS``."""

    def __post_init__(self) -> None:
        self.check_place(self.wafers.machine, self.wafers.wafers)

    @property
    def shape(self) -> ModelShape:
        """The model."""
        return self.wafers.shape

    def whole(self, context: int) -> Rates:
        """Sequences that lie in the pools, all of them."""
        self.check(context)
        count = self.sequences(context)
        if not count:
            return Rates(tokens_per_s=0.0, sequences=0, binds="no pool")
        latency = self.wafers.rest_s + self.shape.n_layers * self.attention_s(context)
        return self._least(count, latency, context)

    def _least(self, count: int, latency: float, tokens: float) -> Rates:
        """The least of what binds sequences with so many tokens in the pools each."""
        limits = {
            "banks of the pools": (self.pools * self.pool_bytes_per_s * self.busy(count)
                                   / (tokens * self.token_bytes)),
            "ports": self.pools * link().port_gb_s.mid * 1e9 / (self.link_bytes / 2),
            "latency of a token": count / latency,
            "interval of the wafer": self.wafers.least.prefill_tokens_per_s}
        binds = min(limits, key=lambda name: limits[name])
        return Rates(tokens_per_s=limits[binds], sequences=count, binds=binds)

    def beside(self, context: int) -> Rates:
        """Whole sequences on the wafer as many as fit, others in the pools."""
        alone, own = self.wafers.rate(context)
        tier = self.whole(context)
        both, most = alone + tier.tokens_per_s, self.wafers.least.prefill_tokens_per_s
        return Rates(tokens_per_s=min(both, most), sequences=own + tier.sequences,
                     binds="interval of the wafer" if both > most else tier.binds)

    def ratio(self, context: int) -> float | None:
        """Bandwidth of the pools over the rate at which the wafer reads K and V; none where it
        serves nothing.
        """
        alone, _ = self.wafers.rate(context)
        if not alone:
            return None
        return self.pools * self.pool_bytes_per_s / (alone * context * self.token_bytes)

    def balanced_share(self, context: int) -> float:
        """Of K and V in the pools, with which both sides are through with a block together.

        At the context, or the longest that the wafer serves alone.
        """
        ratio = self.ratio(min(context, self.wafers.most_context))
        assert ratio is not None, "the wafer serves its longest context"
        return ratio / (1 + ratio)

    def split(self, context: int) -> tuple[float, Rates]:
        """The oldest tokens of every sequence in the pools: best share, and its rates."""
        best = (1.0, Rates(tokens_per_s=0.0, sequences=0, binds="nothing fits"))
        for share, rates in self.shares(context):
            if rates.tokens_per_s > best[1].tokens_per_s:
                best = share, rates
        return best

    def shares(self, context: int) -> Iterator[tuple[float, Rates]]:
        """Every share that is possible."""
        block = self.wafers.machine.block_tokens
        for n in range(1, SHARES):
            share = n / SHARES
            here = math.ceil(context * (1 - share) / block) * block
            there = context - here
            if here > self.wafers.most_context or there <= 0:
                continue
            count = min(self.wafers.least.kv_tokens // here, self.sequences(there))
            if count:
                slower = max(self.wafers.attention_s(here), self.attention_s(there))
                latency = self.wafers.rest_s + self.shape.n_layers * slower
                yield share, self._least(count, latency, there)
