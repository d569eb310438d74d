"""The event loop with pools: ``sw.wafer.loop`` and attention that is elsewhere.

A token that needs a pool goes in when its lane can take it. It passes the wafer's cells as any
other does, with the attention that is left there, and comes out as much later as the pool takes
longer in all blocks; those behind it do not wait for that.
"""

import math

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, embedded
from ouroboros.sw.wafer.chain import Ints
from ouroboros.sw.wafer.loop import (
    AT,
    BEFORE,
    CHECK,
    COUNT,
    DONE,
    FREES,
    OUTCOME,
    OVERFLOW,
    STUCK,
    WHEN,
    WHOSE,
    Layout,
    integrate,
    note,
)
from ouroboros.sw.wafer.nodes import Places, free_at, push
from ouroboros.sw.wafer.plan import clear
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
    GENERATED_ALL,
    HOME,
    LEAVING,
    LIMIT,
    MOVING,
    NEVER,
    NEXT,
    PARKED,
    POISON,
    PREEMPTED,
    PROMPT,
    PROMPT_TOKEN,
    REACHED,
    RECOMPUTED,
    REQUEST,
    SPLIT,
    STACKED,
    USED,
    WHERE,
    WRITTEN,
    Policy,
    Rules,
    allocate,
    classify,
    deliver,
    freed_sequence,
    inject,
    release,
    take,
)
from ouroboros.sw.wafer.pools import (
    BUSY,
    COMPUTED_THERE,
    FAILED,
    IN,
    LANE_NEXT,
    MOVED,
    OUT,
    PARKINGS,
    READ,
    RESULT,
    Held,
    PoolTimes,
    admit_pooled,
    earliest,
    empty,
    fail,
    leave_pool,
    pop,
    push_event,
    room_for,
    waiting,
)

__all__ = ["WHERE_COLUMNS", "serve_pooled"]

WHERE_COLUMNS = ("cycle", "sequences", "generated", "alive_tokens", "wafer")
"""Of ``where``; tokens in every pool follow. ``alive_tokens`` is counted sequence by sequence."""


