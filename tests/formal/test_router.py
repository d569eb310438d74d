"""Proofs of a router, whole and by blocks, and that each of them can fail."""

from functools import reduce
from operator import or_

import pytest
from amaranth.hdl import C, Cat, Mux, Value

from ouroboros.hw.noc.channel import Channel
from ouroboros.hw.noc.input import Input
from ouroboros.hw.noc.output import Output
from ouroboros.hw.noc.route import Route
from ouroboros.hw.noc.router import Router
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.tb.formal.broken import broken
from ouroboros.tb.formal.prove import prove
from ouroboros.tb.formal.route import RouteProof
from ouroboros.tb.formal.router import HoldProof, InputProof, RouterProof

pytestmark = pytest.mark.formal


def network(vcs, class1_vcs=0, class2_vcs=0, labels=2):
    return NocParams(flit_bits=128, vcs=vcs, class1_vcs=class1_vcs, class2_vcs=class2_vcs,
                     vc_depth=4, multicast_flits=4, labels=labels)


ALL = network(1, 1, 2)


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


def lowest(value):
    return value & -value


def several(n):
    """A head that may use several channels has the link."""
    return n["won.head"] & ((n["won.allowed"] & (n["won.allowed"] - 1)) != 0)


def by_way(n):
    """Neither multicast nor by table."""
    return (n["header.label"] == 0) & ~n["by_table"]


def swapped(ports, one, other):
    """Ports with two of them exchanged."""
    bits = list(ports)
    bits[one], bits[other] = bits[other], bits[one]
    return Cat(bits)


FORGETS_OWNER = {"owned": lambda n, old: Mux(
    n["won.head"] | n["won.tail"] | n["won.claim"], old, n["owned"] & ~n["chosen"])}
WRONG = {
    "output forgets owner at body": (HoldProof, Output, FORGETS_OWNER, 3),
    "output forgets claim": (HoldProof, Output, {
        "owned": lambda n, old: Mux(n["won.claim"] & n["won.tail"], n["owned"] & ~n["chosen"],
                                    old)}, 3),
    "claim takes a channel that is not free": (HoldProof, Output, {
        "chosen": lambda n, old: Mux(several(n) & n["won.claim"], lowest(n["won.allowed"]), old)},
        3),
    "claim needs a credit": (HoldProof, Output, {
        "chosen": lambda n, old: Mux(several(n) & n["won.claim"], lowest(n["ready"]), old)}, 6),
    "head takes a channel without a credit": (HoldProof, Output, {
        "ready": lambda n, old: n["free"]}, 6),
    "output names wrong channel": (HoldProof, Output, {"flit.vc": lambda n, old: ~old}, 3),
    "route turns wrong way": (RouteProof, Route, {
        "xy": lambda n, old: swapped((Value.cast(old) | C(0, 5))[:5], Port.EAST, Port.WEST)}, 1),
    "route ignores dead ports": (RouteProof, Route, {"ports": lambda n, old: n["wanted"]}, 1),
    "route leaves its waypoint out": (RouteProof, Route, {
        "past": lambda n, old: n["leg"] & (n["header.way_y"] == n["place__y"])}, 1),
    "class changes at no waypoint": (RouteProof, Route, {
        "allowed": lambda n, old: Mux(by_way(n) & n["past"], n["came"], old)}, 1),
    "arrival goes back to transit": (RouteProof, Route, {
        "allowed": lambda n, old: Mux(n["by_table"], 1 << ALL.transit_vc, old)}, 1),
    "tables of cores are not read": (RouteProof, Route, {
        "turn": lambda n, old: n["table__die_turn"]}, 1),
    "label past the table": (RouteProof, Route, {
        "fits": lambda n, old: old | ((n["header.label"] == ALL.labels) & ~n["by_table"] & ~n["leg"]
                                      & (n["header.length"] < ALL.multicast_flits))}, 1),
    "input changes class at no waypoint": (InputProof, Input, {
        "entry.allowed": lambda n, old: 1 << n["link__flit.vc"]}, 5),
    "input goes elsewhere": (InputProof, Input, {"entry.ports": lambda n, old: old << 1}, 5),
    "input mixes buffers": (InputProof, Input, {
        "get__addr": lambda n, old: Value.cast(old) % ALL.vc_depth}, 7),
    "channel sends twice": (InputProof, Channel, {
        "state.read": lambda n, old: Mux(moves(n), n["state.read"], old)}, 5),
    "channel loses a flit": (InputProof, Channel, {"discard": lambda n, old: 1}, 5),
    "channel forgets its way": (InputProof, Channel, {
        "state.channel": lambda n, old: Mux(moves(n), ~old, old)}, 6),
    "channel forgets what it claimed": (InputProof, Channel, {
        "state.channel": lambda n, old: Mux(moves(n), old, n["state.channel"])}, 6),
    "router sends to all": (RouterProof, Router, {
        f"requests__{port:d}__p.ports": lambda n, old, port=port: n.all("request__p.ports")[port]
        for port in Port}, 4),
    "router answers the wrong input": (RouterProof, Router, {
        "request__taken": lambda n, old: reduce(or_, n.all("requests__0__taken"))}, 6),
    "router forgets owner at body": (RouterProof, Output, FORGETS_OWNER, 7),
}


def moves(n):
    """A flit of the channel moves."""
    return (n["request__taken"] != 0) & ~n["request__p.claim"]


@pytest.mark.parametrize("what", WRONG)
def test_proofs_can_fail(what):
    proof, block, changes, cycles = WRONG[what]
    noc = network(1) if proof is RouterProof else ALL
    found = prove(broken(proof(noc), block, changes), what.replace(" ", "_"), depth=cycles)
    assert not found.held
    assert "Assert failed" in found.log
