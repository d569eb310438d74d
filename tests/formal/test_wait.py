"""How many packets go before one that waits: bounds for ever, and traces where there is none."""

import pytest
from amaranth.hdl import Mux

from ouroboros.hw.noc.output import Output
from ouroboros.hw.noc.router import PACKETS_AHEAD_MAX
from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.formal.broken import broken
from ouroboros.tb.formal.prove import prove
from ouroboros.tb.formal.wait import WaitProof

pytestmark = pytest.mark.formal

ONE, ANY = 4, 7
"""Of a packet that may use one channel, or two, where nothing else asks at its input."""


def network(vcs, class1_vcs=0):
    return NocParams(flit_bits=128, vcs=vcs, class1_vcs=class1_vcs, class2_vcs=0, vc_depth=4,
                     multicast_flits=4, labels=2)


def at_most(proof, name):
    """Whether ``proof`` holds for ever, whatever the credits are."""
    found = prove(proof, name, depth=4, invariant=True, reset=False, free="output.credits")
    assert found.for_ever
    return found.held


@pytest.mark.parametrize("vcs, allowed, most", [(1, 0b1, ONE), (2, 0b01, ONE), (2, 0b11, ANY)],
                         ids=["alone", "ordered, class of two", "any of two"])
def test_nothing_else_at_its_input(vcs, allowed, most):
    """So many packets go before, and do; and it asks no oftener in vain, bodies included."""
    def wait(most, asks):
        return WaitProof(network(vcs), allowed=allowed, rivals=0, most=most, asks=asks)

    name = f"wait{vcs}{allowed}"
    assert at_most(wait(most, asks=False), name)
    assert at_most(wait(most, asks=True), f"{name}_asks")
    less = prove(wait(most - 1, asks=False), f"{name}_less", depth=16, reset=False)
    assert "Assert failed" in less.log


@pytest.mark.parametrize("vcs, allowed, rivals, vain, most", [
    (1, 0b01, 0b10, ONE, PACKETS_AHEAD_MAX), (1, 0b10, 0b01, ONE, PACKETS_AHEAD_MAX),
    (2, 0b01, 0b100, ONE, 25), (2, 0b01, 0b010, ONE, 25), (2, 0b01, 0b010, ANY, 37),
    (2, 0b11, 0b100, ONE, 39)],
    ids=["alone", "alone, higher", "ordered", "both ordered",
         "ordered, rival of any of two", "any of two"])
def test_one_other_channel_at_its_input(vcs, allowed, rivals, vain, most):
    """So many packets go before, and do; the rival asks as often in vain as shown above."""
    def wait(most):
        return WaitProof(network(vcs), allowed=allowed, rivals=rivals, vain=vain, most=most)

    name = f"wait{vcs}{allowed}_{rivals}_{vain}"
    assert at_most(wait(most), name)
    assert not at_most(wait(most - 1), f"{name}_less")


def test_both_any_of_two():
    """An upper bound, perhaps not the least."""
    proof = WaitProof(network(2), allowed=0b11, rivals=0b010, vain=ANY, most=57)
    assert at_most(proof, "wait_both")


@pytest.mark.parametrize("blocks", [0, 1, 5])
@pytest.mark.parametrize("vcs, class1_vcs, allowed, alone, each", [
    (1, 1, 0b001, ONE, ONE + 1), (2, 0, 0b001, ONE, ONE + 1), (2, 0, 0b011, ANY + 1, ANY + 1)],
    ids=["alone", "ordered, class of two", "any of two"])
def test_two_others_at_its_input(vcs, class1_vcs, allowed, alone, each, blocks):
    """However the cycles lie in which others keep it from asking, each lets so many more go."""
    def wait(most, asks=False):
        return WaitProof(network(vcs, class1_vcs), allowed=allowed, rivals=0b110, blocks=blocks,
                         most=most, asks=asks)

    name = f"wait_{vcs}_{allowed}_{blocks}"
    assert at_most(wait(alone + each * blocks), name)
    assert at_most(wait(alone * (1 + blocks), asks=True), f"{name}_asks")
    if not blocks:
        less = prove(wait(alone - 1), f"{name}_less", depth=22, reset=False)
        assert "Assert failed" in less.log


def test_proof_can_fail():
    """Claims that need a credit bound nothing."""
    def chosen(n, old):
        return Mux(n["won.claim"] & n["won.head"], n["ready"] & -n["ready"], old)

    proof = broken(WaitProof(network(2), allowed=0b11, rivals=0, most=3 * ANY), Output,
                   {"chosen": chosen})
    found = prove(proof, "wait_wrong", depth=60, reset=False)
    assert "Assert failed" in found.log
