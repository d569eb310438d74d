"""K and V on the wafer, in a pool at an edge port, and split, on RTL: the same bits."""

import pytest

from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.service import backend, compare
from ouroboros.tests.sw.runtime.test_pools import SHAPE, job, place

pytestmark = pytest.mark.sim


@pytest.fixture(scope="module")
def served():
    """Results by where K and V were: one machine, built once."""
    return {}


@pytest.mark.parametrize("kv", ["wafer", "split", "tier"])
def test_wherever_they_are(kv, served, make_checkpoint):
    """Every logit is the golden decoder's; in the pool there is what should be, and no more."""
    model = quantise(make_checkpoint(**SHAPE))
    work = job(model, place(model, "plain", kv), lengths=(18, 3), limit=2, measured=True)
    result = backend("verilator")(work, lambda *step: None)
    exact, vectors = compare(model, result.requests)
    assert exact
    assert vectors == 19 + 4
    most = max(sum(at.pool) for at in result.where)
    assert most == 0 if kv == "wafer" else most == 23 if kv == "tier" else 0 < most < 23
    assert result.where[-1].pool == (0, 0)
    served[kv] = result
    for other in served.values():
        for one, two in zip(result.requests, other.requests, strict=True):
            assert one.tokens == two.tokens
            assert all((one.vectors[n] == two.vectors[n]).all() for n in one.vectors)


def test_a_pool_that_is_lost(make_checkpoint):
    """In mid run: the machine is emptied, and goes on alone."""
    model = quantise(make_checkpoint(**SHAPE))
    work = job(model, place(model, "plain", "split"), lengths=(3, 5), limit=3, measured=True,
               pool_lost=9000, without=place(model, "plain", "wafer"))
    result = backend("verilator")(work, lambda *step: None)
    assert compare(model, result.requests)[0]
    assert [len(request.tokens) for request in result.requests] == [3, 3]
    assert result.pool_loss is not None
    assert result.pool_loss.recomputed > 0
    assert result.where[-1].pool == (0, 0)
