"""Pins of a link against the hardware's own signature."""

from amaranth import Shape
from amaranth.lib.wiring import In, Out

from ouroboros.floorplan.links import OPPOSITE, SIDES, side_pins, wires
from ouroboros.hw.noc.link import Link
from ouroboros.hw.params.machine import load_machine


def test_wires_are_those_of_the_hardware():
    noc = load_machine("wafer").noc
    members = Link(noc).members.values()
    forward, backward = (sum(Shape.cast(member.shape).width for member in members
                             if member.flow == flow) for flow in (Out, In))
    found = wires(noc)
    assert sum(wire.forward for wire in found) == forward
    assert sum(not wire.forward for wire in found) == backward
    assert len({wire.name for wire in found}) == len(found)


def test_facing_pins():
    noc = load_machine("wafer").noc
    for side in SIDES:
        mine, other = side_pins(noc, side), side_pins(noc, OPPOSITE[side])
        assert mine[0].name == f"{side}_{'o' if side in 'ne' else 'i'}_valid"
        assert [pin.slot for pin in mine] == list(range(2 * len(wires(noc))))
        for a, b in zip(mine, other, strict=True):
            assert a.slot == b.slot
            assert a.output != b.output
            assert a.name[3:] == b.name[3:]     # the same wire
            assert {a.name[2], b.name[2]} == {"o", "i"}


def test_direction():
    pins = {pin.name: pin.output for pin in side_pins(load_machine("wafer").noc, "e")}
    assert pins["e_o_data[0]"]
    assert not pins["e_o_credit[0]"]
    assert not pins["e_i_valid"]
    assert pins["e_i_credit[1]"]
