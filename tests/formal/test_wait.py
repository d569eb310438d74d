"""How many packets go before one that waits: bounds for ever, and traces where there is none."""

import pytest

from hw.params.noc import NocParams
from tb.formal.prove import prove
from tb.formal.wait import WaitProof

pytestmark = pytest.mark.formal


def network(vcs, class1_vcs=0):
    return NocParams(flit_bits=128, vcs=vcs, class1_vcs=class1_vcs, class2_vcs=0, vc_depth=4,
                     multicast_flits=4, labels=2)


@pytest.mark.parametrize("rivals, most", [(0b00, 3), (0b10, 4)])
def test_channel_alone_in_its_class(rivals, most):
    """Nothing else at its input, or one other channel: so many may go before, and do."""
    def wait(most):
        return WaitProof(network(1), allowed=1, claims=True, rivals=rivals, most=most)

    found = prove(wait(most), f"wait{rivals}", depth=4, invariant=True, reset=False)
    assert found.held, found.log
    assert found.for_ever
    assert not prove(wait(most - 1), f"wait{rivals}_less", depth=14, reset=False).held


@pytest.mark.parametrize("vcs, class1_vcs, allowed, rivals", [
    (2, 0, 0b001, 0b000), (2, 0, 0b011, 0b000), (1, 1, 0b001, 0b110)],
    ids=["ordered, class of two", "any of two", "two rivals at its input"])
def test_no_bound(vcs, class1_vcs, allowed, rivals):
    """Twelve go before it and it could go on so: in one class with others, or with two rivals."""
    proof = WaitProof(network(vcs, class1_vcs), allowed=allowed, claims=vcs == 1, rivals=rivals,
                      most=12)
    found = prove(proof, f"wait_{vcs}_{allowed}", depth=60, reset=False)
    assert not found.held
    assert "Assert failed" in found.log
