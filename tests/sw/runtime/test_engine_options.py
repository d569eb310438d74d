"""Every option of the policy on the golden machine: each request says what it says alone."""

import random

import pytest

from ouroboros.sw.runtime.engine import EngineError

OPTIONS = [{"static_tokens": 48}, {"grain": "sequence"}, {"first": "prompt"}, {"chunk_tokens": 3},
           {"window": 2, "grain": "sequence"}]


@pytest.mark.long
@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(
    f"{name}={value}" for name, value in options.items()))
def test_texts_are_what_they_are_alone(make_bench, make_prompts, options, seed):
    """Priorities and a request that is given up, on cores with less room than the host believes."""
    bench = make_bench(seed=seed, kv_blocks=100, headroom_blocks=0, **options)
    rng = random.Random(8)
    requests = [bench.engine.submit(prompt, limit=rng.randrange(1, 9), priority=rng.randrange(2))
                for prompt in make_prompts(6, [20, 30, 4, 18, 25, 9])]
    bench.steps(40)
    requests[2].cancel()
    bench.run()
    for request in requests:
        bench.check(request)
        assert request.finished == ("cancelled" if request is requests[2] else "length")
    if seed is not None and "static_tokens" not in options:
        assert sum(request.recomputed for request in requests)


def test_a_higher_priority_takes_the_place_of_a_lower(make_bench, make_prompts):
    bench = make_bench(seed=1, headroom_blocks=0)
    low = [bench.engine.submit(prompt, limit=14) for prompt in make_prompts(3, [30, 30])]
    bench.steps(60)
    high = bench.engine.submit(make_prompts(4, [30])[0], limit=2, priority=1)
    bench.run()
    assert low[1].preemptions and not high.preemptions
    for request in (*low, high):
        bench.check(request, request.limit)


def test_kv_cannot_be_moved(make_bench):
    with pytest.raises(EngineError, match=r"^swap_cost must not be given: cores have no way"):
        make_bench(swap_cost=1.0)
