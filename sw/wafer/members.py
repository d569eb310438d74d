"""How many cores share a KV head's tokens: more have more room, and more to add up for the home."""

from collections.abc import Sequence
from dataclasses import replace

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer

__all__ = ["OBJECTIVES", "alternatives", "best_members", "estimate"]

OBJECTIVES = ("decode", "prefill", "room")
"""Tokens/s of decode or of prefill, tokens of KV."""


def estimate(machine: Machine, shape: ModelShape,
             options: WaferOptions) -> tuple[Wafer, tuple[Wafer, ...]]:
    """The model with the members asked for, or best for the objective; and every number tried.

    Raises
    ------
    PerfError, BlockError
        As ``WaferPlacement``; or if the objective is unknown.
    """
    if options.objective not in OBJECTIVES:
        raise PerfError(f"objective must be one of {OBJECTIVES}, not {options.objective!r}")
    if options.members is not None:
        found = Wafer(machine, shape, options, options.members)
        return found, (found,)
    # A placement was made for certain members; others have other links.
    tried = alternatives(machine, shape, replace(options, busiest_link=None))
    found = best_members(tried, options.objective)
    if options.busiest_link is not None:
        found = Wafer(machine, shape, options, found.members)
    return found, tried


def alternatives(machine: Machine, shape: ModelShape,
                 options: WaferOptions) -> tuple[Wafer, ...]:
    """The model with every number of members worth trying, that is: those that hold the context."""
    most = Wafer(machine, shape, options)
    found = []
    for members in _choices(most.members):
        try:
            found.append(Wafer(machine, shape, options, members))
        except PerfError:       # the context does not fit
            continue
    return tuple(found)


def best_members(tried: Sequence[Wafer], objective: str) -> Wafer:
    """By the objective, then by the others."""
    def worth(wafer: Wafer) -> tuple[float, ...]:
        values = {"decode": wafer.decode_tokens_per_s, "prefill": wafer.prefill_tokens_per_s,
                  "room": float(wafer.kv_tokens)}
        return values[objective], *(values[name] for name in OBJECTIVES if name != objective)
    return max(tried, key=worth)


def _choices(most: int) -> list[int]:
    """Numbers of members to try: all small ones, of larger ones every fourth and the largest."""
    return [n for n in range(1, most + 1) if n <= 12 or n % 4 == 0 or n == most]
