"""Decisions of the scheduler: by hand, and against a machine of nothing but KV blocks."""

import random
from dataclasses import replace

import pytest

from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.serving.request import Request
from ouroboros.sw.serving.scheduler import Scheduler, ServingError, Verdict

BOOK = KvBook(block_tokens=16, members=1, blocks=4, sequence_blocks=4)


def scheduler(*requests, room=64, book=BOOK, context=80, **options):
    made = Scheduler(book, {0: room}, sequences=4, context=context,
                     options=ServingOptions(**options))
    for prompt, limit in requests:
        made.submit(Request(prompt_tokens=prompt, limit=limit))
    made.admit()
    return made


def inject(made):
    """What goes in now."""
    steps = []
    while (step := made.next()) is not None:
        made.inject(step)
        steps.append((step.sequence.id, step.position))
    return steps


def done(made, number, position, **options):
    """A token of an active sequence is back, and its credit."""
    made.credits.give(0)
    return made.done(made.active[number], position, **{"stops": False, **options})


def test_headroom_delays_admission():
    """With a block kept free only three of the four blocks are given at first."""
    for headroom, together in ((0, 4), (1, 3), (3, 1), (9, 1)):
        made = scheduler(*[(4, 1)] * 4, headroom_blocks=headroom)
        assert len(made.active) == together and len(made.waiting) == 4 - together


def test_the_token_to_come_counts_at_admission():
    """16 prompt tokens fill a block: whoever is to be admitted needs another for the token after
    them, those that are served already may find theirs."""
    for length, together in ((15, 4), (16, 3), (17, 2)):
        assert len(scheduler(*[(length, 1)] * 4, headroom_blocks=0).active) == together


def test_a_request_that_never_fits_holds_up_nobody():
    made = scheduler((65, 1), (64, 1))
    assert [s.request.prompt_tokens for s in made.active] == [64]
    assert not made.waiting


def test_oldest_first_and_each_in_order():
    assert inject(scheduler((2, 1), (3, 1))) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]


def test_decode_tokens_go_before_prompt_tokens():
    made = scheduler((5, 3), (2, 3), room=4)
    assert inject(made) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    made.credits.give(0)
    assert inject(made) == [(0, 4)]
    for _ in range(2):
        made.credits.give(0)
    assert inject(made) == [(1, 0), (1, 1)]
    # The older one is at its prompt again, after a refusal; the younger one decodes.
    first, second = made.active
    for position in (4, 3, 2):
        made.refused(first, position)
    for position in (0, 1):
        assert made.done(first, position, stops=False) is Verdict.ACCEPTED
    assert made.done(second, 0, stops=False) is Verdict.ACCEPTED
    assert made.done(second, 1, stops=False) is Verdict.GENERATED
    first.next, first.rewind, second.leaving = 2, None, None
    for _ in range(3):
        made.credits.give(0)
    assert inject(made) == [(1, 2), (0, 2), (0, 3)]


@pytest.mark.parametrize(("options", "count"), [({"window": 1}, 1), ({"window": 3}, 3),
                                                ({"room": 2}, 2), ({}, 5)])
def test_window_and_credits_bound_what_is_under_way(options, count):
    made = scheduler((5, 1), **options)
    assert len(inject(made)) == made.flying == count
    assert made.owed and not made.idle


@pytest.mark.parametrize(("limit", "stops", "context", "verdict", "leaving"), [
    (3, False, 80, Verdict.GENERATED, None),
    (3, True, 80, Verdict.GENERATED, "stop"),
    (1, False, 80, Verdict.GENERATED, "length"),
    (1, True, 80, Verdict.GENERATED, "stop"),
    (0, True, 80, Verdict.ACCEPTED, "length"),
    (3, False, 3, Verdict.GENERATED, None),
    (3, False, 2, Verdict.GENERATED, "context")])
def test_why_a_sequence_ends(limit, stops, context, verdict, leaving):
    made = scheduler((2, limit), context=context)
    inject(made)
    assert done(made, 0, 0, stops=True) is Verdict.ACCEPTED     # not the last of the prompt
    assert done(made, 0, 1, stops=stops) is verdict
    assert made.active[0].leaving == leaving
    step = made.next()
    assert (step.position, step.free) == (2, leaving is not None)


