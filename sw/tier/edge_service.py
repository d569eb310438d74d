"""Requests on wafers with pools: the service of ``sw.wafer`` with a second room."""

from dataclasses import replace

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.tier.edge import TYPICAL, Edge, Wafers
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.pool_side import Pools
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.members import estimate
from ouroboros.sw.wafer.pooled_run import PooledRun, longest_in, run_pooled
from ouroboros.sw.wafer.pools import POLICIES, PoolTimes
from ouroboros.sw.wafer.requests import Requests
from ouroboros.sw.wafer.service import Service

__all__ = ["PooledService", "pooled_service"]


class PooledService(Service):
    """A model on wafers with pools, with a policy.

    Parameters
    ----------
    wafer : Wafer
        The model; its context is the longest part of a sequence that lies on the wafer.
    pools : Pools
        At its edge.
    policy : str
        Of ``sw.wafer.pools.POLICIES``.
    share : float
        Of a split sequence that lies in a pool.
    fails_at_s : float, optional
        When the first pool is lost.
    headroom_blocks : int
        As for ``Service``.

    Raises
    ------
    TierError
        If there are more pools than edge ports, or the policy is unknown.
    """

    def __init__(self, wafer: Wafer, pools: Pools, *, policy: str = POLICIES[0], share: float = 0.5,
                 fails_at_s: float | None = None, headroom_blocks: int = 1):
        super().__init__(wafer, headroom_blocks=headroom_blocks)
        if policy not in POLICIES:
            raise TierError(f"pool_policy must be one of {', '.join(POLICIES)}, not {policy!r}")
        if not 0 < share < 1:
            raise TierError(f"pool_share must lie between 0 and 1, not {share:g}")
        pools.check_place(wafer.machine, wafer.wafers)
        self.pools, self.policy, self.share, self.fails_at_s = pools, policy, share, fails_at_s

    def times(self, clock_hz: float | None = None) -> PoolTimes:
        """Of the pools, in cycles of the wafer's clock or of another one."""
        return self.pools.times(clock_hz or self.wafer.clock_hz, policy=self.policy,
                                share=self.share, fails_at_s=self.fails_at_s)

    @property
    def longest(self) -> tuple[int, int]:
        """Tokens of the longest request that the wafer serves alone, and with pools."""
        return longest_in(self.rules, self.times())

    def serve(self, requests: Requests, *, mode: str = "exact",
              clock_hz: float | None = None) -> PooledRun:
        """As ``Service.serve``; pools keep their pace whatever the wafer's clock is."""
        if mode == "fast" and self.wafer.wafers > 1:
            mode = "exact"
        hz = clock_hz or self.wafer.clock_hz
        return run_pooled(self.chain, self.rules, self.times(hz), requests.at(hz), mode=mode)


def pooled_service(machine: Machine, shape: ModelShape, options: WaferOptions, requests: Requests,
                   longest: int | None, pools: Pools, *, policy: str = POLICIES[0],
                   share: float | None = None, fails_at_s: float | None = None,
                   headroom_blocks: int = 1) -> PooledService:
    """A service whose programs have room for what lies on the wafer.

    Parameters
    ----------
    machine, shape, options, requests, longest
        As for ``sw.wafer.service``.
    pools, policy, share, fails_at_s, headroom_blocks
        As for ``PooledService``; without a share that with which the longest request's context is
        served fastest in closed form.
    """
    size = machine.block_tokens
    members = options.members
    if members is None:
        # Contexts may be longer than the wafer has room for.
        typical = min(TYPICAL, int((requests.prompts + requests.outputs).mean()))
        best, _ = estimate(machine, shape, replace(options, context=max(1, typical)))
        members = best.members
    shortest = Wafer(machine, shape, replace(options, context=1), members)
    wanted = longest or min(-(-requests.longest // size) * size, shortest.most_context)
    while longest is None and wanted > size:
        try:
            _ = Wafer(machine, shape, replace(options, context=wanted), members).interval_cycles
        except BlockError:      # no buffers for programs of that length
            wanted = wanted // 2 // size * size
        else:
            break
    if share is None:
        share = 0.5
        if policy == "oldest":
            edge = Edge(wafers=Wafers(machine, shape, options.wafers, dict(options.overrides)),
                        technology=pools.technology, pools=max(pools.pools, 1), banks=pools.banks)
            share, _ = edge.split(requests.longest)
            share = min(share, 1 - size / requests.longest)
    return PooledService(Wafer(machine, shape, replace(options, context=wanted), members), pools,
                         policy=policy, share=share, fails_at_s=fails_at_s,
                         headroom_blocks=headroom_blocks)
