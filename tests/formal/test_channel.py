"""Proof of a channel, for ever, and that it can fail."""

import pytest
from amaranth.hdl import Cat, Mux, Value

from ouroboros.hw.noc.channel import Channel
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
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


def unicast(n):
    """The front packet is unicast and its copy has not begun."""
    return ~n["state.active"] & ~n["get__data.multicast"]


def claimed(n):
    """The same, and it has claimed a channel."""
    return unicast(n) & (n["state.reserved"] != 0)


def moves(n):
    """A flit moves."""
    return (n["request__taken"] != 0) & ~n["request__p.claim"]


def each_output(n, state):
    """One bit for each output."""
    return Cat(state(*(n[f"states__{port:d}__{what}"] for what in ("available", "credits__0")))
               for port in Port)


WRONG = {
    "second copy to a port": {"state.done": lambda n, old: old & n["ports"]},
    "copy starts with a credit too few": {
        "enough": lambda n, old: each_output(
            n, lambda _, credits: credits >= n["get__data.need"])},
    "every copy frees": {"freed": lambda n, old: 1},
    "no copy but one": {"final": lambda n, old: 1},
    "copy is not rewound": {"state.read": lambda n, old: n["following"]},
    "copy changes its port": {
        "request__p.ports": lambda n, old: Mux(
            n["state.active"], Value.cast(old)[:5].rotate_left(1), old)},
    "copy goes on before all ports have a flit": {"whole": lambda n, old: 1},
    "flit goes to a port twice": {"state.sent": lambda n, old: 0},
    "copy goes on to a port that did not grant its head": {
        "ports": lambda n, old: Mux(n["state.active"], old, n["request__p.ports"])},
    "patience without end": {"state.waited": lambda n, old: 0},
    "claims are not kept": {"state.reserved": lambda n, old: 0},
    "claim forgets its channel": {
        "state.channel": lambda n, old: Mux(n["request__p.claim"], n["state.channel"], old)},
    "claim goes on by any channel": {
        "request__p.allowed": lambda n, old: Mux(claimed(n), n["get__data.allowed"], old)},
    "claimed channel needs no credit": {
        "request__p.ports": lambda n, old: Mux(claimed(n), n["state.reserved"], old)},
    "claim is passed over": {
        "request__p.ports": lambda n, old: Mux(
            claimed(n) & (n["sendable"] != 0), n["sendable"], old),
        "request__p.allowed": lambda n, old: Mux(claimed(n) & (n["sendable"] != 0),
                                                 n["get__data.allowed"], old)},
    "claim of a channel that is not free": {
        "claimable": lambda n, old: Mux(unicast(n) & (n["get__data.allowed"] != 0),
                                        n["get__data.ports"], old)},
    "claim needs a credit": {"claimable": lambda n, old: Mux(unicast(n), 0, old)},
    "multicast claims with a credit only": {
        "claimable": lambda n, old: Mux(unicast(n), old, old & each_output(
            n, lambda available, _: available[0]))},
    "claim is left behind": {
        "state.reserved": lambda n, old: Mux(moves(n) & n["final"], n["state.reserved"], old)},
    "multicast takes any channel": {
        "request__p.allowed": lambda n, old: Mux(
            n["get__data.multicast"] & ~n["state.active"], old | 3, old)},
    "discards without giving back": {
        "freed": lambda n, old: Mux(n["request__taken"] == 0, 0, old)},
}


@pytest.mark.parametrize("what", WRONG)
def test_proof_can_fail(what):
    proof = broken(ChannelProof(network(2), 0), Channel, WRONG[what])
    found = prove(proof, what.replace(" ", "_"), depth=9, reset=False)
    assert not found.held
    assert "Assert failed" in found.log
