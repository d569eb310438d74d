"""Pools of computing memory by themselves: room, bandwidth, ports, and what a run needs of them.

``sw.tier.edge`` adds the wafers' rates in closed form, ``sw.wafer.pooled`` serves requests.
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

from ouroboros.hw.params.load import load
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.values import Value
from ouroboros.sw.lib.quantities import Quantities, quantity
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.organisation import QUERIES, Organisation, largest
from ouroboros.sw.tier.technology import Technology
from ouroboros.sw.wafer.policy import NEVER
from ouroboros.sw.wafer.pools import POLICIES, PoolTimes

__all__ = ["BANKS", "Link", "PoolSide", "Pools", "link"]

BANKS = ("lockstep", "staggered")
"""How all banks of a rank are activated."""


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


class PoolSide:
    """Pools at edge ports, one each; of ``technology``, with K and V of ``shape``."""

    technology: Technology
    pools: int
    banks: str

    @property
    def shape(self) -> ModelShape:
        """The model."""
        raise NotImplementedError

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

    def check_place(self, machine: Machine, wafers: int) -> None:
        """Refuse pools that cannot be there.

        Raises
        ------
        TierError
            If there are more than edge ports, or their banks work in no known way.
        """
        if self.banks not in BANKS:
            raise TierError(f"banks must be one of {', '.join(BANKS)}, not {self.banks!r}")
        most = 2 * (machine.mesh.width + machine.mesh.height) * wafers
        if not 0 <= self.pools <= most:
            raise TierError(f"pools must be 0 to {most} (edge ports of {wafers} wafers), not "
                            f"{self.pools}")

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

    @property
    def lanes(self) -> int:
        """Sequences of a pool that are read at once: where heads have their own queries, all ranks
        work on one; else as many as ranks there are for.
        """
        if self.shape.n_kv_heads == self.shape.n_heads:
            return 1
        return max(1, int(self.technology.pool_ranks // self.ranks))

    def read_share(self, tokens: int) -> float:
        """Time of a read that serves so many tokens of a prompt, over that of one token's.

        A bank's unit takes their queries at once, as those that share a head; more partial sums and
        weights pass the rank's bus.
        """
        own = self.organisation
        compute = own.compute_s(self.efficiency)
        sent = (own.exchange_s(own.score_bytes), own.exchange_s(own.weight_bytes))
        return (sum(max(compute, tokens * one) for one in sent)
                / sum(max(compute, one) for one in sent))

    @property
    def together(self) -> int:
        """Tokens of a prompt that a read best serves."""
        most = max(1, QUERIES // self.organisation.group)
        return min(range(1, most + 1), key=lambda n: self.read_share(n) / n)

    def times(self, clock_hz: float, *, policy: str = POLICIES[0], share: float = 0.0,
              fails_at_s: float | None = None) -> PoolTimes:
        """For ``sw.wafer.pooled``, at a clock."""
        port = link().port_gb_s.mid * 1e9 / clock_hz
        read = self.pool_bytes_per_s / clock_hz
        known = link().link_us.mid * 1e-6 * clock_hz * self.shape.n_layers
        alone = self.token_bytes * self.technology.pool_ranks / (read * self.ranks)
        group = self.read_share(self.together)
        return PoolTimes(
            pools=self.pools, lanes=self.lanes, together=self.together,
            room=int(self.technology.pool_bytes // self.token_bytes),
            hold=self.lanes * self.token_bytes / read, fixed=known + self.link_bytes / port,
            way=alone, group=group, port=self.link_bytes / 2 / port,
            move=self.token_bytes / port, policy=POLICIES.index(policy), share=share,
            fails_at=NEVER if fails_at_s is None else round(fails_at_s * clock_hz))


@dataclass(frozen=True, kw_only=True)
class Pools(PoolSide):
    """Pools without the wafers that they stand beside."""

    model: ModelShape
    """Whose K and V."""
    technology: Technology
    """Of every pool."""
    pools: int
    """How many."""
    banks: str = "lockstep"
    """Of ``BANKS``."""

    @property
    def shape(self) -> ModelShape:
        """The model."""
        return self.model
