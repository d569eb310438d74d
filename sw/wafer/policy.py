"""``sw.serving.scheduler.Scheduler`` on arrays, compiled: the same decisions, step by step.

A trace of a wafer has tens of millions of tokens, too many for objects. What one decides the other
does (``tests/sw/wafer/test_policy.py`` drives both with the same machine and compares every step).
One thing is not the scheduler's: the blocks that the machine itself gives out (``allocate``). Of
the scheduler's options it has ``headroom_blocks`` and ``static_tokens``.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, embedded
from ouroboros.sw.wafer.chain import Ints

__all__ = ["COMPUTED", "CONTEXT", "FREE", "FREED", "KV_FULL", "LENGTH", "LOST", "MOVING", "NEVER",
           "PARKED", "POISON", "PREEMPTED", "Policy", "Rules", "admit", "allocate", "blocks_of",
           "classify", "deliver", "freed_sequence", "fresh", "inject", "leave", "promise",
           "release", "share_of", "take"]

# Columns of a request.
PROMPT, LIMIT, ARRIVAL, GENERATED, FINISHED, PREEMPTIONS, REACHED, FIRST, END = range(9)
# Columns of a sequence.
(REQUEST, NEXT, FLYING, REWIND, REFUSED_AT, LEAVING, WHERE, CLASS, HOME, SPLIT, RESERVED,
 WRITTEN) = range(12)
"""HOME: 0, or 1 more than the lane of a pool (``sw.wafer.pools``) that its first SPLIT tokens lie
in; RESERVED: blocks that the others have; WRITTEN: tokens whose K and V are kept, with pools."""
# Numbers that the policy keeps.
(ACTIVE, FREED, CROWDED, GOING, FREE_FIRST, FREE_COUNT, STACKED, ARRIVED, BLOCKED, USED, INJECTED,
 RECOMPUTED, GENERATED_ALL) = range(13)
# Why a sequence leaves, and how a request ended.
STAYS, PREEMPTED, LENGTH, CONTEXT, KV_FULL, PARKED, LOST, MOVING = range(8)
"""PARKED: as PREEMPTED, its K and V being in a pool; LOST: they were in one that is no more."""
# What a sequence can do next: the first that can goes, in this order.
FREE, DECODE, PROMPT_TOKEN, NOTHING = range(4)
# What became of a token.
COMPUTED, POISON = 0, 1
NEVER = 1 << 62
WORD = 62
"""Bits of a word of the sets; numbers stay positive."""
PLACE = np.array([next((n for n in range(64) if (1 << n) % 67 == rest), 0) for rest in range(67)],
                 np.int64)
"""Number of a bit by the bit modulo 67."""


class Rules(NamedTuple):
    """What does not change in a run."""

    block_tokens: int
    """Tokens of a KV block."""
    members: int
    """Cores that share a head."""
    blocks: int
    """Blocks of all sequences that a member holds."""
    sequence_blocks: int
    """Of one sequence that is alone."""
    sequences: int
    """Rows of the page table."""
    context: int
    """Positions that a sequence may have."""
    headroom_blocks: int
    """Blocks kept free for growth when a sequence is admitted."""
    ring: int
    """1: block j of sequence s lies in member (j + s) mod members; 0: in member j mod members."""
    static_tokens: int
    """Tokens that a sequence reserves at least when it is admitted; 0: as many as it has."""


class Policy(NamedTuple):
    """Everything that changes."""

    requests: Ints
    """``(requests, 9)``."""
    sequences: Ints
    """``(ids, 12)``: by sequence id."""
    active: Ints
    """``(ids,)``: ids in the order of admission."""
    ready: Ints
    """``(3, words)``: places in ``active`` that are FREE, DECODE, PROMPT_TOKEN."""
    free_ids: Ints
    """``(ids,)``: ring of ids that are not in use."""
    stack: Ints
    """``(ids,)``: preempted requests, the next one last."""
    promised: Ints
    """``(members,)``: blocks that the lengths of all sequences need."""
    used: Ints
    """``(members,)``: blocks that the machine has given out."""
    pages: npt.NDArray[np.uint8]
    """``(ids, blocks of a sequence)``: whether it has."""
    numbers: Ints
    """``(13,)``."""


def fresh(rules: Rules, prompts: Ints, limits: Ints, arrivals: Ints, more: int = 0) -> Policy:
    """Nothing under way; requests in the order of their arrivals.

    ``more``: ids beside those of ``rules``, which are not given out here.
    """
    count = rules.sequences + more
    requests = np.zeros((len(prompts), 9), np.int64)
    requests[:, PROMPT], requests[:, LIMIT], requests[:, ARRIVAL] = prompts, limits, arrivals
    numbers = np.zeros(13, np.int64)
    numbers[FREE_COUNT] = rules.sequences
    return Policy(
        requests=requests, sequences=np.zeros((count, 12), np.int64),
        active=np.zeros(count, np.int64), ready=np.zeros((3, -(-count // WORD)), np.int64),
        free_ids=np.arange(rules.sequences, dtype=np.int64), stack=np.zeros(count + 1, np.int64),
        promised=np.zeros(rules.members, np.int64), used=np.zeros(rules.members, np.int64),
        pages=np.zeros((count, -(-rules.context // rules.block_tokens) + 1), np.uint8),
        numbers=numbers)


# What goes in

# What runs for every token has arrays, not ``Policy``: a reference is counted for each taken out.

@embedded
def take(active: Ints, ready: Ints) -> int:
    """The sequence whose turn it is; -1: nobody's."""
    for kind in range(3):
        for n in range(ready.shape[1]):
            bits = ready[kind, n]
            if bits:
                return int(active[n * WORD + PLACE[(bits & -bits) % 67]])
    return -1


