"""Tokens that are guessed: looked up in the text, right or wrong, on a machine with little room."""

import random

import pytest

from ouroboros.sw.runtime.guess import looked_up
from ouroboros.sw.serving.options import ServingError, ServingOptions


@pytest.mark.parametrize("text, count, found", [
    ([1, 2, 3, 9, 1, 2, 3], 2, [9, 1]),         # three tokens, seen once
    ([1, 2, 8, 7, 2, 9, 5, 2], 1, [9]),         # one token, and its last time counts
    ([4, 1, 2, 6, 5, 2, 7, 1, 2], 1, [6]),      # two tokens say more than one
    ([5, 7, 7], 4, [7, 7, 7, 7]),               # it goes on with itself
    ([5, 1, 2, 1, 2], 5, [1, 2, 1, 2, 1]),
    ([1, 2, 3], 2, []), ([3], 2, []), ([], 2, []), ([1, 1], 0, [])])
def test_what_followed_last_time(text, count, found):
    assert looked_up(text, count) == found


@pytest.mark.parametrize("seed", [None, 3, 11])
@pytest.mark.parametrize("logits", ["none", "last"])
def test_texts_are_what_they_are_alone(make_bench, make_prompts, seed, logits):
    """Prompts that repeat themselves, in a crowd: right and wrong guesses, refusals, a cancel."""
    bench = make_bench(seed=seed, kv_blocks=100, headroom_blocks=0, speculate=3)
    rng = random.Random(8)
    starts = make_prompts(6, [5, 4, 3, 2])
    requests = [bench.engine.submit(start * 4, limit=rng.randrange(6, 16), logits=logits)
                for start in starts]
    bench.steps(60)
    requests[2].cancel()
    bench.run()
    for request in requests:
        bench.check(request)
        assert request.finished == ("cancelled" if request is requests[2] else "length")
    guessed = sum(request.guessed for request in requests)
    confirmed = sum(request.confirmed for request in requests)
    assert 0 < confirmed < guessed


def test_right_guesses_are_under_way_before_they_are_known(make_bench, make_prompts, monkeypatch):
    """With guesses that are always right a text needs fewer answers to wait for."""
    alone = make_bench()
    prompt = make_prompts(2, [6])[0]
    [told] = alone.serve([prompt], [10])
    whole = [*prompt, *told.tokens]
    monkeypatch.setattr("ouroboros.sw.runtime.engine.looked_up",
                        lambda text, count: whole[len(text):len(text) + count])
    bench = make_bench(speculate=4, seed=1)
    [request] = bench.serve([prompt], [10])
    bench.check(request, 10)
    assert request.guessed == request.confirmed == 9
    assert request.recomputed == 0


def test_wrong_guesses_cost_tokens_and_change_nothing(make_bench, make_prompts, monkeypatch):
    alone = make_bench()
    prompt = make_prompts(2, [6])[0]
    [told] = alone.serve([prompt], [10])
    whole = [*prompt, *told.tokens]
    monkeypatch.setattr("ouroboros.sw.runtime.engine.looked_up", lambda text, count: [
        (token + 1) % 23 for token in whole[len(text):len(text) + count]])
    bench = make_bench(speculate=2, seed=1)
    [request] = bench.serve([prompt], [10], logits="last")
    bench.check(request, 10)
    assert request.guessed > 9 and not request.confirmed and request.recomputed >= 9
    assert {*request.vectors} == {*range(5, 15)}


def test_no_guess_goes_beyond_what_may_be_generated(make_bench, monkeypatch):
    monkeypatch.setattr("ouroboros.sw.runtime.engine.looked_up",
                        lambda text, count: [3] * count)
    bench = make_bench(speculate=8)
    request = bench.engine.submit([1, 2, 3], limit=4)
    assert request.guesses == [3, 3, 3]
    assert bench.engine.submit([1, 2, 3], limit=1).guesses == []
    # There is KV for 64 tokens.
    assert bench.engine.submit([1] * 62, limit=9).guesses == [3, 3]
    bench.run()


@pytest.mark.parametrize("options", [{"grain": "sequence"}, {"swap_cost": 1.0}])
def test_what_does_not_go_together(options):
    with pytest.raises(ServingError, match=r"^speculate must be 0 with grain 'sequence'"):
        ServingOptions(speculate=1, **options)
