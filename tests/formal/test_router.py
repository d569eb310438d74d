"""Proofs of a router, whole and by blocks, and that each of them can fail."""

import importlib

import pytest

from hw.params.noc import NocParams
from tb.formal.broken import broken
from tb.formal.prove import prove
from tb.formal.route import RouteProof
from tb.formal.router import HoldProof, InputProof, RouterProof

pytestmark = pytest.mark.formal


def network(vcs):
    return NocParams(flit_bits=128, vcs=vcs, class1_vcs=0, class2_vcs=0, vc_depth=4,
                     multicast_flits=4, labels=2)


@pytest.mark.parametrize("vcs", [1, 2])
def test_route(vcs):
    found = prove(RouteProof(network(vcs)), f"route{vcs}", depth=1)
    assert found.held, found.log


@pytest.mark.parametrize("vcs", [1, 2])
def test_output_holds_channels_from_head_to_tail(vcs):
    found = prove(HoldProof(network(vcs)), f"hold{vcs}", depth=2, induction=True)
    assert found.held, found.log
    assert found.for_ever


@pytest.mark.parametrize("vcs, cycles", [(1, 11), (2, 7)])
def test_input(vcs, cycles):
    found = prove(InputProof(network(vcs)), f"input{vcs}", depth=cycles)
    assert found.held, found.log


def test_router():
    found = prove(RouterProof(network(1)), "router", depth=7)
    assert found.held, found.log


WRONG = {
    "output forgets owner at body": (
        HoldProof, "output", "won.claim | ~won.tail", "won.claim | won.head & ~won.tail", 3),
    "output forgets claim": (HoldProof, "output", "won.claim | ~won.tail", "~won.tail", 3),
    "output names wrong channel": (HoldProof, "output", "_number(chosen)", "~_number(chosen)", 3),
    "route turns wrong way": (RouteProof, "route", "column > place.x", "column < place.x", 1),
    "route ignores dead ports": (RouteProof, "route", "wanted & place.connected)", "wanted)", 1),
    "input goes elsewhere": (
        InputProof, "input", "entry.ports.eq(route.ports)", "entry.ports.eq(route.ports << 1)", 5),
    "input mixes buffers": (
        InputProof, "input", "put.addr.eq(vc * depth + ", "put.addr.eq(", 7),
    "channel sends twice": (
        InputProof, "channel",
        "eq(final)\n                m.d.sync += state.read.eq(following)", "eq(final)", 5),
    "channel loses a flit": (
        InputProof, "channel", "with m.Elif(discard):", "with m.Elif(some):", 5),
    "channel forgets its way": (
        InputProof, "channel", "state.channel.eq(taken)", "state.channel.eq(~taken)", 6),
    "router sends to all": (
        RouterProof, "router", "entrance.request.p.ports & 1 << o", "entrance.request.p.ports", 4),
    "router answers the wrong input": (
        RouterProof, "router", "taken |= request.taken", "taken |= exit_.requests[0].taken", 6),
    "router forgets owner at body": (
        RouterProof, "output", "won.claim | ~won.tail", "won.claim | won.head & ~won.tail", 7),
}


@pytest.mark.parametrize("what", WRONG)
def test_proofs_can_fail(what, monkeypatch):
    proof, block, right, wrong, cycles = WRONG[what]
    name = block.capitalize()
    for user in ("hw.noc.input", "hw.noc.router", "tb.formal.route", "tb.formal.router"):
        if hasattr(importlib.import_module(user), name):
            monkeypatch.setattr(f"{user}.{name}", broken(block, right, wrong))

    found = prove(proof(network(1)), what.replace(" ", "_"), depth=cycles)
    assert not found.held
    assert "Assert failed" in found.log
