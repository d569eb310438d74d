"""One load under several policies on one machine: grain, static KV, ring, threshold."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ouroboros.sw.replay.load import Load
from ouroboros.sw.replay.play import Stage, play
from ouroboros.sw.replay.played import Played
from ouroboros.sw.runtime.job import Progress
from ouroboros.sw.serving.options import ServingOptions

__all__ = ["PAPER", "THRESHOLDS", "Case", "cases", "compare_policies", "factors"]

PAPER = {"grain": 2.05, "kv": 1.99}
"""Factors of the published ablation: token- over sequence-grained, distributed over static KV."""
THRESHOLDS = (0, 1, 2, 4)
"""Blocks kept free at admission."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A run of a comparison."""

    name: str
    """What it is."""
    stage: Stage
    """Machine."""
    options: ServingOptions
    """Policy."""


def cases(stage: Stage, options: ServingOptions, *, split: str = "split") -> tuple[Case, ...]:
    """What is compared; ``stage.kv_blocks`` makes the KV tight.

    Parameters
    ----------
    split : str
        Placement whose KV heads have several members, for the ring.
    """
    context = stage.program().context
    found = [Case(name="token", stage=stage, options=options),
             Case(name="sequence", stage=stage, options=replace(options, grain="sequence")),
             # What it reserves is all that a sequence can grow to: nothing has to be kept free.
             Case(name="static", stage=stage,
                  options=replace(options, static_tokens=context, headroom_blocks=0))]
    found += [Case(name=f"threshold {blocks}", stage=stage,
                   options=replace(options, headroom_blocks=blocks))
              for blocks in THRESHOLDS if blocks != options.headroom_blocks]
    if stage.on != "model":
        members = replace(stage, placement=split, kv_blocks=None)
        if stage.kv_blocks is not None:
            # The same room, shared by the members.
            count = members.program().kv_members
            members = replace(members, kv_blocks=max(stage.kv_blocks // count, 1))
        found += [Case(name=name, stage=replace(members, ring=ring), options=options)
                  for name, ring in (("ring", True), ("no ring", False))]
    return tuple(found)


def compare_policies(
        chosen: tuple[Case, ...], load: Load, *, seed: int = 0,
        told: Callable[[Case, Played], None] = lambda case, played: None,
        progress: Progress = lambda what, done, total: None) -> dict[str, Played]:
    """Play the load in every case; ``told`` of each as it ends."""
    found: dict[str, Played] = {}
    for case in chosen:
        found[case.name] = play(case.stage, load, case.options, seed=seed, progress=progress)
        told(case, found[case.name])
    return found


def factors(found: dict[str, Played]) -> dict[str, Any]:
    """Times of runs over each other, beside the published ones where there are such."""
    def over(slow: str, fast: str) -> float | None:
        if slow not in found or fast not in found:
            return None
        return found[slow].ticks / max(found[fast].ticks, 1)

    return {"token_over_sequence": over("sequence", "token"),
            "token_over_sequence_published": PAPER["grain"],
            "distributed_over_static": over("static", "token"),
            "distributed_over_static_published": PAPER["kv"],
            "ring_over_none": over("no ring", "ring")}
