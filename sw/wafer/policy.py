"""``sw.serving.scheduler.Scheduler`` on arrays, compiled: the same decisions, step by step.

A trace of a wafer has tens of millions of tokens, too many for objects. What one decides the other
does (``tests/sw/wafer/test_policy.py`` drives both with the same machine and compares every step).
Two things are not the scheduler's: the blocks that the machine itself gives out (``allocate``), and
reservation of a fixed length (``STATIC``).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, inlined
from ouroboros.sw.wafer.chain import Ints

__all__ = ["COMPUTED", "CONTEXT", "FREE", "FREED", "KV_FULL", "LENGTH", "NEVER", "POISON",
           "PREEMPTED", "Policy", "Rules", "admit", "allocate", "deliver", "freed_sequence", "fresh",
           "inject", "release", "take"]

# Columns of a request.
PROMPT, LIMIT, ARRIVAL, GENERATED, FINISHED, PREEMPTIONS, REACHED, FIRST, END = range(9)
# Columns of a sequence.
REQUEST, NEXT, FLYING, REWIND, REFUSED_AT, LEAVING, WHERE, CLASS = range(8)
# Numbers that the policy keeps.
(ACTIVE, FREED, CROWDED, GOING, FREE_FIRST, FREE_COUNT, STACKED, ARRIVED, BLOCKED, USED, INJECTED,
 RECOMPUTED, GENERATED_ALL) = range(13)
# Why a sequence leaves, and how a request ended.
STAYS, PREEMPTED, LENGTH, CONTEXT, KV_FULL = range(5)
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
    """``(ids, 8)``: by sequence id."""
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


def fresh(rules: Rules, prompts: Ints, limits: Ints, arrivals: Ints) -> Policy:
    """Nothing under way; requests in the order of their arrivals."""
    count = rules.sequences
    requests = np.zeros((len(prompts), 9), np.int64)
    requests[:, PROMPT], requests[:, LIMIT], requests[:, ARRIVAL] = prompts, limits, arrivals
    numbers = np.zeros(13, np.int64)
    numbers[FREE_COUNT] = count
    return Policy(
        requests=requests, sequences=np.zeros((count, 8), np.int64),
        active=np.zeros(count, np.int64), ready=np.zeros((3, -(-count // WORD)), np.int64),
        free_ids=np.arange(count, dtype=np.int64), stack=np.zeros(count + 1, np.int64),
        promised=np.zeros(rules.members, np.int64), used=np.zeros(rules.members, np.int64),
        pages=np.zeros((count, -(-rules.context // rules.block_tokens) + 1), np.uint8),
        numbers=numbers)


# What goes in

@inlined
def take(policy: Policy) -> int:
    """The sequence whose turn it is; -1: nobody's."""
    for kind in range(3):
        for n in range(policy.ready.shape[1]):
            bits = policy.ready[kind, n]
            if bits:
                return policy.active[n * WORD + PLACE[(bits & -bits) % 67]]
    return -1


@inlined
def _classify(policy: Policy, s: int) -> None:
    """Note what a sequence can do next."""
    one = policy.sequences[s]
    request = policy.requests[one[REQUEST]]
    length = request[PROMPT] + request[GENERATED]
    if one[LEAVING]:
        kind = NOTHING if one[FLYING] else FREE
    elif one[REWIND] >= 0 or one[NEXT] >= length:
        kind = NOTHING
    else:
        kind = DECODE if one[NEXT] >= request[PROMPT] else PROMPT_TOKEN
    before = one[CLASS]
    if kind != before:
        word, bit = one[WHERE] // WORD, 1 << one[WHERE] % WORD
        if before != NOTHING:
            policy.ready[before, word] &= ~bit
        if kind != NOTHING:
            policy.ready[kind, word] |= bit
        one[CLASS] = kind


@inlined
def inject(policy: Policy, s: int, tokens: int) -> None:
    """Tokens of a sequence go in, or the one that frees it."""
    one, numbers = policy.sequences[s], policy.numbers
    numbers[INJECTED] += tokens
    one[FLYING] += tokens
    one[NEXT] += tokens
    _classify(policy, s)


# Blocks