@compiled
def serve_pooled(policy: Policy, rules: Rules, pools: PoolTimes, held: Held, short: Layout,
                 long: Layout, limit: int, conditions: Ints, hold_at: Ints, way_at: Ints,
                 bare: int, blocks: int, state: Ints, phases: Places, flying: Ints, steps: Ints,
                 others: Ints, areas: npt.NDArray[np.float64], log: Ints, where: Ints,
                 rows: Ints) -> int:
    """Serve all requests; returns ``DONE``, or why not. See ``loop.serve`` for the rest.

    Parameters
    ----------
    bare, blocks
        Way of a token through all cells of attention on the wafer: ``bare + blocks *
        way_at[context]``.
    where : array
        ``(rows, 5 + pools)``: samples of ``WHERE_COLUMNS``; where it is full every second is left.
    rows : array
        ``(1,)``: samples so far.
    """
    numbers, requests, sequences = policy.numbers, policy.requests, policy.sequences
    active, ready = policy.active, policy.ready
    times, places, sections, end = short.times, short.places, short.sections, short.end
    times2, places2, sections2, end2 = long.times, long.places, long.sections, long.end
    slots, first = long.slots, long.first
    scratch = max(len(times), len(times2))
    own, at_ = np.zeros((scratch, 4), np.int64), np.zeros((scratch, 4), np.uint64)
    now = head = tail = logged = wait = 0
    sample, step = 0, 1024
    mask = len(flying) - 1
    while True:
        now = max(now, free_at(places2, first, state, phases))
        # What is back, in the order of time.
        while True:
            back = flying[head & mask, WHEN] if head != tail else NEVER
            other = earliest(held)
            lost = NEVER if held.numbers[FAILED] else pools.fails_at
            if min(back, other, lost) > now:
                break
            if lost <= min(back, other):
                fail(policy, pools, held)
            elif back <= other:
                at = head & mask
                head += 1
                s, outcome = flying[at, WHOSE], flying[at, OUTCOME]
                if outcome == FREES:
                    integrate(areas, numbers, now)
                    leave_pool(policy, rules, pools, held, s)
                    freed_sequence(policy, rules, s)
                else:
                    deliver(requests, sequences, active, ready, policy.promised, numbers, rules, s,
                            flying[at, AT], flying[at, COUNT], flying[at, BEFORE], outcome,
                            flying[at, WHEN])
            else:
                _event(policy, rules, pools, held)
        if now >= sample:
            step = _sample(policy, held, where, rows, now, step)
            sample = now + step
        coming = NEVER
        if numbers[ARRIVED] < len(requests):
            coming = requests[numbers[ARRIVED], ARRIVAL]
        if not numbers[BLOCKED] and (numbers[STACKED] or coming <= now):
            integrate(areas, numbers, now)
            while True:
                s = admit_pooled(policy, rules, pools, held, now)
                if s < 0:
                    break
                if not _bring_back(policy, rules, pools, held, s, now):
                    return OVERFLOW
            areas[3] = max(areas[3], numbers[USED])
            coming = NEVER
            if numbers[ARRIVED] < len(requests):
                coming = requests[numbers[ARRIVED], ARRIVAL]
        s = take(active, ready)
        there = waiting(policy, pools, held, now)
        if there >= 0 and (s < 0 or sequences[there, CLASS] < sequences[s, CLASS] or (
                sequences[there, CLASS] == sequences[s, CLASS]
                and sequences[there, WHERE] < sequences[s, WHERE])):
            s = there
        if s < 0:
            later = min(flying[head & mask, WHEN] if head != tail else NEVER, earliest(held),
                        held.numbers[LANE_NEXT])
            if coming > now:
                later = min(later, coming)
            if later == NEVER and (numbers[STACKED] or numbers[ACTIVE]) and not held.numbers[
                    FAILED]:
                later = pools.fails_at
            elif later != NEVER and not held.numbers[FAILED]:
                later = min(later, pools.fails_at)
            if later == NEVER:
                return STUCK if numbers[ACTIVE] or numbers[STACKED] else DONE
            now = max(now, later)
            continue
        if tail - head > mask:
            return OVERFLOW
        position, kind, outcome = sequences[s, NEXT], sequences[s, CLASS], COMPUTED
        r, split = sequences[s, REQUEST], sequences[s, SPLIT]
        context = last = position + 1
        wake = NEVER
        if kind == FREE:
            if sequences[s, LEAVING] == PREEMPTED and not sequences[s, HOME]:
                pool = room_for(pools, held, requests[r, PROMPT] + requests[r, LIMIT])
                if pool >= 0 and sequences[s, WRITTEN]:
                    if not _send_away(policy, pools, held, s, pool, now):
                        return OVERFLOW
                    continue
            integrate(areas, numbers, now)
            release(policy, rules, s)
            empty(policy, pools, held, s)
            outcome, context, last = FREES, 1, 1
            others[1] += 1
        else:
            known = requests[r, PROMPT] + requests[r, GENERATED]
            if position >= split:
                if not policy.pages[s, (position - split) // rules.block_tokens]:
                    integrate(areas, numbers, now)
                    outcome = allocate(policy, rules, s, position - split)
                    areas[3] = max(areas[3], numbers[USED])
                # See ``loop.serve``; what needs a lane goes as a group.
                last = split + ((position - split) // rules.block_tokens + 1) * rules.block_tokens
            else:
                last = split
            if outcome == POISON:
                last = position + 1
            elif sequences[s, HOME]:
                last = max(position + 1, min(last, position + pools.together, known - 1))
            elif kind == PROMPT_TOKEN:
                last = max(position + 1, min(last, requests[r, PROMPT] - 1))
                wake = min(flying[head & mask, WHEN] if head != tail else NEVER, earliest(held),
                           held.numbers[LANE_NEXT])
                if not held.numbers[FAILED]:
                    wake = min(wake, pools.fails_at)
                if not numbers[BLOCKED] and coming > now:
                    wake = min(wake, coming)
            else:
                last = position + 1
        begun = now
        while True:
            logged = note(log, logged, now, s, position if outcome == FREES else context - 1,
                          1, outcome)
            here = max(1, context - split)
            if here > limit:
                wait = CHECK
            if wait:
                x = push(now, hold_at[here], way_at[here], times2, places2, sections2, end2, slots,
                         state, phases, own, at_)
                others[2] += 1
                wait -= 1
                if not wait and not clear(conditions, slots, state, phases):
                    wait = CHECK
            else:
                x = push(now, hold_at[here], way_at[here], times, places, sections, end, slots,
                         state, phases, own, at_)
            if context >= last:
                break
            then = max(now, free_at(places2, first, state, phases))
            if then >= wake:
                break
            now = then
            context += 1
        tokens = 1 if outcome == FREES else context - position
        if outcome == COMPUTED:
            _computed(policy, pools, held, steps, s, position, context)
        elif outcome != FREES:
            others[0] += 1
        if outcome == COMPUTED and sequences[s, HOME]:
            x = _through(pools, held, sequences[s, HOME] - 1, split, context, tokens, begun, x,
                         bare, blocks, way_at)
            if not push_event(held, x, RESULT, s, position + tokens - 1, tokens, numbers[FREED],
                              outcome):
                return OVERFLOW
        else:
            at = tail & mask
            tail += 1
            flying[at, WHEN], flying[at, WHOSE], flying[at, AT] = x, s, position + tokens - 1
            flying[at, COUNT], flying[at, BEFORE] = tokens, numbers[FREED]
            flying[at, OUTCOME] = outcome
        inject(requests, sequences, ready, numbers, s, tokens)


@embedded
def _computed(policy: Policy, pools: PoolTimes, held: Held, steps: Ints, s: int, position: int,
              context: int) -> None:
    """Count tokens from a position on that are computed, the last at ``context``."""
    one = policy.sequences[s]
    r, split = one[REQUEST], one[SPLIT]
    steps[max(1, position + 1 - split)] += context - position if context <= split else 1
    steps[max(1, context - split) + 1] -= context - position if context <= split else 1
    again = min(context, policy.requests[r, REACHED]) - position
    if again > 0:
        policy.numbers[RECOMPUTED] += again
    policy.requests[r, REACHED] = max(policy.requests[r, REACHED], context)
    # What is written again, or behind a gap that will be filled, is there once.
    if position <= one[WRITTEN] < context:
        new = min(context, split) - min(one[WRITTEN], split)
        held.tokens[0] += context - one[WRITTEN] - new
        if new:
            held.tokens[1 + (one[HOME] - 1) // pools.lanes] += new
        one[WRITTEN] = context


@embedded
def _through(pools: PoolTimes, held: Held, lane: int, split: int, context: int, tokens: int,
             begun: int, x: int, bare: int, blocks: int, way_at: Ints) -> int:
    """When tokens are back that a lane takes, the last of which is through the wafer at ``x``."""
    there, here = min(context, split), context - split
    pool = lane // pools.lanes
    carried = math.ceil(pools.port * tokens)
    read = there * (pools.group if tokens > 1 else 1.0)
    held.lane_free[lane] = begun + math.ceil(pools.hold * read)
    held.port_free[pool] = begun + carried
    held.numbers[READ] += there
    held.numbers[BUSY] += held.lane_free[lane] - begun
    held.numbers[COMPUTED_THERE] += tokens
    longer = math.ceil(pools.fixed + pools.way * read) - bare - blocks * way_at[max(1, here)]
    # Of a split sequence both parts are waited for.
    return int(max(begun + 1, x + longer if here <= 0 else x + max(0, longer)))


# Moves

@compiled
def _send_away(policy: Policy, pools: PoolTimes, held: Held, s: int, pool: int, now: int) -> bool:
    """A sequence that gives way goes to a pool; its blocks are freed when it is there."""
    one = policy.sequences[s]
    held.reserved[pool] += policy.requests[one[REQUEST], PROMPT] + policy.requests[
        one[REQUEST], LIMIT]
    one[LEAVING] = MOVING
    one[FLYING] += 1
    classify(policy.requests, policy.sequences, policy.ready, s)
    return _move(pools, held, OUT, s, pool, one[WRITTEN], now)


@compiled
def _bring_back(policy: Policy, rules: Rules, pools: PoolTimes, held: Held, s: int,
                now: int) -> bool:
    """A sequence that was parked comes back to blocks that it is given now."""
    one = policy.sequences[s]
    r = one[REQUEST]
    tokens = held.saved[r, 0]
    for position in range(0, tokens, rules.block_tokens):
        assert allocate(policy, rules, s, position) == COMPUTED, "no more than was promised"
    # Nothing of it can go in until it is there.
    one[NEXT] = policy.requests[r, PROMPT] + policy.requests[r, GENERATED]
    one[FLYING] += 1
    return _move(pools, held, IN, s, (held.saved[r, 1] - 1) // pools.lanes, tokens, now)


@compiled
def _move(pools: PoolTimes, held: Held, kind: int, s: int, pool: int, tokens: int,
          now: int) -> bool:
    """Before tokens that need the port: blocks of the wafer wait for it."""
    ends = max(now, held.port_free[pool]) + math.ceil(pools.move * tokens)
    held.port_free[pool] = ends
    return push_event(held, ends, kind, s, pool, tokens, 0, 0)


@compiled
def _event(policy: Policy, rules: Rules, pools: PoolTimes, held: Held) -> None:
    """The next one of the heap happens."""
    sequences, requests = policy.sequences, policy.requests
    when, kind, s, at, count, before, outcome = pop(held)
    one = sequences[s]
    r = one[REQUEST]
    if kind == RESULT:
        deliver(requests, sequences, policy.active, policy.ready, policy.promised, policy.numbers,
                rules, s, at, count, before, outcome, when)
        return
    one[FLYING] -= 1
    if kind == OUT and held.alive[at]:
        one[LEAVING] = PARKED
        held.saved[r, 0], held.saved[r, 1] = count, at * pools.lanes + 1
        held.tokens[0] -= count
        held.tokens[1 + at] += count
        one[WRITTEN] = 0
        held.numbers[PARKINGS] += 1
        held.numbers[MOVED] += count
    elif kind == OUT:
        one[LEAVING] = PREEMPTED
    else:
        kept = count if held.alive[at] and held.saved[r, 0] else 0
        one[NEXT] = one[WRITTEN] = kept
        held.saved[r, 0] = 0
        held.reserved[at] -= requests[r, PROMPT] + requests[r, LIMIT]
        held.tokens[0] += kept
        held.numbers[MOVED] += kept
        if held.alive[at]:
            held.tokens[1 + at] -= kept
    classify(requests, sequences, policy.ready, s)


# Where K and V are

@compiled
def _sample(policy: Policy, held: Held, where: Ints, rows: Ints, now: int, step: int) -> int:
    """Note what is kept where; returns the cycles until the next sample."""
    if not len(where):
        return NEVER // 2
    if rows[0] == len(where):
        rows[0] = (len(where) + 1) // 2
        for n in range(rows[0]):
            where[n] = where[2 * n]
        step = max(2 * step, now // rows[0])
    one, alive = where[rows[0]], 0
    for place in range(policy.numbers[ACTIVE]):
        s = policy.active[place]
        alive += policy.sequences[s, WRITTEN] + held.saved[policy.sequences[s, REQUEST], 0]
    for n in range(policy.numbers[STACKED]):
        alive += held.saved[policy.stack[n], 0]
    one[0], one[1], one[2] = now, policy.numbers[ACTIVE], policy.numbers[GENERATED_ALL]
    one[3] = alive
    one[4:] = held.tokens
    rows[0] += 1
    return step
