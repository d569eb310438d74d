"""Proof of a channel, for ever, and that it can fail."""

import pytest

from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.formal.broken import broken
from ouroboros.tb.formal.channel import ChannelProof
from ouroboros.tb.formal.prove import prove

pytestmark = pytest.mark.formal


def network(vcs, depth=4):
    return NocParams(flit_bits=128, vcs=vcs, class1_vcs=0, class2_vcs=0, vc_depth=depth,
                     multicast_flits=4, labels=2)


@pytest.mark.parametrize("vcs, depth", [(1, 4), (2, 4), (1, 5)])
def test_channel(vcs, depth):
    """Alone in its class, one of two, and with more room than the longest multicast packet."""
    found = prove(ChannelProof(network(vcs, depth), 0), f"channel{vcs}_{depth}", depth=4,
                  invariant=True, reset=False)
    assert found.held, found.log
    assert found.for_ever


WRONG = {
    "second copy to a port": ("state.done.eq(state.done | choice)", "state.done.eq(choice)"),
    "copy starts with a credit too few": ("> entry.need", ">= entry.need"),
    "every copy frees": ("self.freed.eq(final)", "self.freed.eq(1)"),
    "no copy but one": ("final.eq((wanted & ~choice) == 0)", "final.eq(1)"),
    "copy is not rewound": ("state.read.eq(state.base)", "state.read.eq(following)"),
    "copy changes its port": ("choice.eq(state.port & Cat(", "choice.eq(state.final & Cat("),
    "claims are not kept": (
        "state.reserved.eq(state.reserved | choice)", "state.reserved.eq(0)"),
    "claim forgets its channel": (
        "| choice)\n                m.d.sync += state.channel.eq(taken)", "| choice)"),
    "claim goes on by any channel": (
        "state.channel).any() for out in self.states))\n" + " " * 20
        + "m.d.comb += request.allowed.eq(state.channel)",
        "state.channel).any() for out in self.states))"),
    "claimed channel needs no credit": (
        "state.reserved & Cat(\n                        (out.credited & state.channel).any()",
        "state.reserved & Cat(\n                        (out.credited | state.channel).any()"),
    "second claim": (
        "with m.If(state.reserved != 0):", "with m.If((state.reserved != 0) & (sendable == 0)):"),
    "claim of a channel that is not free": (
        "(out.free & entry.allowed).any()", "(entry.allowed).any()"),
    "claim needs a credit": (
        "(out.free & entry.allowed).any()", "(out.available & entry.allowed).any()"),
    "multicast claims with a credit only": (
        "free = Cat(out.free[self.number]", "free = Cat(out.available[self.number]"),
    "claim is left behind": (
        "m.d.sync += state.reserved.eq(0)", "m.d.sync += state.reserved.eq(state.reserved)"),
    "multicast takes any channel": ("request.allowed.eq(own)", "request.allowed.eq(own | 3)"),
    "discards without giving back": (
        "m.d.comb += self.freed.eq(1)", "m.d.comb += self.freed.eq(0)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_proof_can_fail(what, monkeypatch):
    monkeypatch.setattr("ouroboros.tb.formal.channel.Channel", broken("channel", *WRONG[what]))

    found = prove(ChannelProof(network(2), 0), what.replace(" ", "_"), depth=9, reset=False)
    assert not found.held
    assert "Assert failed" in found.log
