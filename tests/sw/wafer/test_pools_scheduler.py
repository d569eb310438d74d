"""The compiled policy with pools against the scheduler with a second room, time by time."""

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.serving.pools import PoolBook
from ouroboros.sw.serving.scheduler import Scheduler
from ouroboros.sw.wafer.pooled_run import longest_in, run_pooled
from ouroboros.tests.sw.wafer.plain_run import Arriving, PlainChain, PlainKv
from ouroboros.tests.sw.wafer.test_policy import RULES, loads, machine
from ouroboros.tests.sw.wafer.test_pools import POOL, traffic


def plain(chain, rules, times, asked):
    """Requests as they ended: the scheduler itself, a chain, lanes; a token of a prompt a read."""
    book = KvBook(block_tokens=rules.block_tokens, members=rules.members, blocks=rules.blocks,
                  sequence_blocks=rules.sequence_blocks, ring=bool(rules.ring))
    pools = PoolBook(pools=times.pools, lanes=times.lanes, room=times.room)
    room = next(w.slots for w in chain.windows if not w.first)
    scheduler = Scheduler(book, {0: room}, sequences=rules.sequences, context=rules.context,
                          options=ServingOptions(headroom_blocks=rules.headroom_blocks),
                          pools=pools)
    one, kv = PlainChain(chain), PlainKv(rules)
    requests = [Arriving(prompt_tokens=int(p), limit=int(n), arrival=int(a)) for p, n, a in zip(
        asked.prompts, asked.outputs, asked.arrivals, strict=True)]
    coming, results, credits, now, number = deque(requests), [], deque(), 0, 0
    lane_free = [0] * times.pools * times.lanes
    port_free = [0] * times.pools
    while True:
        now = max(now, one.port)
        while credits and credits[0] <= now:
            credits.popleft()
            scheduler.credits.give(0)
        while results and min(results)[0] <= now:
            when, _, sequence, position, outcome = results.pop(results.index(min(results)))
            if outcome == 2:
                scheduler.freed(sequence)
                continue
            if outcome == 1:
                scheduler.refused(sequence, position)
                continue
            before = sequence.request.generated
            scheduler.done(sequence, position, stops=False, now=when)
            if sequence.request.generated > before:
                sequence.request.end = when
                if not before:
                    sequence.request.first = when
        while coming and coming[0].arrival <= now:
            scheduler.submit(coming.popleft())
        scheduler.admit()
        free = [max(lane_free[lane], port_free[lane // times.lanes])
                for lane in range(len(lane_free))]
        pools.busy = {lane for lane, at in enumerate(free) if at > now}
        step = scheduler.next()
        if step is None:
            later = [*(result[0] for result in results), *credits,
                     *(request.arrival for request in coming), *(at for at in free if at > now)]
            if not later:
                return requests
            now = max(now, min(later))
            continue
        sequence, position = step.sequence, step.position
        pooled = sequence.lane is not None
        context, outcome = position + 1, 0
        if step.free:
            kv.release(sequence.id)
            outcome, context = 2, 1
        elif not pooled:
            outcome = int(not kv.allocate(sequence.id, position))
        scheduler.inject(step)
        pushed = 1 if pooled else context
        when, credit = one.push(now, pushed)
        if pooled and not step.free:
            lane_free[sequence.lane] = now + int(np.ceil(times.hold * context))
            port_free[sequence.lane // times.lanes] = now + int(np.ceil(times.port))
            wafer = sum(cell.way + int(chain.way_at[1]) for cell in chain.cells if cell.context)
            when = max(now + 1, when + int(np.ceil(times.fixed + times.way * context)) - wafer)
        credits.append(credit)
        number += 1
        results.append((when, number, sequence, position, outcome))


def compare(chain, rules, times, asked):
    # What fits neither the wafer nor a pool is refused before the policy sees it.
    fits = asked.prompts + asked.outputs <= longest_in(rules, times)[1]
    asked = traffic(asked.prompts[fits], asked.outputs[fits], asked.arrivals[fits].tolist())
    made = run_pooled(chain, rules, times, asked)
    if made.preemptions.any():
        return made                         # who gives way is moved, which the plain run does not
    found = plain(chain, rules, times, asked)
    assert [one.first for one in found] == made.first.tolist()
    assert [one.end for one in found] == made.end.tolist()
    assert [one.generated for one in found] == made.generated.tolist()
    return made


@given(loads(), st.integers(1, 2), st.integers(1, 2), st.sampled_from([20, 60, 500]))
@settings(max_examples=100, deadline=None)
def test_every_time_is_that_of_the_scheduler(drawn, pools, lanes, room):
    chain, rules, prompts, limits, arrivals = drawn
    compare(chain, rules._replace(static_tokens=0), POOL._replace(
        pools=pools, lanes=lanes, room=room, together=1), traffic(prompts, limits, arrivals))


def test_pools_and_the_wafer_are_both_used():
    """What the property test is for does occur."""
    made = compare(machine(32), RULES, POOL._replace(room=500, together=1),
                   traffic([6] * 12 + [40], [2] * 13))
    assert not made.preemptions.any()
    assert made.served.all() and 46 < made.counts["tokens_computed"] < made.tokens
