"""Re-layout, timing gate and controller of a rank, and that their proofs can fail."""

import copy
from dataclasses import fields, replace

import pytest

from ouroboros.hw.params.dram import DDR4_3200, DramTiming
from ouroboros.hw.pim.double import DoubleBuffer
from ouroboros.hw.pim.host import HostColumns
from ouroboros.hw.pim.walk import Walker
from ouroboros.tb.formal.broken import broken
from ouroboros.tb.formal.pim import ControllerProof, GateProof, RelayoutProof
from ouroboros.tb.formal.prove import prove
from ouroboros.tb.pim.sizes import SIZES

pytestmark = pytest.mark.formal

BANKS, GROUPS = 4, 2
SMALL = replace(SIZES["mini"], context=16, rows=2)
# What a checker alone judges: refreshes are for who asks for them.
OF_GATE = [field.name for field in fields(DramTiming) if field.name != "refi"]


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("chips, parts", [(2, 1), (2, 2), (4, 2), (2, 3)])
def test_relayout(chips, parts, back):
    found = prove(RelayoutProof(chips, parts, back), f"relayout_{chips}_{parts}_{back:d}",
                  depth=4 * parts, invariant=True)
    assert found.held, found.log
    assert found.for_ever


def test_gate():
    """At the full table of DDR4-3200."""
    found = prove(GateProof(BANKS, GROUPS, DDR4_3200), "pim_gate", depth=3, induction=True)
    assert found.held, found.log
    assert found.for_ever


def test_controller():
    found = prove(ControllerProof(SMALL), "pim_controller", depth=2, induction=True)
    assert found.held, found.log
    assert found.for_ever


@pytest.mark.parametrize("name", OF_GATE)
def test_a_gate_that_waits_a_clock_less_is_found_out(name):
    timing = copy.copy(DDR4_3200)
    # A longer CWL turns the bus sooner: there the wrong way is up.
    object.__setattr__(timing, name, getattr(timing, name) - 1)
    found = prove(GateProof(BANKS, GROUPS, DDR4_3200, timing), f"pim_gate_{name}", depth=2,
                  induction=True)
    assert not found.held
    assert "Assert failed" in found.log


@pytest.mark.parametrize("proof, block, changes, depth", [
    pytest.param(RelayoutProof(2, 2, False), DoubleBuffer, {"can_put": lambda n, old: 1}, 12,
                 id="a full half is written"),
    pytest.param(RelayoutProof(2, 2, True), DoubleBuffer, {
        "take_half": lambda n, old: n["put_half"]}, 12, id="the wrong half is read"),
    pytest.param(ControllerProof(SMALL), Walker, {"mac": lambda n, old: n["is_open"]}, 2,
                 id="banks multiply at once"),
    pytest.param(ControllerProof(SMALL), HostColumns, {"ask": lambda n, old: 1}, 2,
                 id="the host does not wait"),
])
def test_proofs_can_fail(proof, block, changes, depth, request):
    name = "pim_" + request.node.callspec.id.replace(" ", "_")
    found = prove(broken(proof, block, changes), name, depth=depth, induction=True)
    assert not found.held
    assert "Assert failed" in found.log
