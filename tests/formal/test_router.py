"""Proofs of a router, whole and by blocks, and that each of them can fail."""

import importlib

import pytest

from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.formal.broken import broken
from ouroboros.tb.formal.prove import prove
from ouroboros.tb.formal.route import RouteProof
from ouroboros.tb.formal.router import HoldProof, InputProof, RouterProof

pytestmark = pytest.mark.formal


def network(vcs, class1_vcs=0, class2_vcs=0, labels=2):
    return NocParams(flit_bits=128, vcs=vcs, class1_vcs=class1_vcs, class2_vcs=class2_vcs,
                     vc_depth=4, multicast_flits=4, labels=labels)


@pytest.mark.parametrize("vcs, class1_vcs, class2_vcs, labels", [
    (1, 0, 0, 2), (2, 0, 0, 128), (1, 1, 0, 2), (1, 1, 2, 32), (2, 2, 2, 128)])
def test_route(vcs, class1_vcs, class2_vcs, labels):
    proof = RouteProof(network(vcs, class1_vcs, class2_vcs, labels))
    found = prove(proof, f"route{vcs}{class1_vcs}{class2_vcs}", depth=1)
    assert found.held, found.log


@pytest.mark.parametrize("noc", [network(1), network(2), network(1, 1, 2)],
                         ids=["one", "two", "all classes"])
def test_output_holds_channels_from_head_to_tail(noc):
    found = prove(HoldProof(noc), f"hold{noc.channels}", depth=2, induction=True)
    assert found.held, found.log
    assert found.for_ever


@pytest.mark.parametrize("vcs, class1_vcs, class2_vcs, cycles", [
    (1, 0, 0, 9), (2, 0, 0, 6), (1, 1, 0, 6), (1, 1, 2, 5)])
def test_input(vcs, class1_vcs, class2_vcs, cycles):
    proof = InputProof(network(vcs, class1_vcs, class2_vcs))
    found = prove(proof, f"input{vcs}{class1_vcs}{class2_vcs}", depth=cycles)
    assert found.held, found.log


@pytest.mark.parametrize("class1_vcs, cycles", [(0, 5), (1, 4)])
def test_router(class1_vcs, cycles):
    found = prove(RouterProof(network(1, class1_vcs)), f"router{class1_vcs}", depth=cycles)
    assert found.held, found.log


WRONG = {
    "output forgets owner at body": (
        HoldProof, "output", "won.claim | ~won.tail", "won.claim | won.head & ~won.tail", 3),
    "output forgets claim": (HoldProof, "output", "won.claim | ~won.tail", "~won.tail", 3),
    "claim takes a channel that is not free": (
        HoldProof, "output", "Mux(won.claim, free,", "Mux(won.claim, won.allowed,", 3),
    "claim needs a credit": (
        HoldProof, "output", "Mux(won.claim, free,", "Mux(0, free,", 6),
    "head takes a channel without a credit": (
        HoldProof, "output", "free & credited)", "free)", 6),
    "output names wrong channel": (HoldProof, "output", "_number(chosen)", "~_number(chosen)", 3),
    "route turns wrong way": (RouteProof, "route", "column > place.x", "column < place.x", 1),
    "route ignores dead ports": (RouteProof, "route", "wanted & place.connected)", "wanted)", 1),
    "route leaves its waypoint out": (
        RouteProof, "route", "past.eq(leg & (header.way_x == place.x)", "past.eq(leg & (1 == 1)",
        1),
    "class changes at no waypoint": (
        RouteProof, "route", "Mux(header.ordered, first_of_class1, sets[1])", "came", 1),
    "arrival goes back to transit": (
        RouteProof, "route", "1 << transit << arrived", "1 << transit", 1),
    "tables of cores are not read": (
        RouteProof, "route", "Mux(arrived, self.table.core_turn", "Mux(0, self.table.core_turn",
        1),
    "label past the table": (
        RouteProof, "route", "header.label < noc.labels", "header.label <= noc.labels", 1),
    "input changes class at no waypoint": (
        InputProof, "input", "entry.allowed.eq(route.allowed)", "entry.allowed.eq(1 << flit.vc)",
        5),
    "input goes elsewhere": (
        InputProof, "input", "entry.ports.eq(route.ports)", "entry.ports.eq(route.ports << 1)", 5),
    "input mixes buffers": (
        InputProof, "input", "put.addr.eq(vc * depth + ", "put.addr.eq(", 7),
    "channel sends twice": (
        InputProof, "channel",
        "eq(final)\n                m.d.sync += state.read.eq(following)", "eq(final)", 5),
    "channel loses a flit": (
        InputProof, "channel", "with m.Elif(discard):", "with m.Elif(self.some):", 5),
    "channel forgets its way": (
        InputProof, "channel", "eq(choice)\n                m.d.sync += state.channel.eq(taken)",
        "eq(choice)\n                m.d.sync += state.channel.eq(~taken)", 6),
    "channel forgets what it claimed": (
        InputProof, "channel", "| choice)\n                m.d.sync += state.channel.eq(taken)",
        "| choice)", 6),
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
        if hasattr(importlib.import_module(f"ouroboros.{user}"), name):
            monkeypatch.setattr(f"ouroboros.{user}.{name}", broken(block, right, wrong))

    noc = network(1) if proof is RouterProof else network(1, 1, 2)
    found = prove(proof(noc), what.replace(" ", "_"), depth=cycles)
    assert not found.held
    assert "Assert failed" in found.log
