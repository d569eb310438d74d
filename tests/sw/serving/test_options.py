"""Every option of the policy, by hand and against a machine of nothing but KV blocks."""

import random

import pytest

from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.options import ServingError, ServingOptions
from ouroboros.sw.serving.request import Request
from ouroboros.sw.serving.scheduler import Scheduler

BOOK = {"block_tokens": 16, "members": 1, "blocks": 4, "sequence_blocks": 4}


def scheduler(*requests, room=64, **options):
    made = ServingOptions(**options)
    found = Scheduler(KvBook(**BOOK, static_tokens=made.static_tokens), {0: room}, sequences=4,
                      context=80, options=made)
    for prompt, limit, *others in requests:
        found.submit(Request(prompt_tokens=prompt, limit=limit,
                             **dict(zip(("priority", "deadline"), others, strict=False))))
    found.admit(0)
    return found


def inject(made, count=99):
    """What goes in now."""
    steps = []
    while len(steps) < count and (step := made.next()) is not None:
        made.inject(step)
        steps.append((step.sequence.id, step.position))
    return steps


def back(made, number, *positions):
    """Tokens of an active sequence are back, and their credits."""
    for position in positions:
        made.credits.give(0)
        made.done(made.active[number], position, stops=False)


@pytest.mark.parametrize(("options", "words"), [
    ({"window": 0}, "window must be at least 1, not 0"),
    ({"headroom_blocks": -1}, "headroom_blocks must be at least 0, not -1"),
    ({"static_tokens": -1}, "static_tokens must be at least 0, not -1"),
    ({"chunk_tokens": 0}, "chunk_tokens must be at least 1, not 0"),
    ({"swap_cost": float("nan")}, "swap_cost must be at least 0, not nan"),
    ({"grain": "word"}, "grain must be one of token, sequence, not 'word'"),
    ({"first": "last"}, "first must be one of decode, prompt, not 'last'"),
    ({"grain": "sequence", "chunk_tokens": 4}, "chunk_tokens must not be given with grain")])
def test_options_out_of_range(options, words):
    with pytest.raises(ServingError, match=f"^{words}"):
        ServingOptions(**options)


def test_a_book_that_reserves_something_else():
    with pytest.raises(ServingError, match="static_tokens of book and options must be the same"):
        Scheduler(KvBook(**BOOK, static_tokens=8), {0: 1}, sequences=4, context=80)


@pytest.mark.parametrize(("static", "together"), [(0, 4), (16, 4), (17, 2), (32, 2), (64, 1)])
def test_static_reservation(static, together):
    """Four short sequences, of which each reserves what it may come to."""
    made = scheduler(*[(4, 1)] * 4, static_tokens=static, headroom_blocks=0)
    assert len(made.active) == together


def test_prompts_go_first():
    for first, order in (("decode", [(0, 1), (1, 0), (1, 1)]),
                         ("prompt", [(1, 0), (1, 1), (0, 1)])):
        made = scheduler((1, 3), (2, 3), room=1, first=first)
        inject(made)
        back(made, 0, 0)
        found = []
        for _ in range(3):
            [step] = inject(made)
            found.append(step)
            made.credits.give(0)
        assert found == order


def test_prompts_take_turns_in_chunks():
    made = scheduler((5, 1), (3, 1), (2, 1), chunk_tokens=2, headroom_blocks=0)
    assert inject(made) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (0, 2), (0, 3), (1, 2),
                            (0, 4)]


def test_a_unit_goes_in_alone():
    """Sequence grain: a prompt waits until nothing is under way, nothing follows until it is
    back; decode tokens flow together."""
    made = scheduler((2, 3), (3, 3), grain="sequence")
    assert inject(made) == [(0, 0), (0, 1)]
    back(made, 0, 1)
    assert inject(made) == []
    back(made, 0, 0)
    assert inject(made) == [(1, 0), (1, 1), (1, 2)]
    back(made, 1, 2, 1, 0)
    assert inject(made) == [(0, 2), (1, 3)]
    made.submit(Request(prompt_tokens=2, limit=1))
    made.admit()
    back(made, 0, 2)
    assert inject(made) == []           # the other's decode token is under way, a prompt waits
    back(made, 1, 3)
    assert inject(made) == [(2, 0), (2, 1)]


def test_higher_priorities_are_admitted_and_served_first():
    made = scheduler((2, 1), (2, 1, 5), (2, 1), (2, 1, 5), headroom_blocks=0, room=4)
    assert [one.request.priority for one in made.active] == [5, 5, 0, 0]
    low = Request(prompt_tokens=2, limit=1)
    made.submit(low)
    made.submit(high := Request(prompt_tokens=2, limit=1, priority=9))
    made.submit(other := Request(prompt_tokens=2, limit=1, priority=9))
    assert [*made.waiting] == [high, other, low]
    assert inject(made) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_lower_priority_gives_way():
    """The youngest of the lowest; its equals do not come back before another has ended."""
    made = scheduler((2, 9), (2, 9), (2, 9, 1), (2, 9), headroom_blocks=0)
    first, second = [one for one in made.active if not one.request.priority][:2]
    made.submit(Request(prompt_tokens=2, limit=1, priority=2))
    made.admit()
    victim = made.active[-1]
    assert victim.leaving == "preempted" and first.leaving is second.leaving is None
    made.admit()
    assert sum(one.leaving is not None for one in made.active) == 1
    inject(made)
    made.freed(victim)
    made.admit()
    assert made.active[-1].request.priority == 2 and victim.request in made.waiting
    assert victim.request.preemptions == 1


