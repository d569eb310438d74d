"""The event loop of a replica: admission, steps of two sub-batches, pages, preemption.

One step gives every sequence that is alive a token. Sub-batches take turns: while the dense layers
of one are on the GPUs, attention of the other is beside the memory, so a block takes
``max(G0, P1) + max(G1, P0)``. Requests are all there from the beginning and served in order; who
is admitted last is preempted first, and its context becomes a prompt.

Prompts may be cut to what the other half's attention leaves time for. A scheduler that balances
gives a half sequences in order while its predicted attention is no longer than the other's
predicted dense layers; the others wait.
"""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, embedded

__all__ = ["COLUMNS", "FLOATS", "INTS", "STATS", "serve"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FLOATS = ("kv_s", "link_token_s", "link_prompt_s", "gpu_token_s", "prompt_arithmetic_s",
          "prompt_linear_s", "prompt_square_s", "pim_fixed_s", "pim_context_s", "pim_sequence_s")
"""Parameters of ``serve``: seconds of a block. ``kv_s``: of a token of context beside the memory,
all groups busy; ``gpu_token_s``: of one on the GPUs; ``prompt_*``: of a prompt's attention, for
square, length and square of its length; ``pim_*``: the scheduler's prediction."""
INTS = ("layers", "groups", "on_gpu", "gpu_rows", "processors", "pages", "page", "headroom",
        "prompt_tokens", "adaptive", "sequences", "every", "lanes", "at_once",
        "chunked")
"""Parameters of ``serve``: counts. ``on_gpu``: 1 if attention is on the GPUs; ``gpu_rows``: blocks
of attention of a sequence there; ``adaptive``: 1 if the scheduler balances; ``every``: steps from
one log to the next."""
STATS = ("seconds", "tokens", "steps", "context_steps", "passes", "prompts", "squares", "preempted",
         "alive_steps", "alive_s", "page_steps", "read_steps", "longest_step_s")
"""What ``serve`` counts."""
COLUMNS = ("seconds", "sequences", "context", "sequences_0", "sequences_1", "fullest_0",
           "fullest_1", "pim_0_s", "pim_1_s", "dense_0_s", "dense_1_s", "prompt_0", "prompt_1",
           "pages")
"""Of the log, one row a step; ``fullest``: tokens of the fullest group, as its banks read them."""
CHUNK = 128
"""Tokens that a prompt is cut to multiples of."""


@embedded
def _prompt_s(f: Floats, length: float) -> float:
    """Attention within a prompt, of a block."""
    square = length * length
    return float(max(f[4] * square, f[5] * length + f[6] * square))


@embedded
def _at(table: Floats, tokens: int) -> float:
    """A table by tokens, which goes on in proportion to them."""
    most = len(table) - 1
    return float(table[tokens] if tokens <= most else table[most] * tokens / most)


@compiled
def serve(inputs: Ints, outputs: Ints, dense: Floats, guess: Floats, f: Floats, n: Ints,
          stats: Floats, log: Floats) -> int:
    """Serve all requests; returns rows of the log.

    Parameters
    ----------
    inputs, outputs : array
        ``(requests,)`` tokens. Each request fits the pages by itself.
    dense, guess : array
        ``(most + 1,)`` seconds of a block's dense layers by tokens: as they are, as predicted.
    f, n : array
        See ``FLOATS``, ``INTS``.
    stats : array
        ``(len(STATS),)``: filled in.
    log : array
        ``(rows, len(COLUMNS))``: filled in while there is room.
    """
    requests, layers, groups = len(inputs), n[0], n[1]
    page, lanes, adaptive = n[6], n[12], n[9]
    context, left = np.zeros(requests, np.int64), np.zeros(requests, np.int64)
    half, group = np.zeros(requests, np.int64), np.zeros(requests, np.int64)
    waits = np.zeros(requests, np.int64)        # tokens of a prompt that are still to be computed
    goes = np.zeros(requests, np.int64)         # 1: decodes in this step; 2: its prompt ends in it
    again_in, again_out = np.zeros(requests, np.int64), np.zeros(requests, np.int64)
    held, loads = np.zeros((2, groups)), np.zeros((2, groups))
    prompt, ready, budget = np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64)
    within, pim_s, dense_s = np.zeros(2), np.zeros(2), np.zeros(2)
    counts, closed = np.zeros(2, np.int64), np.zeros(2, np.int64)
    alive, coming, again, used, rows = 0, 0, 0, 0, 0
    now, tokens, idle = 0.0, 0, np.zeros(2)
    while coming < requests or alive or again:
        # Who comes in.
        room = n[8]
        while (coming < requests or again) and alive < n[10]:
            back = again > 0
            length = again_in[again - 1] if back else inputs[coming]
            need = (length + page) // page
            if used + need > n[5] - (n[7] if alive else 0) or (length > room and room < n[8]):
                break
            s = 0 if held[0].sum() <= held[1].sum() else 1
            g = int(np.argmin(held[0] + held[1]))
            if adaptive and alive > 1:
                fullest = max(held[s].max(), held[s, g] + length)
                pim = f[7] + f[8] * fullest * groups + f[9] * (counts[s] + 1)
                if pim > _at(guess, max(counts[1 - s], 1)):
                    break
            context[alive], half[alive], group[alive] = length, s, g
            left[alive] = again_out[again - 1] if back else outputs[coming]
            waits[alive] = length
            if back:
                again -= 1
            else:
                coming += 1
            room -= length
            used += need
            held[s, g] += length
            counts[s] += 1
            alive += 1
        # Who must go: there is a page for everyone's next token, or the youngest leaves.
        grow = 0
        for k in range(alive):
            if waits[k] == 0 and context[k] % page == 0:
                grow += 1
        while used + grow > n[5] and alive > 1:
            alive -= 1
            k = alive
            used -= (context[k] + page) // page if waits[k] else (context[k] + page - 1) // page
            if waits[k] == 0 and context[k] % page == 0:
                grow -= 1
            held[half[k], group[k]] -= context[k]
            counts[half[k]] -= 1
            again_in[again], again_out[again] = context[k], left[k]
            again += 1
            stats[7] += 1
        # Who decodes in this step.
        for s in range(2):
            prompt[s], ready[s], within[s], closed[s] = 0, 0, 0.0, 0
            for g in range(groups):
                loads[s, g] = 0.0
        full, read = 0.0, 0.0
        for k in range(alive):
            goes[k] = 0
            s, g = half[k], group[k]
            if waits[k] or closed[s]:
                continue
            # What the banks read, and what the scheduler counts.
            padded = -(-context[k] // lanes) * lanes
            if adaptive and ready[s] and ready[s] % n[13] == 0:
                fullest = max(loads[s].max(), loads[s, g] + padded)
                pim = f[7] + f[8] * fullest * groups + f[9] * (ready[s] + 1)
                if pim > _at(guess, max(counts[1 - s], 1)):
                    closed[s] = 1
                    continue
            goes[k] = 1
            ready[s] += 1
            loads[s, g] += padded
            full += context[k]
            read += padded
        for s in range(2):
            pim_s[s] = loads[s].max() * groups * f[0] + ready[s] * f[1]
            idle[s] = f[7] + f[8] * loads[s].max() * groups + f[9] * ready[s]
        # Prompts: whole, or as much as the other half's attention leaves time for.
        for s in range(2):
            budget[s] = 1 << 40
            if n[14] and counts[s] > ready[s]:
                budget[s] = n[8] if ready[0] + ready[1] == 0 else CHUNK
                while budget[s] < n[8] and _at(
                        guess, ready[s] + budget[s] + CHUNK) <= idle[1 - s]:
                    budget[s] += CHUNK
        for k in range(alive):
            s = half[k]
            take = min(waits[k], budget[s])
            if take:
                had = float(context[k] - waits[k])
                within[s] += _prompt_s(f, had + take) - _prompt_s(f, had)
                stats[6] += (had + take) ** 2 - had ** 2
                prompt[s] += take
                budget[s] -= take
                waits[k] -= take
                if waits[k] == 0:
                    goes[k] = 2
        batch = ready[0] + ready[1]
        for s in range(2):
            dense_s[s] = _at(dense, ready[s] + prompt[s])
            pim_s[s] += prompt[s] * f[2]
        if n[2]:
            blocks = n[3] * batch
            share = blocks / (-(-blocks // n[4]) * n[4]) if blocks else 1.0
            step_s = layers * (_at(dense, batch + prompt[0] + prompt[1])
                               + within[0] + within[1] + full * f[3] / share)
            stats[4] += 1
        elif ready[0] + prompt[0] == 0 or ready[1] + prompt[1] == 0:
            step_s = layers * (dense_s[0] + within[0] + pim_s[0] + dense_s[1] + within[1]
                               + pim_s[1])
            stats[4] += 1
        else:
            step_s = layers * (max(dense_s[0] + within[0], pim_s[1])
                               + max(dense_s[1] + within[1], pim_s[0]))
            stats[4] += 2
        if rows < len(log) and int(stats[2]) % n[11] == 0:
            log[rows, 0], log[rows, 1], log[rows, 2] = now, alive, full
            for s in range(2):
                log[rows, 3 + s], log[rows, 5 + s] = ready[s], loads[s].max()
                log[rows, 7 + s], log[rows, 9 + s] = pim_s[s], dense_s[s]
                log[rows, 11 + s] = prompt[s]
            log[rows, 13] = used
            rows += 1
        now += step_s
        stats[2] += 1
        stats[3] += full
        stats[5] += prompt[0] + prompt[1]
        stats[12] = max(stats[12], step_s)
        stats[9] += step_s * alive
        stats[10] += used
        stats[11] += read
        stats[8] += alive
        # A token for everyone who went; who has all leaves.
        kept = 0
        for k in range(alive):
            if goes[k]:
                # The page of the first token was counted with the prompt's.
                if goes[k] == 1 and context[k] % page == 0:
                    used += 1
                context[k] += 1
                left[k] -= 1
                held[half[k], group[k]] += 1
                tokens += 1
                if left[k] <= 0:
                    held[half[k], group[k]] -= context[k]
                    counts[half[k]] -= 1
                    used -= (context[k] + page - 1) // page
                    continue
            if kept != k:
                context[kept], left[kept], waits[kept] = context[k], left[k], waits[k]
                half[kept], group[kept] = half[k], group[k]
            kept += 1
        alive = kept
    stats[0], stats[1] = now, tokens
    return rows