def test_a_sequence_is_freed_when_nothing_of_it_is_under_way():
    made = scheduler((3, 1))
    [sequence] = made.active
    inject(made)
    assert done(made, 0, 2) is Verdict.GENERATED and sequence.leaving == "length"
    for position in (1, 0):
        assert made.next() is None
        done(made, 0, position)
    step = made.next()
    assert step.free and step.position == 3 and made.find(0, 3) is None
    made.inject(step)
    assert made.find(0, 3) is sequence and made.find(1, 3) is None
    made.freed(sequence)
    assert sequence.request.finished == "length" and not made.idle
    made.credits.give(0)
    assert made.idle


def test_times_are_of_the_first_try_and_of_what_counts():
    made = scheduler((2, 1), (1, 1))
    first, second = made.active
    for now, step in enumerate(iter(made.next, None)):
        made.inject(step, 10 + now)
    made.refused(first, 1)
    made.done(first, 0, stops=False, now=20)
    assert second.leaving == "preempted"      # of two that are full the younger gives way
    made.done(second, 0, stops=False, now=21)
    made.inject(made.next(), 22)
    made.freed(second)
    made.inject(made.next(), 23)
    made.done(first, 1, stops=False, now=24)
    assert first.request.start_times == {0: 10, 1: 11}
    assert first.request.finish_times == {0: 20, 1: 24}


@pytest.mark.parametrize("order", [(5, 6), (6, 5)])
def test_room_made_since_the_oldest_refused_token_counts(order):
    """One token went in before another sequence was freed, one after; both were refused."""
    made = scheduler((9, 3), (1, 0), room=6)
    one, other = made.active
    assert inject(made) == [(0, n) for n in range(6)]
    other.leaving = "length"
    made.credits.give(0)
    assert inject(made) == [(1, 0)]
    made.freed(other)
    made.credits.give(0)
    assert inject(made) == [(0, 6)]
    for position in range(5):
        made.done(one, position, stops=False)
    for position in order:
        assert one.leaving is None
        made.refused(one, position)
    assert (one.next, one.rewind, one.leaving) == (5, None, None)


def refused_while(leaving):
    """Three sequences of which the second finds its core full; what becomes of the others."""
    made = scheduler((3, 2), (3, 2), (3, 2))
    inject(made)
    made.active[0].leaving = leaving
    for position in range(3):
        made.done(made.active[2], position, stops=False)
    made.refused(made.active[1], 2)
    for position in range(2):
        made.done(made.active[1], position, stops=False)
    return made


def test_the_youngest_gives_way():
    made = refused_while(None)
    assert [s.leaving for s in made.active] == [None, None, "preempted"]


def test_nobody_gives_way_while_another_leaves():
    """Room is about to come: the refused tokens wait for it, and go when it is there."""
    made = refused_while("length")
    first, second, third = made.active
    assert (second.leaving, third.leaving) == (None, None)
    assert (second.rewind, second.next) == (2, 3)
    made.freed(first)
    assert (second.rewind, second.next) == (None, 2)


def test_what_follows_a_refused_token_does_not_count():
    """It was computed without the refused one's KV, whichever is back first."""
    made = scheduler((3, 2))
    [sequence] = made.active
    inject(made)
    made.refused(sequence, 1)
    assert done(made, 0, 2, now=5) is Verdict.IGNORED
    assert done(made, 0, 0, now=6) is Verdict.ACCEPTED
    assert sequence.request.finish_times == {0: 6}


@pytest.mark.parametrize(("position", "reasons"), [(63, [None, "preempted"]),
                                                   (64, ["kv_full", None])])
def test_nobody_makes_room_for_a_sequence_that_never_fits(position, reasons):
    """Four blocks hold 64 tokens."""
    made = scheduler((60, 9), (1, 9), headroom_blocks=0, room=99, book=replace(BOOK, blocks=99))
    first = made.active[0]
    inject(made)
    for n in range(60):
        done(made, 0, n)
    while first.next <= position:
        inject(made)
        if first.next <= position:
            done(made, 0, first.next - 1)
    made.refused(first, position)
    assert [s.leaving for s in made.active] == reasons


