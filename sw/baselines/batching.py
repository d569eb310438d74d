"""Continuous batching, step by step: the scheduler's rules of ``sw.serving`` on whole iterations.

First come, first served. A step takes one token of every running sequence and the whole prompts of
those that were admitted before it. A sequence is admitted while the KV blocks of all, plus
``headroom``, fit; when they have outgrown the memory, the youngest gives up its KV and computes it
again later: not before another has ended, since the room is not there.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.baselines.traffic import Traffic
from ouroboros.sw.lib.compiled import compiled

__all__ = ["Batched", "Rules", "StepTimes", "serve_batches"]

Times = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTimes:
    """Seconds of a step, as a function of what it does: linear but for one rounded maximum.

    ``fixed_s + (weights_s ** p + (n * token_s + e * result_s) ** p) ** (1 / p) + c * context_s
    + a * square_s + n * exchange_s + e * sequence_s`` with p = ``corner``, for n tokens, e results,
    c tokens of context of those that decode, and a = the sum of squares of prompts' lengths.
    """

    fixed_s: float
    """Launches, and latencies of exchanges."""
    weights_s: float
    """All weights once from memory."""
    token_s: float
    """Products with the weights of the blocks, of one token."""
    result_s: float
    """Products with the head, of one sequence."""
    corner: float
    """Exponent that rounds the maximum of memory and arithmetic; infinite: none."""
    context_s: float
    """K and V of one token from memory."""
    square_s: float
    """Attention within a prompt, over the square of its length."""
    exchange_s: float
    """What devices exchange for one token."""
    sequence_s: float
    """Sampling and bookkeeping of one sequence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What limits a batch."""

    sequences: int
    """Most at once."""
    kv_blocks: int
    """Blocks of all sequences."""
    block_tokens: int
    """Tokens of a block."""
    headroom_blocks: int = 1
    """Kept free at an admission."""
    prompt_tokens: int = 8192
    """Most prompt tokens of one step, unless one prompt is longer."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batched:
    """What became of every request, and what was done for all."""

    first_s: Times
    """(requests,) when its first token was there; NaN: refused, as it does not fit alone."""
    finish_s: Times
    """(requests,) when its last one was."""
    busy_s: float
    """Time in steps."""
    steps: int
    """Steps: the weights are read once in each."""
    tokens: int
    """Tokens computed, recomputed ones included."""
    recomputed: int
    """The part of them whose K and V had been given up."""
    results: int
    """Passes through the head."""
    context: int
    """Tokens of K and V read."""
    squares: float
    """Sum of squares of the lengths of prompts."""
    preemptions: int
    """How often KV was given up."""


def serve_batches(traffic: Traffic, times: StepTimes, rules: Rules) -> Batched:
    """Serve all requests on one replica."""
    corner = times.corner if np.isfinite(times.corner) else 0.0
    first, finish, busy, counts, squares = _serve(
        traffic.arrival_s, traffic.input_tokens, traffic.output_tokens,
        np.array([times.fixed_s, times.weights_s, times.token_s, times.result_s, corner,
                  times.context_s, times.square_s, times.exchange_s, times.sequence_s]),
        rules.sequences, rules.kv_blocks, rules.block_tokens, rules.headroom_blocks,
        rules.prompt_tokens)
    steps, tokens, recomputed, results, context, preemptions = map(int, counts)
    return Batched(first_s=first, finish_s=finish, busy_s=float(busy), steps=steps, tokens=tokens,
                   recomputed=recomputed, results=results, context=context,
                   squares=float(squares), preemptions=preemptions)


@compiled
def _serve(arrival: Times, prompt: Whole, limit: Whole, cost: Times, sequences: int, room: int,
           block: int, headroom: int, prompts_max: int) -> tuple[Times, Times, float, Whole, float]:
    count = arrival.size
    first, finish = np.full(count, np.nan), np.full(count, np.nan)
    generated = np.zeros(count, np.int64)
    live = np.empty(sequences, np.int64)        # in the order of admission
    fresh = np.zeros(sequences, np.bool_)       # its prompt is part of this step
    back = np.empty(count, np.int64)            # preempted: the last one is admitted first
    again = np.zeros(count, np.bool_)
    running = waiting = arrived = used = 0
    now, busy, squares = 0.0, 0.0, 0.0
    steps = tokens = recomputed = results = contexts = preemptions = 0
    while True:
        if running == 0 and waiting == 0:
            if arrived == count:
                break
            now = max(now, arrival[arrived])
        prompts = 0
        square = 0.0
        while running < sequences:
            if waiting:
                one = back[waiting - 1]
            elif arrived < count and arrival[arrived] <= now:
                one = arrived
                if (prompt[one] + limit[one] + block - 1) // block > room:
                    arrived += 1        # not even alone
                    continue
            else:
                break
            length = prompt[one] + generated[one]
            need = (length + block) // block
            if running and used + need + headroom > room:
                break
            if prompts and prompts + length > prompts_max:
                break
            if waiting:
                waiting -= 1
            else:
                arrived += 1
            live[running], fresh[running] = one, True
            running += 1
            used += need
            prompts += length
            square += float(length) * length
            if again[one]:
                recomputed += length
        if running == 0:
            continue
        context = decoding = 0
        for place in range(running):
            one = live[place]
            if not fresh[place]:
                context += prompt[one] + generated[one]
                decoding += 1
        memory, arithmetic = cost[1], (prompts + decoding) * cost[2] + running * cost[3]
        longest = max(memory, arithmetic)
        if cost[4] > 0.0 and longest > 0.0:
            longest *= ((memory / longest) ** cost[4]
                        + (arithmetic / longest) ** cost[4]) ** (1.0 / cost[4])
        step = (cost[0] + longest + context * cost[5] + square * cost[6]
                + (prompts + decoding) * cost[7] + running * cost[8])
        now += step
        busy += step
        steps += 1
        tokens += prompts + decoding
        results += running
        contexts += context
        squares += square
        kept = used = 0
        for place in range(running):
            one = live[place]
            generated[one] += 1
            if generated[one] == 1:
                first[one] = now
            if generated[one] >= limit[one]:
                finish[one] = now
            else:
                live[kept], fresh[kept] = one, False
                kept += 1
                used += (prompt[one] + generated[one] + block) // block
        running = kept
        while used > room and running > 1:
            running -= 1
            one = live[running]
            used -= (prompt[one] + generated[one] + block) // block
            back[waiting] = one
            waiting += 1
            again[one] = True
            preemptions += 1
    return first, finish, busy, np.array([steps, tokens, recomputed, results, contexts,
                                          preemptions]), squares
