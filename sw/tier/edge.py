"""The wafer with pools of computing memory at its edge: rates, rooms, what lives where.

A pool is a technology's, behind one edge port. Attention of a sequence whose K and V lie there goes
out as q, k, v and comes back as the context, in every block; of a split one both sides attend to
their part, and sums combine exactly (``docs/numerics.md``: one more exchange of the maximum). The
wafer's own rates are those of ``sw.wafer``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from ouroboros.hw.params.load import load
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.values import Value
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.lib.quantities import Quantities, quantity
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.organisation import Organisation, largest
from ouroboros.sw.tier.technology import Technology
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.members import estimate

__all__ = ["BANKS", "Edge", "Link", "Rates", "Wafers", "link"]

BANKS = ("lockstep", "staggered")
"""How all banks of a rank are activated."""
TYPICAL = 1024
"""Context that members of a KV head are chosen at."""
SHARES = 64
"""Shares of a split sequence that are tried."""


@dataclass(frozen=True, kw_only=True)
class Link(Quantities):
    """Between wafer and pools, and what passes it."""

    WORDS: ClassVar[str] = "figure"

    port_gb_s: Value = quantity("GB/s")
    """Of a pool, each way."""
    link_us: Value = quantity("us")
    """There and back, without the bytes' own time."""
    wafer_us: Value = quantity("us")
    """From one wafer to the next."""
    score_bytes: Value = quantity("B")
    """Of a partial score on a rank's bus."""
    weight_bytes: Value = quantity("B")
    """Of a softmax weight there."""
    kv_bytes: Value = quantity("B")
    """Of an element of K, V, q and of the context."""


@cache
def link() -> Link:
    """The shipped one."""
    return load(Link, Path(__file__).with_name("edge.toml"))


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
class Edge:
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
        if self.banks not in BANKS:
            raise TierError(f"banks must be one of {', '.join(BANKS)}, not {self.banks!r}")
        ports = 2 * (self.wafers.machine.mesh.width + self.wafers.machine.mesh.height)
        most = ports * self.wafers.wafers
        if not 0 <= self.pools <= most:
            raise TierError(f"pools must be 0 to {most} (edge ports of {self.wafers.wafers} "
                            f"wafers), not {self.pools}")

    @property
    def shape(self) -> ModelShape:
        """The model."""
        return self.wafers.shape

    @cached_property
    def organisation(self) -> Organisation:
        """Heads in ranks, as INT8."""
        known = link()
        return largest(self.technology, self.shape, self.efficiency,
                       element_bytes=int(known.kv_bytes.mid), score_bytes=known.score_bytes.mid,
                       weight_bytes=known.weight_bytes.mid)

    @property
    def efficiency(self) -> float:
        """Of the banks' bandwidth that activations and refresh leave."""
        return self.technology.of(self.banks)

    @cached_property
    def pool_bytes_per_s(self) -> float:
        """K and V that a pool reads, waits for its ranks' buses included."""
        return (self.technology.pool_bytes_per_s * self.efficiency
                / self.organisation.stall(self.efficiency))

    @property
    def token_bytes(self) -> int:
        """K and V of a token."""
        return self.shape.kv_bytes_per_token

    @property
    def link_bytes(self) -> float:
        """That a token sends and gets in all blocks."""
        return 2 * (self.shape.q_width + self.shape.kv_width) * self.shape.n_layers

    def sequences(self, tokens: int) -> int:
        """That fit the pools with so many tokens each; a sequence lies in one pool."""
        one = int(self.technology.pool_bytes // (tokens * self.token_bytes))
        return self.pools * one

    def check(self, tokens: int) -> None:
        """Refuse a sequence that no pool holds.

        Raises
        ------
        TierError
            If it is too long.
        """
        most = int(self.technology.pool_bytes // self.token_bytes)
        if self.pools and tokens > most:
            raise TierError(f"context must be at most {most:,} tokens (a pool of "
                            f"{self.technology.of('pool_gib'):g} GiB), not {tokens:,}: take a "
                            f"larger pool, or split the sequence")

    @property
    def ranks(self) -> float:
        """That a sequence's heads lie in: as many share one as its chips hold."""
        heads = self.technology.of("chips") / self.organisation.chips_of_a_head
        return min(self.technology.pool_ranks, max(self.shape.n_kv_heads / heads, 1.0))

    def busy(self, sequences: int) -> float:
        """Of the ranks, by so many sequences: where queries share heads, whole sequences lie in
        few ranks, and the fullest is waited for.
        """
        if self.shape.n_kv_heads == self.shape.n_heads:
            return 1.0
        groups = self.pools * int(self.technology.pool_ranks // self.ranks)
        return sequences / (math.ceil(sequences / groups) * groups)

    def attention_s(self, tokens: float) -> float:
        """Of a block of one sequence that is alone: link, and its heads over as many ranks."""
        if not tokens:
            return 0.0
        read = self.pool_bytes_per_s * self.ranks / self.technology.pool_ranks
        sent = self.link_bytes / self.shape.n_layers / (link().port_gb_s.mid * 1e9)
        return (link().link_us.mid * 1e-6 + sent
                + tokens * self.token_bytes / self.shape.n_layers / read)

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