@embedded
def classify(requests: Ints, sequences: Ints, ready: Ints, s: int) -> None:
    """Note what a sequence can do next."""
    r = sequences[s, REQUEST]
    if sequences[s, LEAVING]:
        kind = NOTHING if sequences[s, FLYING] else FREE
    elif (sequences[s, REWIND] >= 0
          or sequences[s, NEXT] >= requests[r, PROMPT] + requests[r, GENERATED]):
        kind = NOTHING
    else:
        kind = DECODE if sequences[s, NEXT] >= requests[r, PROMPT] else PROMPT_TOKEN
    before = sequences[s, CLASS]
    if kind != before:
        word, bit = sequences[s, WHERE] // WORD, 1 << sequences[s, WHERE] % WORD
        # Tokens that need a pool wait for its lane.
        home = sequences[s, HOME]
        if before != NOTHING and (not home or before == FREE):
            ready[before, word] &= ~bit
        if kind != NOTHING and (not home or kind == FREE):
            ready[kind, word] |= bit
        sequences[s, CLASS] = kind


@embedded
def inject(requests: Ints, sequences: Ints, ready: Ints, numbers: Ints, s: int,
           tokens: int) -> None:
    """Tokens of a sequence go in, or the one that frees it."""
    numbers[INJECTED] += tokens
    sequences[s, FLYING] += tokens
    sequences[s, NEXT] += tokens
    classify(requests, sequences, ready, s)


# Blocks

