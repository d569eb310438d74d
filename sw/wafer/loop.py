"""The event loop: results that are back, who is admitted, who goes in, when it is through."""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.wafer.chain import Ints
from ouroboros.sw.wafer.nodes import free_at, push, push_unit
from ouroboros.sw.wafer.policy import (
    ACTIVE,
    ARRIVAL,
    ARRIVED,
    BLOCKED,
    CLASS,
    COMPUTED,
    FLYING,
    FREE,
    FREED,
    GENERATED,
    INJECTED,
    LEAVING,
    NEVER,
    NEXT,
    PROMPT,
    PROMPT_TOKEN,
    REACHED,
    RECOMPUTED,
    REQUEST,
    REWIND,
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

__all__ = ["AREAS", "DONE", "OVERFLOW", "STUCK", "serve"]

DONE, STUCK, OVERFLOW = range(3)
AREAS = ("kv", "sequences")
"""Integrals over time that ``serve`` fills in: blocks in use, sequences alive."""
WHEN, WHOSE, AT, COUNT, BEFORE, OUTCOME = range(6)
"""Columns of what is under way."""
FREES = 2
"""Outcome of a token that frees."""


@compiled
def serve(policy: Policy, rules: Rules, by_sequence: int, table: Ints, end: Ints, first: int,
          state: Ints, turns: Ints, hold_at: Ints, way_at: Ints, holds: Ints, flying: Ints,
          histogram: Ints, others: Ints, areas: npt.NDArray[np.float64], log: Ints) -> int:
    """Serve all requests; returns ``DONE``, or why not.

    Parameters
    ----------
    by_sequence : int
        1: all tokens of a prompt that can go in do so as one.
    table, end, first, state, turns, hold_at, way_at
        See ``Nodes``.
    holds : array
        Sums of ``hold_at``: ``holds[c]`` is that of contexts 1 to c.
    flying : array
        ``(power of two, 6)``: room for what is under way.
    histogram : array
        Counts computed tokens by context.
    others : array
        ``(2,)``: counts tokens that were refused, and those that freed.
    areas : array
        See ``AREAS``; the last two are the time up to which they are, and the most blocks in use.
    log : array
        ``(n, 5)``: the first n steps: cycle, sequence, position, tokens, outcome.
    """
    numbers, requests, sequences = policy.numbers, policy.requests, policy.sequences
    pages = policy.pages
    now = head = tail = steps = 0
    mask = len(flying) - 1
    while True:
        now = max(now, free_at(table, first, state, turns))
        while head != tail and flying[head & mask, WHEN] <= now:
            at = head & mask
            head += 1
            s, outcome, position = flying[at, WHOSE], flying[at, OUTCOME], flying[at, AT]
            if (outcome == COMPUTED and sequences[s, REWIND] < 0 and not sequences[s, LEAVING]
                    and position + 1 < requests[sequences[s, REQUEST], PROMPT]):
                sequences[s, FLYING] -= flying[at, COUNT]   # as deliver would, and faster
            elif outcome == FREES:
                areas[1] += numbers[ACTIVE] * (now - areas[2])
                areas[0] += numbers[USED] * (now - areas[2])
                areas[2] = now
                freed_sequence(policy, rules, s)
            else:
                deliver(policy, rules, s, position, flying[at, COUNT], flying[at, BEFORE], outcome,
                        flying[at, WHEN])
        if not numbers[BLOCKED] and (numbers[STACKED] or (
                numbers[ARRIVED] < len(requests) and requests[numbers[ARRIVED], ARRIVAL] <= now)):
            before = numbers[ACTIVE]
            admit(policy, rules, now)
            if numbers[ACTIVE] != before:
                areas[1] += before * (now - areas[2])
                areas[0] += numbers[USED] * (now - areas[2])
                areas[2] = now
        s = take(policy)
        if s < 0:
            later = flying[head & mask, WHEN] if head != tail else NEVER
            if numbers[ARRIVED] < len(requests) and requests[numbers[ARRIVED], ARRIVAL] > now:
                later = min(later, requests[numbers[ARRIVED], ARRIVAL])
            if later == NEVER:
                return STUCK if numbers[ACTIVE] or numbers[STACKED] else DONE
            now = later
            continue
        position, tokens, kind = sequences[s, NEXT], 1, sequences[s, CLASS]
        if kind == FREE:
            areas[0] += numbers[USED] * (now - areas[2])
            areas[1] += numbers[ACTIVE] * (now - areas[2])
            areas[2] = now
            release(policy, rules, s)
            outcome = FREES
            others[1] += 1
            x = push(now, hold_at[1], way_at[1], table, end, state, turns)
        else:
            r, used = sequences[s, REQUEST], numbers[USED]
            outcome = COMPUTED
            if not pages[s, position // rules.block_tokens]:
                outcome = allocate(policy, rules, s, position)
            if by_sequence and kind == PROMPT_TOKEN and outcome == COMPUTED:
                last = requests[r, PROMPT] + requests[r, GENERATED]
                while (position + tokens < last and allocate(
                        policy, rules, s, position + tokens) == COMPUTED):
                    tokens += 1
            if numbers[USED] != used:
                areas[0] += used * (now - areas[2])
                areas[1] += numbers[ACTIVE] * (now - areas[2])
                areas[2] = now
                areas[3] = max(areas[3], numbers[USED])
            context = position + tokens
            if outcome == COMPUTED:
                for c in range(position + 1, context + 1):
                    histogram[c] += 1
                again = min(context, requests[r, REACHED]) - position
                if again > 0:
                    numbers[RECOMPUTED] += again
                requests[r, REACHED] = max(requests[r, REACHED], context)
            else:
                others[0] += 1
            if tokens == 1:
                x = push(now, hold_at[context], way_at[context], table, end, state, turns)
            else:
                x = push_unit(now, tokens, holds[context] - holds[position], hold_at[context],
                              way_at[context], table, end, state, turns)
        if tail - head > mask:
            return OVERFLOW
        at = tail & mask
        tail += 1
        flying[at, WHEN], flying[at, WHOSE], flying[at, AT] = x, s, position + tokens - 1
        flying[at, COUNT], flying[at, BEFORE], flying[at, OUTCOME] = tokens, numbers[FREED], outcome
        if kind == PROMPT_TOKEN and position + tokens < requests[sequences[s, REQUEST], PROMPT]:
            numbers[INJECTED] += tokens     # as inject would, and faster
            sequences[s, FLYING] += tokens
            sequences[s, NEXT] += tokens
        else:
            inject(policy, s, tokens)
        if steps < len(log):
            log[steps, 0], log[steps, 1], log[steps, 2] = now, s, position
            log[steps, 3], log[steps, 4] = tokens, outcome
            steps += 1