def test_equals_do_not_give_way():
    made = scheduler(*[(2, 9)] * 4, headroom_blocks=0)
    made.submit(Request(prompt_tokens=2, limit=1))
    made.admit()
    assert all(one.leaving is None for one in made.active)


def test_deadlines():
    """Of those who wait and of those who are served; what comes back later does not count."""
    made = scheduler((2, 3, 0, 10), (2, 3), (2, 3, 0, 5), headroom_blocks=1)
    made.submit(late := Request(prompt_tokens=2, limit=1, deadline=7))
    inject(made)
    made.admit(6)
    assert [one.leaving for one in made.active] == [None, None, "deadline"]
    made.admit(7)
    assert late.finished == "deadline" and not made.waiting
    first, third = made.active[0].request, made.active[2].request
    made.admit(10)
    back(made, 0, 0, 1)
    back(made, 2, 0, 1)
    assert first.generated == third.generated == 0
    leaving = [one for one in made.active if one.leaving]
    inject(made)
    for sequence in leaving:
        made.freed(sequence)
    assert first.finished == third.finished == "deadline"


def test_tokens_that_are_computed_again_are_counted():
    made = scheduler((4, 2), headroom_blocks=0)
    [sequence] = made.active
    inject(made)
    back(made, 0, 0, 1)
    made._freed = 1     # another has ended meanwhile
    made.credits.give(0)
    made.refused(sequence, 2)
    back(made, 0, 3)
    assert inject(made) == [(0, 2), (0, 3)]
    back(made, 0, 2, 3)
    assert sequence.request.recomputed == 1     # position 3; 2 was computed once


@pytest.mark.parametrize(("cost", "way"), [(None, "preempted"), (4, "swapped"), (5, "preempted")])
def test_the_cheaper_way_out(cost, way):
    """Nine tokens computed lie in a block, moved twice."""
    made = scheduler((9, 3), (9, 3), headroom_blocks=0, swap_cost=cost)
    inject(made)
    back(made, 1, *range(9))
    back(made, 0, *range(8))
    made.credits.give(0)
    made.refused(made.active[0], 8)
    assert made.active[1].leaving == way
    step = made.next()
    assert (step.free, step.move) == (True, way == "swapped")
    victim = step.sequence
    made.inject(step)
    made.credits.give(0)
    made.freed(victim)
    assert victim.request.saved == (9 if way == "swapped" else 0)
    assert victim.request.swaps == (way == "swapped")


def test_what_was_swapped_goes_on_where_it_was():
    made = scheduler((9, 3), headroom_blocks=0, swap_cost=0)
    [sequence] = made.active
    inject(made)
    back(made, 0, *range(9))
    sequence.leaving = "swapped"
    step = made.next()
    made.inject(step)
    made.credits.give(0)
    made.freed(sequence)
    made.admit()
    step = made.next()
    assert step.move and not step.free
    made.inject(step)
    assert made.find(step.sequence.id, step.position) is step.sequence
    assert made.next() is None
    made.credits.give(0)
    made.restored(step.sequence, step.position, took=True)
    assert inject(made) == [(step.sequence.id, 9)] and step.sequence.request.saved == 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("options", [
    {}, {"static_tokens": 9}, {"grain": "sequence"}, {"first": "prompt"}, {"chunk_tokens": 3},
    {"swap_cost": 0.5}, {"swap_cost": 0.5, "grain": "sequence"}, {"window": 2}],
    ids=lambda options: "-".join(f"{k}={v}" for k, v in options.items()) or "plain")
def test_every_request_ends_on_a_crowded_machine(make_bench, options, seed):
    """The machine has less room than the host believes: refusals, preemption, priorities."""
    rng = random.Random(seed)
    bench = make_bench(seed=seed, believed=6, headroom_blocks=0, **options)
    requests = [bench.submit(rng.randrange(1, 10), rng.randrange(0, 6)) for _ in range(12)]
    for request in requests:
        request.priority = rng.randrange(3)
    requests[3].cancel()
    bench.run()
    assert requests[3].finished == "cancelled"
    for request in requests[:3] + requests[4:]:
        assert request.finished == "length" and request.generated == request.limit
        if not request.preemptions:
            assert request.swaps == 0
    if "swap_cost" not in options:
        assert not any(request.swaps for request in requests)


def test_swapping_saves_what_recomputing_costs(make_bench):
    """The same crowded load: KV that moves is not computed again."""
    found = {}
    for cost in (None, 0.01):
        bench = make_bench(seed=3, believed=9, headroom_blocks=0, swap_cost=cost)
        requests = [bench.submit(7, 6) for _ in range(8)]
        bench.run()
        found[cost] = (sum(one.swaps for one in requests), sum(one.recomputed for one in requests))
    assert found[None][0] == 0 < found[0.01][0]
    assert found[0.01][1] < found[None][1]
