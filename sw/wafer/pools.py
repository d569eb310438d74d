"""Pools beside the wafer: who enters, what is moved, what a lost one takes along.

A pool is room for tokens, and lanes that read them: parts of its ranks that work on a sequence
each. A lane takes the next token once it has read what the one before attends to, in all blocks;
only then does the host send one, so that none waits for a pool within the wafer. A pool's port
carries q, k, v and contexts, and K and V that are moved.

What does not change is ``PoolTimes``, made by ``sw.tier.edge_service`` of a technology.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, embedded
from ouroboros.sw.wafer.chain import Ints
from ouroboros.sw.wafer.policy import (
    ACTIVE,
    ARRIVAL,
    ARRIVED,
    BLOCKED,
    CLASS,
    CROWDED,
    DECODE,
    FINISHED,
    FREE_COUNT,
    FREE_FIRST,
    GENERATED,
    HOME,
    KV_FULL,
    LEAVING,
    LIMIT,
    LOST,
    NEVER,
    NEXT,
    NOTHING,
    PREEMPTED,
    PROMPT,
    PROMPT_TOKEN,
    REQUEST,
    RESERVED,
    REWIND,
    SPLIT,
    STACKED,
    WHERE,
    WRITTEN,
    Policy,
    Rules,
    blocks_of,
    classify,
    leave,
    promise,
    share_of,
)

__all__ = ["COUNTS", "POLICIES", "Held", "PoolTimes", "admit_pooled", "earliest", "empty", "fail",
           "fresh_pools", "leave_pool", "pop", "push_event", "room_for", "waiting"]

POLICIES = ("sequences", "oldest", "parked")
"""``sequences``: who finds no room on the wafer lives in a pool; ``oldest``: of sequences that the
wafer cannot hold the oldest tokens do; ``parked``: who gives way waits there. In all of them who
gives way is moved, not computed again: with ``sequences`` it goes on there, else it comes back."""
SEQUENCES, OLDEST, PARK = range(3)
# Numbers that are kept.
(EVENTS, TIES, RESIDENT, IN_POOLS, FREE_IDS, READ, MOVED, PARKINGS, LOST_COUNT, COMPUTED_THERE,
 FAILED, LANE_NEXT, BUSY) = range(13)
COUNTS = {"tokens_read": READ, "tokens_moved": MOVED, "parked": PARKINGS, "lost": LOST_COUNT,
          "tokens_computed": COMPUTED_THERE, "lane_cycles": BUSY}
"""What a run counts: tokens of context read in pools, K and V moved between wafer and pools,
sequences parked, lost with a pool, tokens whose attention pools took part in, cycles for which
lanes were busy."""
# Columns of an event, and kinds.
WHEN, TIE, KIND, WHOSE, AT, COUNT, BEFORE, OUTCOME = range(8)
RESULT, OUT, IN = range(3)


class PoolTimes(NamedTuple):
    """What does not change; cycles."""

    pools: int
    """How many."""
    lanes: int
    """Of a pool."""
    room: int
    """Tokens of K and V that one holds."""
    together: int
    """Tokens of a prompt that a read of K and V serves."""
    hold: float
    """Of a lane, of all blocks, for each token that is attended to."""
    fixed: float
    """On the way to a pool and back, in all blocks."""
    way: float
    """The same as ``hold``, of a token's latency, where it is alone."""
    group: float
    """Of both, where the read serves several tokens of a prompt, over that of one."""
    port: float
    """Of a port, for each token."""
    move: float
    """Of a port, to move K and V of a token."""
    policy: int
    """Of ``POLICIES``."""
    share: float
    """Of a split sequence that lies in a pool."""
    fails_at: int
    """When the first pool is lost; ``NEVER``: not at all."""


