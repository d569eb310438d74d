"""Pools of computing memory beside a wafer that serves requests: options, and what they did."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.lib.options import Options, leaves, option
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.tier.edge_service import PooledService, pooled_service
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.pictures import KEPT_MARK
from ouroboros.sw.tier.pool_side import BANKS, Pools
from ouroboros.sw.tier.technology import Currents, load_technology, technology_names
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.pooled_run import PooledRun
from ouroboros.sw.wafer.pools import POLICIES
from ouroboros.sw.wafer.requests import Requests

__all__ = ["WithPools", "check_served", "pools_as_dict", "with_pools"]


@dataclass(frozen=True, kw_only=True)
class WithPools(Options):
    """Pools at edge ports, and who lives there."""

    pools: int = option(0, metavar="N", least=0, most=4096)
    """At edge ports, one each; requests that the wafer has no room for live there."""
    pool_technology: str = option("ddr4-3200", names=technology_names, metavar="FILE.toml")
    """Shipped technology of a pool or path of a TOML file."""
    banks: str = option("lockstep", choices=lambda: BANKS)
    """Activation of a rank's banks."""
    pool_policy: str = option(POLICIES[0], choices=lambda: POLICIES)
    """Who lives in pools: whole sequences that find no room, the oldest tokens of those that the
    wafer cannot hold, or only who gives way."""
    pool_share: float | None = option(None, metavar="F", above=0)
    """Of an oldest-policy sequence, in a pool; by default the best in closed form."""
    pool_fails_at: float | None = option(None, metavar="S", least=0)
    """The first pool disappears after so many seconds."""
    head_rows: int | None = option(None, metavar="N", least=1)
    """Outputs of the head on the wafer, the host computes the others."""
    plot: Path | None = option(None, written=True, mark=KEPT_MARK, suffixes=(".svg", ".png"))
    """Picture: K and V on the wafer and in every pool over time."""

    def check_pools(self) -> None:
        """Refuse what needs pools where there are none.

        Raises
        ------
        PerfError
            Names the first.
        """
        for one in leaves(WithPools):
            if one.name not in ("pools", "head_rows") and getattr(
                    self, one.name) != one.default and not self.pools:
                raise PerfError(f"{one.flag} needs pools: give --pools N")

    def of_head(self, shape: ModelShape) -> ModelShape:
        """The model with ``head_rows``.

        Raises
        ------
        TierError
            If the vocabulary is smaller.
        """
        if self.head_rows is None:
            return shape
        if self.head_rows > shape.vocab_size:
            raise TierError(f"head_rows must be at most {shape.vocab_size} (the vocabulary of "
                            f"{shape.name}), not {self.head_rows}")
        return replace(shape, vocab_size=self.head_rows)


def with_pools(options: WithPools, machine: Machine, shape: ModelShape, where: WaferOptions,
               requests: Requests, longest: int | None, headroom_blocks: int) -> PooledService:
    """The service that the options ask for.

    Raises
    ------
    OuroborosError
        If the model does not fit, or the pools cannot be had.
    """
    technology, _ = load_technology(options.pool_technology)
    return pooled_service(
        machine, shape, where, requests, longest,
        Pools(model=shape, technology=technology, pools=options.pools, banks=options.banks),
        policy=options.pool_policy, share=options.pool_share, fails_at_s=options.pool_fails_at,
        headroom_blocks=headroom_blocks)


def check_served(service: PooledService, run: PooledRun) -> None:
    """Refuse a run of which nothing could be served.

    Raises
    ------
    TierError
        Names the longest that could.
    """
    if run.served.any() or run.generated.any():
        return
    alone, most = service.longest
    raise TierError(
        f"tokens of a request must be at most {most:,} ({service.pools.pools} pools of "
        f"{service.pools.technology.of('pool_gib'):g} GiB, policy {service.policy!r}; {alone:,} on "
        f"the wafer alone), not {int((run.traffic.prompts + run.traffic.outputs).min()):,}: all "
        f"{len(run.served):,} requests are refused")


def pools_as_dict(service: PooledService, run: PooledRun, options: WithPools) -> dict[str, Any]:
    """What pools did, for a file."""
    own, hz = service.pools, service.wafer.clock_hz
    _, currents = load_technology(options.pool_technology)
    seconds = max(run.cycles, 1) / hz
    lanes = run.times.pools * run.times.lanes
    alone, most = service.longest
    found = {
        **run.as_dict(), "technology": options.pool_technology, "banks": own.banks,
        "fails_at_s": service.fails_at_s, "longest_on_wafer": alone, "longest": most,
        "token_bytes": own.token_bytes, "pool_bytes_per_s": own.pool_bytes_per_s,
        "banks_busy": run.counts["lane_cycles"] / lanes / max(run.cycles, 1),
        "moved_bytes": run.counts["tokens_moved"] * own.token_bytes,
        "steady_tokens_per_s": run.steady_rate * hz}
    if currents is not None:
        found["joules"] = _joules(run, currents, own, seconds)
    return found


def _joules(run: PooledRun, currents: Currents, own: Pools, seconds: float) -> float:
    """K and V that are read, and standby; the wafer's energy is counted apart."""
    read = run.counts["tokens_read"] * own.token_bytes
    per_byte = (currents.activation_pj_per_byte(own.technology)
                + currents.read_pj_per_byte(own.technology))
    return read * per_byte * 1e-12 + currents.standby_w(own.technology) * own.pools * seconds
