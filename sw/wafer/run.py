"""Requests through a chain: exact, by pruning; in full, to check that; or fast, on one server.

``exact`` leaves out what can never make a token wait (``prune``) and gives every time as ``full``
does. ``fast`` follows the first block and the last only (``fast_plan``).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.chain import Chain, Ints
from ouroboros.sw.wafer.loop import DONE, OVERFLOW, layout_of, serve
from ouroboros.sw.wafer.nodes import lay_out
from ouroboros.sw.wafer.plan import Plan, fast_plan, make_plan, one_layout
from ouroboros.sw.wafer.policy import (
    END,
    FINISHED,
    FIRST,
    GENERATED,
    INJECTED,
    KV_FULL,
    LENGTH,
    PREEMPTIONS,
    RECOMPUTED,
    Rules,
    fresh,
)

__all__ = ["GRAINS", "MODES", "Run", "Traffic", "plan_of", "run"]

MODES = ("exact", "fast", "full")
GRAINS = ("token", "sequence")
FLYING = 1 << 16
"""Tokens under way at most; a wafer's pipeline has some hundreds."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests in the order of their arrivals: ``(requests,)`` each."""

    arrivals: Ints
    """Cycles."""
    prompts: Ints
    """Tokens."""
    outputs: Ints
    """Tokens to generate, at least 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What came of it; times in cycles, ``(requests,)`` arrays in the order of the traffic."""

    traffic: Traffic
    """What was asked for."""
    served: npt.NDArray[np.bool_]
    """Requests that got all their tokens; the others were refused, or cut off for want of room."""
    generated: Ints
    """Tokens of each."""
    preemptions: Ints
    """How often each gave up its KV."""
    first: Ints
    """When the first token of each was back; 0 where there is none."""
    end: Ints
    """When the last one was."""
    by_context: Ints
    """``(contexts + 1,)``: tokens that were computed, by the tokens that they attend to."""
    recomputed: int
    """The part of them that had been computed before."""
    poisoned: int
    """Tokens that found a core full and computed nothing."""
    frees: int
    """Tokens that freed a sequence."""
    injected: int
    """All of these together."""
    cycles: int
    """Until the last result."""
    kv_share: float
    """KV blocks in use, of all, on average over time."""
    kv_peak: float
    """The most at any time."""
    sequences: float
    """Sequences alive, on average over time."""
    long_tokens: int
    """Tokens for which the layout for long contexts was followed."""
    nodes: int
    """Nodes that a token of a short one passes."""

    @property
    def refused(self) -> npt.NDArray[np.bool_]:
        """Requests that do not fit the machine."""
        return ~self.served

    @property
    def tokens(self) -> int:
        """Tokens that were computed."""
        return int(self.by_context.sum())


def run(chain: Chain, rules: Rules, traffic: Traffic, *, mode: str = "exact",
        grain: str = "token") -> Run:
    """Serve all requests that fit the machine at all.

    Parameters
    ----------
    chain : Chain
        The machine; it must have times for ``rules.context``.
    rules : Rules
        Policy and room.
    traffic : Traffic
        Requests.
    mode : str
        One of ``MODES``.
    grain : str
        ``token``: tokens follow each other one by one; ``sequence``: a prompt is one unit.

    Raises
    ------
    PerfError
        If an option is unknown, or the policy comes to a standstill.
    """
    for name, value, known in (("mode", mode, MODES), ("grain", grain, GRAINS)):
        if value not in known:
            raise PerfError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    if chain.contexts < rules.context:
        raise PerfError(f"context must be at most {chain.contexts}, that of the chain, not "
                        f"{rules.context}")
    total = traffic.prompts + traffic.outputs
    most = min(rules.context, rules.sequence_blocks * rules.members * rules.block_tokens)
    if rules.static_tokens:
        most = min(most, rules.static_tokens)
    fits = np.flatnonzero(total <= most)
    plan = plan_of(chain, mode, grain)
    state, phases = plan.long.fresh()
    policy = fresh(rules, traffic.prompts[fits], traffic.outputs[fits], traffic.arrivals[fits])
    steps, others = np.zeros(chain.contexts + 2, np.int64), np.zeros(3, np.int64)
    areas = np.zeros(4)
    hold_at, way_at = plan.long.hold_at, plan.long.way_at
    code = serve(policy, rules, int(grain == "sequence"), layout_of(plan.short),
                 layout_of(plan.long), plan.limit, plan.clear, hold_at, way_at, np.cumsum(hold_at),
                 state, phases, np.zeros((FLYING, 6), np.int64), steps, others, areas,
                 np.zeros((0, 5), np.int64))
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

    finished = every(found[:, FINISHED])
    assert not (finished == KV_FULL).any(), "what fits alone is never refused for good"
    return Run(
        traffic=traffic, served=finished == LENGTH, generated=every(found[:, GENERATED]),
        preemptions=every(found[:, PREEMPTIONS]), first=every(found[:, FIRST]),
        end=every(found[:, END]), by_context=np.cumsum(steps)[:-1],
        recomputed=int(policy.numbers[RECOMPUTED]), poisoned=int(others[0]), frees=int(others[1]),
        injected=int(policy.numbers[INJECTED]), cycles=cycles,
        kv_share=areas[0] / max(cycles, 1) / blocks, kv_peak=areas[3] / blocks,
        sequences=areas[1] / max(cycles, 1), long_tokens=int(others[2]), nodes=plan.short.count)


def plan_of(chain: Chain, mode: str, grain: str) -> Plan:
    """What is followed."""
    if grain == "sequence":
        return one_layout(lay_out(chain, merged=False))     # units need every cell
    if mode == "fast":
        return fast_plan(chain)
    return make_plan(chain) if mode == "exact" else one_layout(lay_out(chain))
