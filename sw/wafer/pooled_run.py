"""Requests through a chain with pools at its edge."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.chain import Chain, Ints
from ouroboros.sw.wafer.loop import DONE, OVERFLOW, layout_of
from ouroboros.sw.wafer.policy import (
    END,
    FINISHED,
    FIRST,
    GENERATED,
    INJECTED,
    LENGTH,
    PREEMPTIONS,
    REACHED,
    RECOMPUTED,
    Rules,
    fresh,
)
from ouroboros.sw.wafer.pooled import WHERE_COLUMNS, serve_pooled
from ouroboros.sw.wafer.pools import COUNTS, POLICIES, PoolTimes, fresh_pools
from ouroboros.sw.wafer.run import FLYING, Run, Traffic, plan_of

__all__ = ["PooledRun", "longest_in", "run_pooled"]

IDS = 4096
"""Sequences in pools at once, at most."""
ROWS = 2048
"""Samples of where K and V are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledRun(Run):
    """What came of it, and where K and V were.

    ``by_context`` counts a token that attends to nothing on the wafer as one of context 1 there.
    """

    times: PoolTimes
    """Pools, in cycles."""
    counts: dict[str, int]
    """See ``pools.COUNTS``."""
    where: Ints
    """``(samples, 5 + pools)``: ``WHERE_COLUMNS``, then tokens in every pool."""
    on_wafer: npt.NDArray[np.bool_]
    """``(requests,)``: those that the wafer could hold alone."""
    reached: Ints
    """``(requests,)``: tokens of each that were computed."""

    def column(self, name: str) -> Ints:
        """Of ``where``."""
        found: Ints = self.where[:, WHERE_COLUMNS.index(name)]
        return found

    @property
    def in_pools(self) -> Ints:
        """``(samples, pools)``: tokens."""
        found: Ints = self.where[:, len(WHERE_COLUMNS):]
        return found

    @property
    def steady_rate(self) -> float:
        """Tokens generated a cycle while most sequences are alive: at least half of the most."""
        busy = np.flatnonzero(2 * self.column("sequences") >= self.column("sequences").max(
            initial=0))
        if len(busy) < 2:
            return 0.0
        a, b = self.where[busy[0]], self.where[busy[-1]]
        at = WHERE_COLUMNS.index("generated")
        return float(b[at] - a[at]) / max(int(b[0] - a[0]), 1)

    def as_dict(self) -> dict[str, Any]:
        """What pools did, for a file."""
        return {"pools": self.times.pools, "policy": POLICIES[self.times.policy],
                "room_tokens": self.times.room, "lanes": self.times.lanes,
                "prompt_tokens_a_read": self.times.together, "share": self.times.share,
                **self.counts, "beyond_wafer": int((self.served & ~self.on_wafer).sum()),
                "tokens_at_most": [int(n) for n in self.in_pools.max(axis=0, initial=0)],
                "tokens_on_wafer_at_most": int(self.column("wafer").max(initial=0))}


def longest_in(rules: Rules, times: PoolTimes) -> tuple[int, int]:
    """Tokens of the longest request that the wafer serves alone, and with pools."""
    alone = min(rules.context, rules.sequence_blocks * rules.members * rules.block_tokens)
    if not times.pools or POLICIES[times.policy] == "parked":
        return alone, alone
    if POLICIES[times.policy] == "sequences":
        return alone, max(alone, times.room)
    # The pool has its share, and what the wafer cannot hold of the rest.
    split = min(int(times.room / max(times.share, 1e-9)), alone + times.room - rules.block_tokens)
    return alone, max(alone, split)


def run_pooled(chain: Chain, rules: Rules, times: PoolTimes, traffic: Traffic, *,
               mode: str = "exact") -> PooledRun:
    """Serve all requests that fit the wafer or a pool.

    Parameters
    ----------
    chain, rules, traffic, mode
        As for ``sw.wafer.run``.
    times : PoolTimes
        Pools; at the clock that the traffic's arrivals are of.

    Raises
    ------
    PerfError
        If the policy cannot be had with pools, or comes to a standstill.
    """
    if rules.static_tokens:
        raise PerfError("static_tokens must be 0 with pools, which reserve whole lengths, not "
                        f"{rules.static_tokens}")
    total = traffic.prompts + traffic.outputs
    alone, most = longest_in(rules, times)
    fits = np.flatnonzero(total <= most)
    plan = plan_of(chain, mode, "token")
    state, phases = plan.long.fresh()
    ids = min(len(fits), IDS) if times.pools else 0
    policy = fresh(rules, traffic.prompts[fits], traffic.outputs[fits], traffic.arrivals[fits], ids)
    held = fresh_pools(rules, times, len(fits), ids, FLYING)
    steps, others = np.zeros(chain.contexts + 2, np.int64), np.zeros(3, np.int64)
    areas, rows = np.zeros(4), np.zeros(1, np.int64)
    where = np.zeros((ROWS, len(WHERE_COLUMNS) + times.pools), np.int64)
    attention = [cell for cell in chain.cells if cell.context]
    code = serve_pooled(
        policy, rules, times, held, layout_of(plan.short), layout_of(plan.long), plan.limit,
        plan.clear, plan.long.hold_at, plan.long.way_at, sum(cell.way for cell in attention),
        len(attention), state, phases, np.zeros((FLYING, 6), np.int64), steps, others, areas,
        np.zeros((0, 5), np.int64), where, rows)
    if code != DONE:
        raise PerfError(f"tokens under way must be at most {FLYING:,}" if code == OVERFLOW else
                        "requests must end, but none of those alive can go on: give more KV blocks "
                        "or a smaller headroom")
    found = policy.requests
    cycles = int(found[:, END].max(initial=0))
    blocks = rules.members * rules.blocks

    def every(values: Ints) -> Ints:
        whole = np.zeros(len(total), np.int64)
        whole[fits] = values
        return whole

    return PooledRun(
        traffic=traffic, served=every(found[:, FINISHED]) == LENGTH,
        generated=every(found[:, GENERATED]), preemptions=every(found[:, PREEMPTIONS]),
        first=every(found[:, FIRST]), end=every(found[:, END]), by_context=np.cumsum(steps)[:-1],
        recomputed=int(policy.numbers[RECOMPUTED]), poisoned=int(others[0]), frees=int(others[1]),
        injected=int(policy.numbers[INJECTED]), cycles=cycles,
        kv_share=areas[0] / max(cycles, 1) / blocks, kv_peak=areas[3] / blocks,
        sequences=areas[1] / max(cycles, 1), long_tokens=int(others[2]), nodes=plan.short.count,
        times=times, counts={name: int(held.numbers[at]) for name, at in COUNTS.items()},
        where=where[:rows[0]].copy(), on_wafer=total <= alone, reached=every(found[:, REACHED]))
