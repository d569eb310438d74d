"""Requests that are given up, at any moment."""

import pytest


def test_cancel_while_waiting(make_bench, make_prompts):
    bench = make_bench()
    requests = [bench.engine.submit(prompt, limit=2) for prompt in make_prompts(1, [2] * 7)]
    requests[5].cancel()
    requests[6].cancel()
    bench.run()
    assert [r.finished for r in requests] == ["length"] * 5 + ["cancelled"] * 2
    assert requests[5].tokens == requests[6].tokens == []


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("steps", [1, 4, 9, 30])
def test_cancel_while_running(make_bench, make_prompts, steps, seed):
    bench = make_bench(seed=seed)
    requests = [bench.engine.submit(prompt, limit=6) for prompt in make_prompts(1, [12, 3, 9])]
    bench.steps(steps)
    requests[0].cancel()
    known = len(requests[0].tokens)
    bench.run()
    assert requests[0].finished == "cancelled" and len(requests[0].tokens) == known
    bench.check(requests[0])
    for request in requests[1:]:
        bench.check(request, 6)


def test_cancel_from_on_token(make_bench, make_prompts):
    def cancel(request, token):
        if len(request.tokens) == 3:
            request.cancel()

    bench = make_bench(on_token=cancel)
    requests = bench.serve(make_prompts(1, [3, 2]), [9, 2])
    assert [(r.finished, len(r.tokens)) for r in requests] == [("cancelled", 3), ("length", 2)]


def test_cancel_comes_too_late(make_bench, make_prompts):
    """A request that has ended stays as it is."""
    bench = make_bench()
    [request] = bench.serve(make_prompts(1, [3]), [2])
    request.cancel()
    [other] = bench.serve(make_prompts(1, [3]), [2])
    assert request.finished == "length" and other.finished == "length"


def test_cancel_all(make_bench, make_prompts):
    bench = make_bench(seed=2)
    requests = [bench.engine.submit(prompt, limit=6) for prompt in make_prompts(1, [12] * 6)]
    bench.steps(15)
    for request in requests:
        request.cancel()
    bench.run()
    assert {request.finished for request in requests} == {"cancelled"}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_cancel_while_cores_are_full(make_bench, make_prompts, seed):
    """Cancelled at any moment of a preemption: nothing hangs, nothing leaks."""
    for steps in (110, 160 + seed):
        bench = make_bench(seed=seed, headroom_blocks=0, kv_blocks=100)
        requests = [bench.engine.submit(prompt, limit=12)
                    for prompt in make_prompts(seed, [30, 40, 35])]
        bench.steps(steps)
        requests[seed].cancel()
        bench.run()
        for request in requests:
            assert request.finished == ("cancelled" if request is requests[seed] else "length")
            bench.check(request)