def test_alone_nobody_can_make_room():
    made = scheduler((3, 2))
    inject(made)
    made.refused(made.active[0], 2)
    for position in (0, 1):
        made.done(made.active[0], position, stops=False)
    assert made.active[0].leaving == "kv_full"


def test_a_preempted_request_is_first_in_line_but_not_at_once():
    """Not before another has ended: the room that it left is for those that were refused."""
    made = refused_while(None)
    for _ in range(9):
        made.credits.give(0)
    third = made.active[2]
    later = Request(prompt_tokens=1, limit=1)
    made.submit(later)
    made.inject(made.next())
    made.freed(third)
    assert third.request.preemptions == 1 and third.request.finished is None
    made.admit()
    assert len(made.active) == 2 and list(made.waiting) == [third.request, later]
    first, second = made.active
    first.leaving = "length"
    for position in (0, 1, 2):
        made.done(first, position, stops=False)
    made.inject(made.next())
    made.freed(first)
    made.admit()
    assert [s.request for s in made.active] == [second.request, third.request, later]


@pytest.mark.parametrize("when", ["waiting", "active", "refused"])
def test_cancelled(when):
    made = scheduler((3, 2))
    [sequence] = made.active
    if when == "waiting":
        request = Request(prompt_tokens=1, limit=1)
        made.submit(request)
        request.cancel()
        made.admit()
        assert request.finished == "cancelled" and len(made.active) == 1
        return
    inject(made)
    sequence.request.cancel()
    if when == "refused":
        made.refused(sequence, 2)
    else:
        assert done(made, 0, 2) is Verdict.IGNORED
    made.admit()
    for position in (0, 1):
        assert done(made, 0, position) is Verdict.IGNORED
    assert sequence.leaving == "cancelled" and made.next().free


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_asked_is_served(make_bench, seed):
    """Cores that are full, estimates that are wrong, cancelled requests: nothing hangs or leaks."""
    rng = random.Random(seed)
    bench = make_bench(seed=seed, believed=rng.choice([None, 100]),
                       window=rng.choice([None, None, 2]), headroom_blocks=rng.randrange(2))
    requests = []
    for _ in range(9):
        requests.append(bench.submit(rng.choice([1, 3, 4, 9, 14]), rng.choice([0, 1, 5, 12])))
        for _ in range(rng.randrange(30)):
            bench.step()
        if rng.random() < 0.2:
            rng.choice(requests).cancel()
    bench.run()
    for request in requests:
        fits = request.prompt_tokens + request.limit <= 17
        if request.finished != "cancelled":
            assert request.finished == ("length" if fits else "kv_full")
            assert request.generated == (request.limit if fits else 17 - request.prompt_tokens)


def test_full_cores_are_met(make_bench):
    """The random machine does refuse tokens and does make sequences give way."""
    bench = make_bench(believed=100, headroom_blocks=0)
    requests = [bench.submit(9, 7) for _ in range(4)]
    bench.run()
    assert sum(request.preemptions for request in requests) and requests[0].preemptions == 0
    assert bench.scheduler.injected == len(bench.order) > 4 * (9 + 7)


@pytest.mark.parametrize(("options", "message"), [
    ({"window": 0}, "window must be at least 1, not 0"),
    ({"headroom_blocks": -1}, "headroom_blocks must be at least 0, not -1")])
def test_refused_settings(options, message):
    with pytest.raises(ServingError) as error:
        scheduler(**options)
    assert str(error.value) == message


def test_a_refused_sequence_that_leaves_is_not_sent_again():
    """Another one's end makes room, but not for it: it goes on only after it was freed."""
    made = scheduler((2, 3), (1, 1), (2, 3), room=5)
    first, second, third = made.active
    assert len(inject(made)) == 5
    for position in (0, 1):
        made.refused(first, position)
    assert third.leaving == "preempted" and second.leaving is None
    for position in (0, 1):
        made.refused(third, position)
    assert made.done(second, 0, stops=False) is Verdict.GENERATED and second.leaving == "length"
    made.credits.give(0)
    step = made.next()
    assert step.sequence is second and step.free
    made.inject(step)
    made.freed(second)
    assert (first.next, first.rewind) == (0, None)      # its tokens are sent again
    assert (third.next, third.rewind) == (2, 0)         # this one's are not
    for _ in range(4):
        made.credits.give(0)
    assert (2, 2) in inject(made)