@inlined
def _blocks_of(rules: Rules, tokens: int) -> int:
    return -(-max(tokens, rules.static_tokens) // rules.block_tokens)


@inlined
def _share(rules: Rules, blocks: int, s: int, member: int) -> int:
    """Of the first blocks of a sequence, those that lie in a member."""
    turn = s if rules.ring else 0
    first = (member - turn) % rules.members
    return (blocks - first + rules.members - 1) // rules.members if blocks > first else 0


@inlined
def _promise(policy: Policy, rules: Rules, s: int, before: int, after: int) -> None:
    """The blocks of a sequence grow or shrink."""
    if before != after:
        for m in range(rules.members):
            policy.promised[m] += (_share(rules, after, s, m) - _share(rules, before, s, m))


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
        fits = -(-_blocks_of(rules, length) // rules.members) <= rules.sequence_blocks
        s = policy.free_ids[numbers[FREE_FIRST]]
        if fits and numbers[ACTIVE]:
            if numbers[CROWDED]:
                numbers[BLOCKED] = 1
                return
            blocks = _blocks_of(rules, length + 1)
            for m in range(rules.members):
                if (_share(rules, blocks, s, m) + rules.headroom_blocks
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
        _promise(policy, rules, s, 0, _blocks_of(rules, length))
        _classify(policy, s)


# What comes out

@inlined
def deliver(policy: Policy, rules: Rules, s: int, position: int, tokens: int, freed: int,
            outcome: int, when: int) -> None:
    """Tokens of a sequence, the last at a position, were computed or refused.

    ``freed``: how many sequences had been freed when they were injected.
    """
    one, numbers = policy.sequences[s], policy.numbers
    one[FLYING] -= tokens
    if outcome == POISON:
        if one[REWIND] < 0:
            one[REWIND], one[REFUSED_AT] = position, freed
        one[REWIND] = min(one[REWIND], position)
        one[REFUSED_AT] = min(one[REFUSED_AT], freed)
    elif one[REWIND] < 0 or position < one[REWIND]:
        request = policy.requests[one[REQUEST]]
        length = request[PROMPT] + request[GENERATED]
        if position == length - 1:
            if request[GENERATED] < request[LIMIT]:
                request[GENERATED] += 1
                numbers[GENERATED_ALL] += 1
                if request[GENERATED] == 1:
                    request[FIRST] = when
                request[END] = when
                _promise(policy, rules, s, _blocks_of(rules, length),
                         _blocks_of(rules, length + 1))
                length += 1
            if request[GENERATED] >= request[LIMIT]:
                _leave(policy, s, LENGTH)
            elif length > rules.context:
                _leave(policy, s, CONTEXT)
        elif one[REWIND] < 0 and not one[LEAVING]:
            return
    _settle(policy, rules, s)
    _classify(policy, s)


@inlined
def _leave(policy: Policy, s: int, why: int) -> None:
    if not policy.sequences[s, LEAVING]:
        policy.numbers[GOING] += 1
    policy.sequences[s, LEAVING] = why


@inlined
def _settle(policy: Policy, rules: Rules, s: int) -> None:
    """Decide about a sequence with refused tokens once nothing of it is under way."""
    one, numbers = policy.sequences[s], policy.numbers
    if one[REWIND] < 0 or one[LEAVING] or one[FLYING]:
        return
    if -(-_blocks_of(rules, one[REWIND] + 1) // rules.members) > rules.sequence_blocks:
        _leave(policy, s, KV_FULL)
    elif numbers[FREED] > one[REFUSED_AT]:
        one[NEXT], one[REWIND] = one[REWIND], -1
    elif not numbers[GOING]:
        victim = policy.active[numbers[ACTIVE] - 1]
        _leave(policy, victim, KV_FULL if numbers[ACTIVE] == 1 else PREEMPTED)
        _classify(policy, victim)


@compiled
def freed_sequence(policy: Policy, rules: Rules, s: int) -> None:
    """The machine has freed a sequence: those behind it move up, those that wait may go on."""
    one, numbers = policy.sequences[s], policy.numbers
    request = policy.requests[one[REQUEST]]
    _promise(policy, rules, s, _blocks_of(rules, request[PROMPT] + request[GENERATED]), 0)
    for place in range(one[WHERE], numbers[ACTIVE] - 1):
        policy.active[place] = policy.active[place + 1]
    numbers[ACTIVE] -= 1
    policy.free_ids[(numbers[FREE_FIRST] + numbers[FREE_COUNT]) % rules.sequences] = s
    numbers[FREE_COUNT] += 1
    numbers[FREED] += 1
    numbers[GOING] -= 1
    numbers[BLOCKED] = 0
    numbers[CROWDED] = one[LEAVING] == PREEMPTED
    if numbers[CROWDED]:
        request[PREEMPTIONS] += 1
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
        _classify(policy, other)