@embedded
def blocks_of(rules: Rules, tokens: int) -> int:
    return -(-max(tokens, rules.static_tokens) // rules.block_tokens)


@embedded
def share_of(rules: Rules, blocks: int, s: int, member: int) -> int:
    """Of the first blocks of a sequence, those that lie in a member."""
    turn = s if rules.ring else 0
    first = (member - turn) % rules.members
    return (blocks - first + rules.members - 1) // rules.members if blocks > first else 0


@embedded
def promise(promised: Ints, rules: Rules, s: int, before: int, after: int) -> None:
    """The blocks of a sequence grow or shrink."""
    if before != after:
        for m in range(rules.members):
            promised[m] += (share_of(rules, after, s, m) - share_of(rules, before, s, m))


@compiled
def allocate(policy: Policy, rules: Rules, s: int, position: int) -> int:
    """What the machine does with a token: it is given a block if it needs one, or refused."""
    block = position // rules.block_tokens
    if policy.pages[s, block]:
        return COMPUTED
    turn = s if rules.ring else 0
    member = (block + turn) % rules.members
    if policy.used[member] >= rules.blocks:
        return POISON
    policy.pages[s, block] = 1
    policy.used[member] += 1
    policy.numbers[USED] += 1
    return COMPUTED


@compiled
def release(policy: Policy, rules: Rules, s: int) -> None:
    """The machine frees all blocks of a sequence."""
    turn = s if rules.ring else 0
    for block in range(policy.pages.shape[1]):
        if policy.pages[s, block]:
            policy.pages[s, block] = 0
            policy.used[(block + turn) % rules.members] -= 1
            policy.numbers[USED] -= 1


# Admission

@compiled
def admit(policy: Policy, rules: Rules, now: int) -> None:
    """Make sequences of those that wait and fit."""
    numbers, requests = policy.numbers, policy.requests
    while numbers[FREE_COUNT]:
        if numbers[STACKED]:
            r = policy.stack[numbers[STACKED] - 1]
        elif numbers[ARRIVED] < len(requests) and requests[numbers[ARRIVED], ARRIVAL] <= now:
            r = numbers[ARRIVED]
        else:
            return
        length = requests[r, PROMPT] + requests[r, GENERATED]
        fits = -(-blocks_of(rules, length) // rules.members) <= rules.sequence_blocks
        s = policy.free_ids[numbers[FREE_FIRST]]
        if fits and numbers[ACTIVE]:
            if numbers[CROWDED]:
                numbers[BLOCKED] = 1
                return
            blocks = blocks_of(rules, length + 1)
            for m in range(rules.members):
                if (share_of(rules, blocks, s, m) + rules.headroom_blocks
                        > rules.blocks - policy.promised[m]):
                    numbers[BLOCKED] = 1
                    return
        if numbers[STACKED]:
            numbers[STACKED] -= 1
        else:
            numbers[ARRIVED] += 1
        if not fits:
            requests[r, FINISHED] = KV_FULL
            continue
        numbers[FREE_FIRST] = (numbers[FREE_FIRST] + 1) % rules.sequences
        numbers[FREE_COUNT] -= 1
        one = policy.sequences[s]
        one[:] = 0
        one[REQUEST], one[REWIND], one[CLASS], one[WHERE] = r, -1, NOTHING, numbers[ACTIVE]
        policy.active[numbers[ACTIVE]] = s
        numbers[ACTIVE] += 1
        promise(policy.promised, rules, s, 0, blocks_of(rules, length))
        classify(requests, policy.sequences, policy.ready, s)


# What comes out

@embedded
def deliver(requests: Ints, sequences: Ints, active: Ints, ready: Ints, promised: Ints,
            numbers: Ints, rules: Rules, s: int, position: int, tokens: int, freed: int,
            outcome: int, when: int) -> None:
    """Tokens of a sequence, the last at a position, were computed or refused.

    ``freed``: how many sequences had been freed when they were injected.
    """
    sequences[s, FLYING] -= tokens
    r = sequences[s, REQUEST]
    length = requests[r, PROMPT] + requests[r, GENERATED]
    if outcome == POISON:
        if sequences[s, REWIND] < 0:
            sequences[s, REWIND], sequences[s, REFUSED_AT] = position, freed
        sequences[s, REWIND] = min(sequences[s, REWIND], position)
        sequences[s, REFUSED_AT] = min(sequences[s, REFUSED_AT], freed)
    elif (sequences[s, REWIND] < 0 or position < sequences[s, REWIND]) and position == length - 1:
        if requests[r, GENERATED] < requests[r, LIMIT]:
            requests[r, GENERATED] += 1
            numbers[GENERATED_ALL] += 1
            if requests[r, GENERATED] == 1:
                requests[r, FIRST] = when
            requests[r, END] = when
            if ((length % rules.block_tokens == 0 or rules.static_tokens)
                    and not sequences[s, HOME]):
                promise(promised, rules, s, blocks_of(rules, length),
                         blocks_of(rules, length + 1))
            length += 1
        if requests[r, GENERATED] >= requests[r, LIMIT]:
            leave(sequences, numbers, s, LENGTH)
        elif length - sequences[s, SPLIT] > rules.context:
            leave(sequences, numbers, s, CONTEXT)
    if sequences[s, REWIND] >= 0 and not sequences[s, LEAVING] and not sequences[s, FLYING]:
        _settle(requests, sequences, active, ready, numbers, rules, s)
    classify(requests, sequences, ready, s)


@embedded
def leave(sequences: Ints, numbers: Ints, s: int, why: int) -> None:
    if not sequences[s, LEAVING]:
        numbers[GOING] += 1
    sequences[s, LEAVING] = why


@compiled
def _settle(requests: Ints, sequences: Ints, active: Ints, ready: Ints, numbers: Ints,
            rules: Rules, s: int) -> None:
    """Decide about a sequence with refused tokens, nothing of it being under way."""
    tokens = sequences[s, REWIND] + 1 - sequences[s, SPLIT]
    if -(-blocks_of(rules, tokens) // rules.members) > rules.sequence_blocks:
        leave(sequences, numbers, s, KV_FULL)
    elif numbers[FREED] > sequences[s, REFUSED_AT]:
        sequences[s, NEXT], sequences[s, REWIND] = sequences[s, REWIND], -1
    elif not numbers[GOING]:
        # Who lies in a pool altogether gives no room.
        victim, others = -1, 0
        for place in range(numbers[ACTIVE]):
            if not sequences[active[place], HOME] or sequences[active[place], RESERVED]:
                victim, others = active[place], others + 1
        leave(sequences, numbers, victim, KV_FULL if others == 1 else PREEMPTED)
        classify(requests, sequences, ready, victim)


@compiled
def freed_sequence(policy: Policy, rules: Rules, s: int) -> None:
    """The machine has freed a sequence: those behind it move up, those that wait may go on."""
    one, numbers = policy.sequences[s], policy.numbers
    request = policy.requests[one[REQUEST]]
    held = one[RESERVED]
    if not one[HOME]:
        held = blocks_of(rules, request[PROMPT] + request[GENERATED])
    promise(policy.promised, rules, s, held, 0)
    for place in range(one[WHERE], numbers[ACTIVE] - 1):
        policy.active[place] = policy.active[place + 1]
    numbers[ACTIVE] -= 1
    if s < rules.sequences:
        policy.free_ids[(numbers[FREE_FIRST] + numbers[FREE_COUNT]) % rules.sequences] = s
        numbers[FREE_COUNT] += 1
    numbers[FREED] += 1
    numbers[GOING] -= 1
    numbers[BLOCKED] = 0
    numbers[CROWDED] = one[LEAVING] == PREEMPTED or one[LEAVING] == PARKED
    if numbers[CROWDED] or one[LEAVING] == LOST:
        request[PREEMPTIONS] += numbers[CROWDED]
        policy.stack[numbers[STACKED]] = one[REQUEST]
        numbers[STACKED] += 1
    else:
        request[FINISHED] = one[LEAVING]
    policy.ready[:] = 0
    for place in range(numbers[ACTIVE]):
        other = policy.active[place]
        row = policy.sequences[other]
        if not row[FLYING] and not row[LEAVING] and row[REWIND] >= 0:
            row[NEXT], row[REWIND] = row[REWIND], -1
        row[WHERE], row[CLASS] = place, NOTHING
        classify(policy.requests, policy.sequences, policy.ready, other)