class Held(NamedTuple):
    """Everything that changes."""

    lane_free: Ints
    """``(pools * lanes,)``: when a lane takes the next token."""
    lane_count: Ints
    """``(pools * lanes,)``: sequences."""
    port_free: Ints
    """``(pools,)``: when a port takes the next token."""
    reserved: Ints
    """``(pools,)``: tokens that sequences may have there."""
    alive: Ints
    """``(pools,)``: 0: lost."""
    tokens: Ints
    """``(1 + pools,)``: tokens whose K and V are kept on the wafer, and in each pool."""
    events: Ints
    """``(n, 8)``: heap of what is under way, the next one first."""
    saved: Ints
    """``(requests, 2)``: tokens of a request that are parked; 1 more than the lane they are at."""
    ids: Ints
    """``(n,)``: stack of ids of sequences without a page in KV cores."""
    numbers: Ints
    """``(13,)``."""


def fresh_pools(rules: Rules, times: PoolTimes, requests: int, ids: int, events: int) -> Held:
    """Empty pools; ``ids``: sequences that lie in them altogether, at most."""
    lanes = times.pools * times.lanes

    def zeros(*shape: int) -> npt.NDArray[np.int64]:
        return np.zeros(shape, np.int64)
    numbers = zeros(13)
    numbers[FREE_IDS] = ids
    return Held(zeros(lanes), zeros(lanes), zeros(times.pools), zeros(times.pools),
                np.ones(times.pools, np.int64),
                zeros(1 + times.pools), zeros(events, 8), zeros(requests, 2),
                rules.sequences + np.arange(ids - 1, -1, -1, dtype=np.int64), numbers)


# Events

@embedded
def earliest(held: Held) -> int:
    """Time of the next event."""
    return int(held.events[0, WHEN]) if held.numbers[EVENTS] else NEVER


@embedded
def _before(events: Ints, a: int, b: int) -> bool:
    return bool(events[a, WHEN] < events[b, WHEN] or (
        events[a, WHEN] == events[b, WHEN] and events[a, TIE] < events[b, TIE]))


@embedded
def _swap(events: Ints, a: int, b: int) -> None:
    for n in range(events.shape[1]):
        events[a, n], events[b, n] = events[b, n], events[a, n]


