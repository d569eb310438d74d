"""The event loop: results that are back, who is admitted, who goes in, when it is through."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, embedded
from ouroboros.sw.wafer.chain import Ints
from ouroboros.sw.wafer.nodes import Nodes, Places, free_at, push, push_unit
from ouroboros.sw.wafer.plan import clear
from ouroboros.sw.wafer.policy import (
    ACTIVE,
    ARRIVAL,
    ARRIVED,
    BLOCKED,
    CLASS,
    COMPUTED,
    FREE,
    FREED,
    GENERATED,
    NEVER,
    NEXT,
    PROMPT,
    PROMPT_TOKEN,
    REACHED,
    RECOMPUTED,
    REQUEST,
    STACKED,
    USED,
    Policy,
    Rules,
    admit,
    allocate,
    deliver,
    freed_sequence,
    inject,
    release,
    take,
)

__all__ = ["AREAS", "DONE", "OVERFLOW", "STUCK", "Layout", "integrate", "layout_of", "note",
           "serve"]

DONE, STUCK, OVERFLOW = range(3)
AREAS = ("kv", "sequences")
"""Integrals over time that ``serve`` fills in: blocks in use, sequences alive."""
WHEN, WHOSE, AT, COUNT, BEFORE, OUTCOME = range(6)
"""Columns of what is under way."""
FREES = 2
"""Outcome of a token that frees."""
CHECK = 32
"""Tokens from one look at whether the long layout can be left to the next."""


class Layout(NamedTuple):
    """What the loop needs of ``Nodes``."""

    times: Ints
    places: Places
    sections: Places
    end: Ints
    slots: Places
    first: int


def layout_of(nodes: Nodes) -> Layout:
    """As a tuple, which kernels take."""
    return Layout(nodes.times, nodes.places, nodes.sections, nodes.end, nodes.slots, nodes.first)


@compiled
def serve(policy: Policy, rules: Rules, by_sequence: int, short: Layout, long: Layout, limit: int,
          conditions: Ints, hold_at: Ints, way_at: Ints, holds: Ints, state: Ints, phases: Places,
          flying: Ints, steps: Ints, others: Ints, areas: npt.NDArray[np.float64],
          log: Ints) -> int:
    """Serve all requests; returns ``DONE``, or why not.

    Parameters
    ----------
    by_sequence : int
        1: all tokens of a prompt that can go in do so as one.
    short, long, limit, conditions
        See ``Plan``.
    hold_at, way_at, state, phases
        See ``Nodes``.
    holds : array
        Sums of ``hold_at``: ``holds[c]`` is that of contexts 1 to c.
    flying : array
        ``(power of two, 6)``: room for what is under way.
    steps : array
        ``(contexts + 2,)``: computed tokens by context, as differences: a run of tokens adds one
        at its first context and takes it off behind its last.
    others : array
        ``(3,)``: counts tokens that were refused, those that freed, those in the long layout.
    areas : array
        See ``AREAS``; the last two are the time up to which they are, and the most blocks in use.
    log : array
        ``(n, 5)``: the first n steps: cycle, sequence, position, tokens, outcome.
    """
    numbers, requests, sequences = policy.numbers, policy.requests, policy.sequences
    pages, active, ready, promised = policy.pages, policy.active, policy.ready, policy.promised
    times, places, sections, end = short.times, short.places, short.sections, short.end
    times2, places2, sections2, end2 = long.times, long.places, long.sections, long.end
    slots, first = long.slots, long.first
    scratch = max(len(times), len(times2))
    own, at_ = np.zeros((scratch, 4), np.int64), np.zeros((scratch, 4), np.uint64)
    now = head = tail = logged = wait = 0
    mask = len(flying) - 1
    while True:
        now = max(now, free_at(places2, first, state, phases))
        while head != tail and flying[head & mask, WHEN] <= now:
            at = head & mask
            head += 1
            s, outcome = flying[at, WHOSE], flying[at, OUTCOME]
            if outcome == FREES:
                integrate(areas, numbers, now)
                freed_sequence(policy, rules, s)
            else:
                deliver(requests, sequences, active, ready, promised, numbers, rules, s,
                        flying[at, AT], flying[at, COUNT], flying[at, BEFORE], outcome,
                        flying[at, WHEN])
        coming = NEVER
        if numbers[ARRIVED] < len(requests):
            coming = requests[numbers[ARRIVED], ARRIVAL]
        if not numbers[BLOCKED] and (numbers[STACKED] or coming <= now):
            integrate(areas, numbers, now)
            admit(policy, rules, now)
            coming = NEVER
            if numbers[ARRIVED] < len(requests):
                coming = requests[numbers[ARRIVED], ARRIVAL]
        s = take(active, ready)
        if s < 0:
            later = flying[head & mask, WHEN] if head != tail else NEVER
            if coming > now:
                later = min(later, coming)
            if later == NEVER:
                return STUCK if numbers[ACTIVE] or numbers[STACKED] else DONE
            now = later
            continue
        if tail - head > mask:
            return OVERFLOW
        position, kind, outcome = sequences[s, NEXT], sequences[s, CLASS], COMPUTED
        r = sequences[s, REQUEST]
        context = last = position + 1
        wake = NEVER
        if kind == FREE:
            integrate(areas, numbers, now)
            release(policy, rules, s)
            outcome, context, last = FREES, 1, 1
            others[1] += 1
        else:
            if not pages[s, position // rules.block_tokens]:
                integrate(areas, numbers, now)
                outcome = allocate(policy, rules, s, position)
                areas[3] = max(areas[3], numbers[USED])
            if kind == PROMPT_TOKEN and outcome == COMPUTED and not by_sequence:
                # The rest of the block follows, up to the last token of the prompt, until something
                # comes back or arrives.
                last = max(last, min((position // rules.block_tokens + 1) * rules.block_tokens,
                                     requests[r, PROMPT] - 1))
                if head != tail:
                    wake = flying[head & mask, WHEN]
                if not numbers[BLOCKED] and coming > now:
                    wake = min(wake, coming)
        if by_sequence and kind == PROMPT_TOKEN and outcome == COMPUTED:
            integrate(areas, numbers, now)
            length = requests[r, PROMPT] + requests[r, GENERATED]
            while context < length and allocate(policy, rules, s, context) == COMPUTED:
                context += 1
            areas[3] = max(areas[3], numbers[USED])
            logged = note(log, logged, now, s, position, context - position, outcome)
            x = push_unit(now, context - position, holds[context] - holds[position],
                          hold_at[context], way_at[context], times2, places2, sections2, end2,
                          slots, state, phases)
        else:
            while True:
                logged = note(log, logged, now, s, position if outcome == FREES else context - 1,
                               1, outcome)
                if context > limit:
                    wait = CHECK
                if wait:
                    x = push(now, hold_at[context], way_at[context], times2, places2, sections2,
                             end2, slots, state, phases, own, at_)
                    others[2] += 1
                    wait -= 1
                    if not wait and not clear(conditions, slots, state, phases):
                        wait = CHECK
                else:
                    x = push(now, hold_at[context], way_at[context], times, places, sections, end,
                             slots, state, phases, own, at_)
                if context >= last:
                    break
                then = max(now, free_at(places2, first, state, phases))
                if then >= wake:
                    break
                now = then
                context += 1
        tokens = 1 if outcome == FREES else context - position
        if outcome == COMPUTED:
            steps[position + 1] += 1
            steps[context + 1] -= 1
            again = min(context, requests[r, REACHED]) - position
            if again > 0:
                numbers[RECOMPUTED] += again
            requests[r, REACHED] = max(requests[r, REACHED], context)
        elif outcome != FREES:
            others[0] += 1
        at = tail & mask
        tail += 1
        flying[at, WHEN], flying[at, WHOSE], flying[at, AT] = x, s, position + tokens - 1
        flying[at, COUNT], flying[at, BEFORE], flying[at, OUTCOME] = tokens, numbers[FREED], outcome
        inject(requests, sequences, ready, numbers, s, tokens)


@embedded
def integrate(areas: npt.NDArray[np.float64], numbers: Ints, now: int) -> None:
    """Up to now, what is in use is what it was."""
    areas[0] += numbers[USED] * (now - areas[2])
    areas[1] += numbers[ACTIVE] * (now - areas[2])
    areas[2] = now


@embedded
def note(log: Ints, logged: int, now: int, s: int, position: int, tokens: int,
          outcome: int) -> int:
    """Keep a step while there is room."""
    if logged < len(log):
        log[logged, 0], log[logged, 1], log[logged, 2] = now, s, position
        log[logged, 3], log[logged, 4] = tokens, outcome
        logged += 1
    return logged
