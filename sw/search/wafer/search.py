"""The search: designs best first, then places by annealing; the homogeneous wafer is the seed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ouroboros.sw.search.annealing.budget import Budget
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.designs import Design, Model
from ouroboros.sw.search.wafer.kinds import DieKind, kind_of, kinds
from ouroboros.sw.search.wafer.places import KV, WEIGHTS, Kinds, Place, Places
from ouroboros.sw.search.wafer.ranking import Ranking
from ouroboros.sw.wafer.mixed import MixedWafer

__all__ = ["Candidate", "Found", "anneal", "homogeneous", "search", "space"]

HEADS = (1, 2)
"""KV heads of a core that are tried."""
FEWER_MEMBERS = 2
"""So many numbers of members below the most are tried."""
HOT, COLD = 0.5, 0.005
"""Temperatures of the annealing, as parts of the cost of the first pattern."""
DESIGNS_PART = 0.6
"""Of the budget, for designs at most."""
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Candidate:
    """A design, and where it lies."""

    design: Design
    """Kinds, heads, members."""
    wafer: MixedWafer
    """What the wafer model makes of it."""
    kinds: Kinds | None = None
    """``(dies,)`` along the snake: weights or KV; None: cores are of one kind."""
    place: Place | None = None
    """What that adds."""
    border_flits: int = 0
    """Per token on a link of the busiest border between dies."""

    @property
    def decode(self) -> float:
        """Tokens/s of decode at the context."""
        return self.wafer.decode_tokens_per_s

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        one = self.design
        return {
            "weights": _kind_dict(one.weights), "kv": _kind_dict(one.kv),
            "heads_per_core": one.heads, "members": one.members,
            "sequences": self.wafer.sequences, "kv_tokens": self.wafer.kv.kv_tokens,
            "latency_cycles": self.wafer.latency_cycles,
            "interval_cycles": self.wafer.interval_cycles,
            "decode_tokens_per_s": self.decode, "border_flits": self.border_flits,
            "dies": None if self.kinds is None else self.kinds.tolist(),
            "blocks": None if self.place is None else [
                {"weights": list(w), "kv": list(k)}
                for w, k in zip(self.place.weights, self.place.kv, strict=True)]}


def _kind_dict(kind: DieKind) -> dict[str, int]:
    return {"rows": kind.rows, "active_rows": kind.active_rows, "lanes": kind.lanes}


@dataclass(frozen=True)
class Found:
    """The best that was found."""

    best: Candidate
    """Never slower than ``homogeneous``."""
    homogeneous: Candidate
    """The machine as it is."""
    bound: float
    """Tokens/s that no design of the space is above, by the same model."""
    designs: int
    """That were costed."""
    patterns: int
    """Places that were tried."""
    interrupted: bool
    """Somebody asked to end."""


def homogeneous(model: Model) -> Candidate:
    """The machine of one kind, with the members that are best for decode.

    Raises
    ------
    SearchError
        If the model, or one sequence at the context, does not fit.
    """
    kind, best, why = kind_of(model.base), None, ""
    heads = next((n for n in HEADS if model.shape.n_kv_heads % n == 0
                  and model.most_members(kind, kind, n)), 1)
    for members in range(1, model.most_members(kind, kind, heads) + 1):
        try:
            found = Candidate(design := Design(kind, kind, heads, members), model.on(design))
        except SearchError as error:
            why = str(error)
            continue
        if best is None or found.decode > best.decode:
            best = found
    if best is None:
        # With a member that does not fit, the refusal says how many cores are short.
        model.share_out(Design(kind, kind, heads, 1))
        raise SearchError(why)
    return best


def space(model: Model, *, weights: Iterable[DieKind] | None = None,
          kv: Iterable[DieKind] | None = None, heads: Iterable[int] = HEADS) -> list[Design]:
    """Designs that fit the silicon; kinds are all that can be built, if none are given.

    Weights on less than half the machine's active rows are left out: every product would take four
    times as long.
    """
    every, found = kinds(model.base), []
    for first in weights or [one for one in every
                             if 2 * one.active_rows >= model.base.cim.active_rows]:
        for second in kv or every:
            for each in heads:
                if model.shape.n_kv_heads % each or each > model.base.kv.heads:
                    continue
                most = model.most_members(first, second, each)
                found += [Design(first, second, each, members)
                          for members in range(max(1, most - FEWER_MEMBERS), most + 1)]
    return found


def search(model: Model, *, seconds: float | None = None, evaluations: int | None = None,
           seed: int = 0, designs: Iterable[Design] | None = None,
           progress: Progress = lambda spent, best: None) -> Found:
    """Make decode fast at equal silicon.

    Parameters
    ----------
    model : Model
        Model, wafer, context.
    seconds, evaluations
        Budget: wall time, or designs and places together; one of the two.
    seed : int
        Of the annealing.
    designs : iterable of Design, optional
        Those to choose from; all that fit, if none are given.
    progress : callable
        Told the part of the budget that is spent, and the best so far.

    Raises
    ------
    SearchError
        If the budget is none, or the homogeneous wafer does not hold the model.
    """
    budget = Budget(seconds=seconds, evaluations=evaluations)
    base = homogeneous(model)
    best, patterns, interrupted = base, 0, False
    ranking = Ranking(model)
    try:
        ranking.rank(space(model) if designs is None else designs)
        while budget.spent < DESIGNS_PART and not ranking.settled(best.decode):
            tried = ranking.tried
            found = ranking.step()
            budget.used += ranking.tried - tried
            if found is not None and not found[1].mixed and found[0] > best.decode:
                best = Candidate(found[1], model.on(found[1]))
            progress(budget.spent, best.decode)
        ranking.hurry()
        rng = np.random.default_rng(seed)
        finalists = ranking.best
        for n, (value, design) in enumerate(finalists):
            if not design.mixed or value <= best.decode:
                continue
            share = (1 - budget.spent) / (len(finalists) - n)
            lying, spent = anneal(model, design, budget, budget.spent + share, rng)
            patterns += spent
            if lying.decode > best.decode:
                best = lying
            progress(budget.spent, best.decode)
    except KeyboardInterrupt:
        interrupted = True
    bound = max(base.decode, best.decode, ranking.reach)
    return Found(best, base, bound, ranking.tried, patterns, interrupted)


def anneal(model: Model, design: Design, budget: Budget, until: float,
           rng: np.random.Generator) -> tuple[Candidate, int]:
    """Places of a design: two dies of the pattern change until the budget's part is spent.

    Returns
    -------
    found, patterns
        The best, and how many patterns were tried.
    """
    places = Places(model, design)
    now = min((places.first(), places.naive()), key=places.cost)
    cost = places.cost(now)
    best, least, tried = now, cost, 0
    # What is spent is never above 1; sums of parts of it may be.
    start, begin, until = max(cost, 1), budget.spent, min(until, 1.0)
    while (spent := budget.spent) < until:
        part = (spent - begin) / max(until - begin, 1e-9)
        allowed = start * HOT * (COLD / HOT) ** part * rng.exponential()
        one = int(rng.integers(len(now)))
        others = np.flatnonzero(now != now[one])
        if not len(others):
            break
        other = int(rng.choice(others))
        after = now.copy()
        after[[one, other]] = now[[other, one]]
        tried, budget.used = tried + 1, budget.used + 1
        value = places.cost(after)
        if value <= cost + allowed:
            now, cost = after, value
            if cost < least:
                best, least = now, cost
    return placed(model, places, best), tried


def placed(model: Model, places: Places, pattern: Kinds,
           context: int | None = None) -> Candidate:
    """A design on a pattern of dies."""
    place, wafer = places.place(pattern), model.on(places.design, context)
    flits = places.border_flits(place)
    mesh = wafer.weights.link_flits
    return Candidate(places.design, MixedWafer(wafer.weights, wafer.kv, place.ways(flits, mesh)),
                     pattern, place, flits)


def at_context(model: Model, found: Candidate, context: int) -> Candidate:
    """The same with programs for another context."""
    if found.kinds is None:
        return replace(found, wafer=model.on(found.design, context))
    return placed(model, Places(model, found.design), found.kinds, context)


assert WEIGHTS != KV