@compiled
def push_event(held: Held, when: int, kind: int, s: int, at: int, count: int, before: int,
               outcome: int) -> bool:
    """Note what will happen; False: there is no room to."""
    events, n = held.events, held.numbers[EVENTS]
    if n == len(events):
        return False
    held.numbers[EVENTS] += 1
    held.numbers[TIES] += 1
    one = events[n]
    one[WHEN], one[TIE], one[KIND], one[WHOSE] = when, held.numbers[TIES], kind, s
    one[AT], one[COUNT], one[BEFORE], one[OUTCOME] = at, count, before, outcome
    while n and _before(events, n, (n - 1) // 2):
        _swap(events, n, (n - 1) // 2)
        n = (n - 1) // 2
    return True


@compiled
def pop(held: Held) -> tuple[int, int, int, int, int, int, int]:
    """Take out the next event: time, kind, sequence, and what was noted."""
    events = held.events
    one = events[0].copy()
    held.numbers[EVENTS] -= 1
    size, n = held.numbers[EVENTS], 0
    _swap(events, 0, size)
    while True:
        least = n
        for child in (2 * n + 1, 2 * n + 2):
            if child < size and _before(events, child, least):
                least = child
        if least == n:
            break
        _swap(events, n, least)
        n = least
    return one[WHEN], one[KIND], one[WHOSE], one[AT], one[COUNT], one[BEFORE], one[OUTCOME]


# Who enters

@embedded
def room_for(times: PoolTimes, held: Held, tokens: int) -> int:
    """The pool with most room that has it for so many tokens; -1: none."""
    best, most = -1, tokens - 1
    for pool in range(times.pools):
        free = times.room - held.reserved[pool]
        if held.alive[pool] and free > most:
            best, most = pool, free
    return best


@embedded
def _lane(times: PoolTimes, held: Held, pool: int) -> int:
    """The one with the fewest sequences."""
    best = pool * times.lanes
    for lane in range(best, best + times.lanes):
        if held.lane_count[lane] < held.lane_count[best]:
            best = lane
    return best


@embedded
def _on_wafer(policy: Policy, rules: Rules, held: Held, blocks: int, more: int) -> bool:
    """Whether a sequence of so many blocks may enter, ``more`` of them later."""
    if not policy.numbers[FREE_COUNT]:
        return False
    if held.numbers[RESIDENT] == 0:
        return True
    if policy.numbers[CROWDED]:
        return False
    s = policy.free_ids[policy.numbers[FREE_FIRST]]
    for m in range(rules.members):
        if (share_of(rules, blocks + more, s, m) + rules.headroom_blocks
                > rules.blocks - policy.promised[m]):
            return False
    return True


@embedded
def _enter(policy: Policy, rules: Rules, held: Held, r: int, own: bool) -> int:
    """A request becomes a sequence: with a page in KV cores, or without."""
    numbers = policy.numbers
    if own:
        s = policy.free_ids[numbers[FREE_FIRST]]
        numbers[FREE_FIRST] = (numbers[FREE_FIRST] + 1) % rules.sequences
        numbers[FREE_COUNT] -= 1
        held.numbers[RESIDENT] += 1
    else:
        held.numbers[FREE_IDS] -= 1
        s = held.ids[held.numbers[FREE_IDS]]
    one = policy.sequences[s]
    one[:] = 0
    one[REQUEST], one[REWIND], one[CLASS], one[WHERE] = r, -1, NOTHING, numbers[ACTIVE]
    policy.active[numbers[ACTIVE]] = s
    numbers[ACTIVE] += 1
    return int(s)


@embedded
def _settle_in(times: PoolTimes, held: Held, one: Ints, lane: int, split: int) -> None:
    """A sequence has its first tokens in a lane's pool."""
    one[HOME], one[SPLIT] = lane + 1, split
    held.lane_count[lane] += 1
    held.numbers[IN_POOLS] += 1


@compiled
def admit_pooled(policy: Policy, rules: Rules, times: PoolTimes, held: Held, now: int) -> int:
    """As ``policy.admit``, into a pool where the wafer has no room; a sequence whose K and V are to
    be brought back, or -1.
    """
    numbers, requests, size = policy.numbers, policy.requests, rules.block_tokens
    alone = min(rules.context, rules.sequence_blocks * rules.members * size)
    while True:
        if numbers[STACKED]:
            r = policy.stack[numbers[STACKED] - 1]
        elif numbers[ARRIVED] < len(requests) and requests[numbers[ARRIVED], ARRIVAL] <= now:
            r = numbers[ARRIVED]
        else:
            return -1
        length, total = requests[r, PROMPT] + requests[r, GENERATED], (
            requests[r, PROMPT] + requests[r, LIMIT])
        saved, s, back, ever = held.saved[r, 0], -1, False, total <= alone
        here = min(alone, int(total * (1 - times.share))) // size * size
        if saved and times.policy == SEQUENCES and held.numbers[FREE_IDS]:
            # It goes on where it is.
            s = _enter(policy, rules, held, r, False)
            _settle_in(times, held, policy.sequences[s], held.saved[r, 1] - 1, total)
            policy.sequences[s, NEXT] = policy.sequences[s, WRITTEN] = saved
            held.saved[r, 0] = 0
        elif ever and _on_wafer(policy, rules, held, blocks_of(rules, length),
                                int(length % size == 0)):
            s = _enter(policy, rules, held, r, True)
            promise(policy.promised, rules, s, 0, blocks_of(rules, length))
            back = saved > 0
        elif times.policy == OLDEST and not ever:
            for pool in range(times.pools):
                if held.alive[pool] and total - here <= times.room:
                    ever = True
            pool = room_for(times, held, total - here)
            blocks = here // size
            if pool >= 0 and _on_wafer(policy, rules, held, blocks, 0):
                s = _enter(policy, rules, held, r, True)
                promise(policy.promised, rules, s, 0, blocks)
                policy.sequences[s, RESERVED] = blocks
                held.reserved[pool] += total - here
                _settle_in(times, held, policy.sequences[s], _lane(times, held, pool),
                           total - here)
        elif times.policy == SEQUENCES and not saved:
            for pool in range(times.pools):
                if held.alive[pool] and total <= times.room:
                    ever = True
            pool = room_for(times, held, total)
            if pool >= 0 and held.numbers[FREE_IDS]:
                s = _enter(policy, rules, held, r, False)
                held.reserved[pool] += total
                _settle_in(times, held, policy.sequences[s], _lane(times, held, pool), total)
        if s < 0 and ever:
            numbers[BLOCKED] = 1
            return -1
        if numbers[STACKED]:
            numbers[STACKED] -= 1
        else:
            numbers[ARRIVED] += 1
        if s < 0:
            requests[r, FINISHED] = KV_FULL
            continue
        if back:
            return s
        classify(requests, policy.sequences, policy.ready, s)


@embedded
def waiting(policy: Policy, times: PoolTimes, held: Held, now: int) -> int:
    """The sequence whose turn it is among those that need a lane; -1: nobody's."""
    held.numbers[LANE_NEXT] = NEVER
    if not held.numbers[IN_POOLS]:
        return -1
    best, kind = -1, NOTHING
    for place in range(policy.numbers[ACTIVE]):
        s = policy.active[place]
        lane, own = policy.sequences[s, HOME] - 1, policy.sequences[s, CLASS]
        if lane < 0 or (own != DECODE and own != PROMPT_TOKEN) or own >= kind:
            continue
        free = max(held.lane_free[lane], held.port_free[lane // times.lanes])
        if free > now:
            held.numbers[LANE_NEXT] = min(held.numbers[LANE_NEXT], free)
            continue
        best, kind = s, own
        if kind == DECODE:
            break
    return int(best)


# Who leaves

@compiled
def leave_pool(policy: Policy, rules: Rules, times: PoolTimes, held: Held, s: int) -> None:
    """Before a sequence is freed: give back its part of a pool, its id or its page."""
    one = policy.sequences[s]
    if s >= rules.sequences:
        held.ids[held.numbers[FREE_IDS]] = s
        held.numbers[FREE_IDS] += 1
    else:
        held.numbers[RESIDENT] -= 1
    lane = one[HOME] - 1
    if lane >= 0:
        held.lane_count[lane] -= 1
        held.numbers[IN_POOLS] -= 1
        held.reserved[lane // times.lanes] -= one[SPLIT]


@embedded
def empty(policy: Policy, times: PoolTimes, held: Held, s: int) -> None:
    """Its K and V are kept no more."""
    one = policy.sequences[s]
    there = min(one[WRITTEN], one[SPLIT])
    held.tokens[0] -= one[WRITTEN] - there
    if one[HOME] and held.alive[(one[HOME] - 1) // times.lanes]:
        held.tokens[1 + (one[HOME] - 1) // times.lanes] -= there
    one[WRITTEN] = 0


@compiled
def fail(policy: Policy, times: PoolTimes, held: Held) -> None:
    """The first pool is lost: who had something in it begins again."""
    held.numbers[FAILED], held.alive[0], held.tokens[1] = 1, 0, 0
    for place in range(policy.numbers[ACTIVE]):
        s = policy.active[place]
        one = policy.sequences[s]
        if one[HOME] and one[HOME] <= times.lanes and one[LEAVING] <= PREEMPTED:
            leave(policy.sequences, policy.numbers, s, LOST)
            one[REWIND] = 0         # what is under way is worth nothing
            held.tokens[0] -= max(0, one[WRITTEN] - one[SPLIT])
            one[WRITTEN] = 0
            held.numbers[LOST_COUNT] += 1
            classify(policy.requests, policy.sequences, policy.ready, s)
        _forget(times, held, one[REQUEST])
    for n in range(policy.numbers[STACKED]):
        _forget(times, held, policy.stack[n])
    policy.numbers[BLOCKED] = 0


@embedded
def _forget(times: PoolTimes, held: Held, r: int) -> None:
    """What was parked in the first pool is lost."""
    if held.saved[r, 0] and held.saved[r, 1] <= times.lanes:
        held.saved[r, 0] = 0
        held.numbers[LOST_COUNT] += 1
